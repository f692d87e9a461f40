from __future__ import annotations

import uuid
from datetime import UTC, datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from fleetui.core import clock
from nodes.certificates import Form, Use
from nodes.models.group import Cluster, Pool
from nodes.models.node import Node
from nodes.querysets import CertificateQuerySet, CertificateSourceQuerySet

#: The end of what has none; RFC 5280 writes the same day for it.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)


class CertificateSource(models.Model):
    """Where certificates are read: a host over SSH, an endpoint whose handshake is looked at, or what cert-manager has in a cluster.

    One row each, when it is due; those of a cluster come with the looks at that.

    Of a host, `node` says which, and `generation` which machine of it. Of an endpoint `host`, `port` and `server_name` (empty:
    the host) say where; its pool is the one whose people see it. `kind` own is the address of FleetUI itself.
    After a failure the certificates stay as they were, and `failed_at` and `error_kind` say of it. `unread` are places that
    could not be read, with the reason; `as_root` False: those that only root reads were not looked at.
    """

    KINDS = ("host", "endpoint", "own", "cluster")
    #: Those of which a handshake is looked at.
    SERVED = ("endpoint", "own")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=[(kind, kind) for kind in KINDS])
    node = models.OneToOneField(Node, on_delete=models.CASCADE, null=True, related_name="certificate_source")
    generation = models.PositiveIntegerField(default=0)
    cluster = models.OneToOneField(Cluster, on_delete=models.CASCADE, null=True, related_name="certificate_source")
    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, null=True, related_name="certificate_endpoints")
    host = models.CharField(max_length=255, blank=True, default="")
    port = models.PositiveIntegerField(default=443)
    server_name = models.CharField(max_length=255, blank=True, default="")
    checked_at = models.DateTimeField(null=True)
    as_root = models.BooleanField(null=True)
    unread = models.JSONField(default=list)
    failed_at = models.DateTimeField(null=True)
    error_kind = models.CharField(max_length=30, blank=True, default="")
    error_params = models.JSONField(default=dict)
    due_at = models.DateTimeField(default=clock.now)
    requested_at = models.DateTimeField(null=True)
    lease = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.now)

    objects = CertificateSourceQuerySet.as_manager()

    class Meta:
        verbose_name = _("source of certificates")
        constraints = [
            models.UniqueConstraint(
                fields=["host", "port", "server_name"],
                condition=models.Q(kind__in=["endpoint", "own"]),
                name="one_endpoint",
            )
        ]
        indexes = [
            models.Index(fields=["due_at"], name="certificate_due"),
            models.Index(
                fields=["requested_at"], name="certificate_asked_for", condition=models.Q(requested_at__isnull=False)
            ),
            models.Index(
                fields=["lease_until"], name="certificate_leased", condition=models.Q(lease_until__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        """As it is called: the name of the node or the cluster, or host and port, and the server name where it is another."""
        if self.node is not None:
            return self.node.name
        if self.cluster is not None:
            return self.cluster.name
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port} ({self.server_name})" if self.server_name else f"{host}:{self.port}"

    @property
    def wanted_name(self) -> str:
        """What clients of an endpoint ask for."""
        return self.server_name or self.host


class Certificate(models.Model):
    """One certificate in one place. Replaced as a set when a look finds others.

    `not_after` is NEVER for one without an end. `level` is that of the worst of `findings`, which are all but those of time;
    `der` is kept of authorities only, which endpoints are judged with;
    `search` holds what the text filter looks through, in lower case.
    """

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(CertificateSource, on_delete=models.CASCADE, related_name="certificates")
    place = models.CharField(max_length=500)
    position = models.PositiveSmallIntegerField(default=0)
    use = models.CharField(max_length=30, choices=[(use.value, use.value) for use in Use])
    form = models.CharField(max_length=10, choices=[(form.value, form.value) for form in Form])
    subject = models.CharField(max_length=500, blank=True, default="")
    issuer = models.CharField(max_length=500, blank=True, default="")
    serial = models.CharField(max_length=100, blank=True, default="")
    names = models.JSONField(default=list)
    not_before = models.DateTimeField(null=True)
    not_after = models.DateTimeField()
    key_type = models.CharField(max_length=20)
    key_bits = models.PositiveIntegerField(default=0)
    is_ca = models.BooleanField(default=False)
    fingerprint = models.CharField(max_length=64)
    der = models.BinaryField(null=True)
    findings = models.JSONField(default=list)
    level = models.CharField(max_length=10, blank=True, default="")
    search = models.TextField(blank=True, default="")
    since = models.DateTimeField(default=clock.now)

    objects = CertificateQuerySet.as_manager()

    class Meta:
        ordering = ["not_after", "id"]
        indexes = [
            models.Index(fields=["not_after", "id"], name="certificate_ends"),
            models.Index(fields=["fingerprint"], name="certificate_fingerprint"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} in {self.place}"

    @property
    def ends(self) -> datetime | None:
        """None for one without an end."""
        return None if self.not_after >= NEVER else self.not_after


class CertificateNotice(models.Model):
    """What was told of a certificate to a pool: the lead time in days that it has reached, 0 when it has expired.

    One certificate lies in many places: it is told of once. `pool_key` is the id of the pool, empty without one.
    """

    id = models.BigAutoField(primary_key=True)
    fingerprint = models.CharField(max_length=64)
    pool_key = models.CharField(max_length=40, blank=True, default="")
    lead_days = models.PositiveSmallIntegerField()
    told_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["fingerprint", "pool_key"], name="one_notice_per_certificate")]

    def __str__(self) -> str:
        return f"{self.fingerprint[:12]} {self.lead_days}"
