"""Reads. Every list starts with visible_to(principal): what a principal may not see does not exist for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.apps import apps
from django.db import models
from django.db.models import F, Q, Sum, Value
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce, Replace
from django.http import QueryDict

from fleetui.core.filters import split_values
from nodes import search

if TYPE_CHECKING:
    from fleetui.access.principals import Principal

#: Counts for pages are exact up to here.
COUNT_LIMIT = 10_000
#: A word that stands by chance in the checksum of many a host; people who look for a checksum give more of it.
_OF_MANY_CHECKSUMS = re.compile(r"[0-9a-f]{1,6}")
_WITHOUT_CHECKSUM = Replace(
    F("search_text"),
    Coalesce(KT("booted__checksum"), Value(""), output_field=models.TextField()),  # type: ignore[arg-type]
    Value(""),
    output_field=models.TextField(),
)
_UUID = re.compile(r"^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\Z", re.IGNORECASE)


def needing_attention(of: str = "") -> Q:
    """The nodes of NodeQuerySet.needing_attention; `of` leads to them from another table, as in `nodes__`."""

    def node(**wanted: Any) -> Q:
        return Q(**{of + name: value for name, value in wanted.items()})

    never_came = node(reachability="never_seen", failures__gt=0) & ~node(reachability_reason="provisioning")
    lost = node(reachability__in=["unreachable", "key_mismatch"]) | never_came
    return node(lifecycle="active") & (lost | node(health="degraded") | node(update_state="rolled_back"))


class CappedCount:
    """Mixin: a count that stops at COUNT_LIMIT, so that a page over 100,000 nodes costs no more than one over 10,000."""

    def capped_count(self) -> int:
        """0 to COUNT_LIMIT + 1; the last means "more than COUNT_LIMIT"."""
        return int(self.order_by().values("pk")[: COUNT_LIMIT + 1].count())  # type: ignore[attr-defined]


class NodeQuerySet(CappedCount, models.QuerySet[Any]):
    """Reads of nodes."""

    def visible_to(self, principal: Principal) -> Self:
        """A node without a pool is visible to bindings on everything only."""
        where = principal.where("nodes.read")
        if where.everywhere:
            return self
        return self.filter(pool_id__in=where.pools)

    def named(self, name_or_id: str) -> Self:
        """The node of this name or id (names win: nothing stops a name that looks like an id)."""
        if _UUID.match(name_or_id):
            return self.filter(Q(name=name_or_id) | Q(pk=name_or_id))
        return self.filter(name=name_or_id)

    def search(self, text: str) -> Self:
        """Nodes whose name, address, OS, version, pool or labels hold every word of `text`, or whose checksum holds 7 of it."""
        return self._holding(text.lower().split()[:8])

    def labelled(self, label: str) -> Self:
        """Nodes that may have a label (key:value, or key: for any value): what the index of search knows of it."""
        return self._holding([label.lower()])

    def _holding(self, words: Sequence[str]) -> Self:
        found = self
        for word in words:
            found = found.filter(search_text__contains=word)
            if _OF_MANY_CHECKSUMS.fullmatch(word):
                found = found.alias(_said=_WITHOUT_CHECKSUM).filter(_said__contains=word)
        ids = search.few(words, self.db)
        return found if ids is None else found.filter(pk__in=ids)

    def counted(self) -> Self:
        """The nodes that counts are about: retired ones are history."""
        return self.exclude(lifecycle="retired")

    def needing_attention(self) -> Self:
        """Active ones that cannot be reached (or never could), are degraded, or fell back; not those in maintenance, nor
        those whose machine is on its way."""
        return self.filter(needing_attention())

    def due(self, now: datetime) -> Self:
        """Nodes to poll now: due, not retired, not leased, and not stopped by a changed host key."""
        free = Q(poll_lease_until=None) | Q(poll_lease_until__lte=now)
        stopped = Q(reachability="key_mismatch", poll_requested_at=None)
        return self.filter(free, ~stopped, poll_due_at__lte=now, lifecycle__in=["active", "maintenance"])

    def held(self) -> Self:
        """Lock the rows until the end of the transaction, in the order in which polls take theirs.

        An UPDATE of many rows takes them in any order: PostgreSQL would end one of two writers that wait crosswise.
        """
        list(self._lockable().select_for_update().order_by("pk").values_list("pk", flat=True))
        return self

    def keeping(self) -> Self:
        """As `held`, and yet new rows may refer to them meanwhile: whoever changes or deletes one of them waits."""
        list(self._lockable().select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
        return self

    def _lockable(self) -> Self:
        """The same rows without a join, whose other side would be locked too.

        Only where there is one: PostgreSQL plans the question within a question badly as long as it knows little of the table,
        3 s for 250 of 10,000 nodes that were just imported.
        """
        if len(self.query.alias_map) <= 1 and not (self.query.distinct or self.query.is_sliced):
            return self
        rows: Self = self.model._default_manager.filter(pk__in=self.order_by().values("pk"))
        return rows

    def to_contact(self) -> Self:
        """With all that a contact needs and nothing else. Pools and credentials are read once, not once per node."""
        own = ("name", "address", "port", "os_family", "os_family_given", "revision", "pool", "credential", "jump_host")
        return self.only(*own).prefetch_related("credential", "pool__credential")


class PoolQuerySet(CappedCount, models.QuerySet[Any]):
    """Reads of pools."""

    def visible_to(self, principal: Principal) -> Self:
        where = principal.where("pools.read")
        return self if where.everywhere else self.filter(pk__in=where.pools)


class ClusterQuerySet(CappedCount, models.QuerySet[Any]):
    """Reads of clusters."""

    def visible_to(self, principal: Principal) -> Self:
        """A cluster is visible to those who see one of its pools."""
        where = principal.where("clusters.read")
        return self if where.everywhere else self.filter(pools__in=where.pools).distinct()


class CredentialQuerySet(CappedCount, models.QuerySet[Any]):
    """Reads of credentials."""

    def visible_to(self, principal: Principal) -> Self:
        """A credential is visible to those who may read credentials on everything, or on a pool that uses it."""
        where = principal.where("credentials.read")
        return self if where.everywhere else self.filter(pools__in=where.pools).distinct()


class JumpHostQuerySet(CappedCount, models.QuerySet[Any]):
    """Reads of jump hosts."""

    def visible_to(self, principal: Principal) -> Self:
        """Like credentials: to those who may read credentials on everything, or on a pool that is reached through it."""
        where = principal.where("credentials.read")
        if where.everywhere:
            return self
        return self.filter(Q(pools__in=where.pools) | Q(nodes__pool__in=where.pools)).distinct()


class _OfNode(CappedCount, models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> Self:
        """Rows of nodes that are visible."""
        where = principal.where("nodes.read")
        return self if where.everywhere else self.filter(node__pool_id__in=where.pools)


class HostKeyQuerySet(_OfNode):
    """Reads of host keys."""


class FactsQuerySet(_OfNode):
    """Reads of facts."""

    def container_units(self, facts_id: int | None) -> list[Any]:
        """Of these facts, what files of units say of containers."""
        found = self.filter(pk=facts_id).order_by().values_list("document__containers__units", flat=True)
        return list(next(iter(found), None) or [])


class DeploymentQuerySet(_OfNode):
    """Reads of deployments."""


class ContainerQuerySet(_OfNode):
    """Reads of containers."""

    def visible_to(self, principal: Principal) -> Self:
        """Asked row by row, in the order of the list, which is full soon: a join would sort the containers of whole pools."""
        where = principal.where("nodes.read")
        if where.everywhere:
            return self
        nodes = apps.get_model("nodes", "Node")._default_manager.filter(pool_id__in=where.pools)
        return self.filter(models.Exists(nodes.filter(pk=models.OuterRef("node_id"))))

    def with_names(self) -> Self:
        """With `node_name` and `pool_name`, looked up row by row: a join would make SQLite go through every node there is."""
        nodes = apps.get_model("nodes", "Node")._default_manager.filter(pk=models.OuterRef("node_id"))
        return self.annotate(
            node_name=models.Subquery(nodes.values("name")), pool_name=models.Subquery(nodes.values("pool__name"))
        )

    def by_image(self, after: tuple[str, str, str] | None = None) -> models.QuerySet[Any, dict[str, Any]]:
        """One row per image and digest, in their order: on how many nodes, in how many containers, how many of these run.

        `after` is the image that was shown last.
        """
        found = self.exclude(repository="")
        if after is not None:
            repository, tag, digest = after
            same = Q(repository=repository)
            later = Q(repository__gt=repository) | (same & Q(tag__gt=tag)) | (same & Q(tag=tag, digest__gt=digest))
            found = found.filter(Q(repository__gte=repository) & later)
        rows: models.QuerySet[Any, dict[str, Any]] = (
            found.order_by()
            .values("repository", "tag", "digest")
            .annotate(
                nodes=models.Count("node", distinct=True),
                containers=models.Count("pk"),
                running=models.Count("pk", filter=Q(state="running")),
            )
            .order_by("repository", "tag", "digest")
        )
        return rows


class TimelineQuerySet(_OfNode):
    """Reads of the timeline."""

    def with_names(self) -> Self:
        """With `node_name`, looked up row by row: for a join, SQLite goes through every node there is."""
        nodes = apps.get_model("nodes", "Node")._default_manager.filter(pk=models.OuterRef("node_id"))
        return self.annotate(node_name=models.Subquery(nodes.values("name")))


class DriftQuerySet(_OfNode):
    """Reads of what nodes differ in from their Ignition version."""

    def due(self, now: datetime) -> Self:
        """To compare now: due, free, of nodes in use that answer, and whose host key stands."""
        free = Q(lease_until=None) | Q(lease_until__lte=now)
        nodes = self.model._meta.get_field("node").related_model._default_manager
        answers = nodes.filter(
            pk=models.OuterRef("pk"), lifecycle__in=["active", "maintenance"], reachability="reachable"
        )
        # Not a join: SQLite would begin with all nodes that answer, where few are due.
        return self.filter(free, models.Exists(answers), due_at__lte=now)


class CertificateSourceQuerySet(models.QuerySet[Any]):
    """Reads of where certificates are read."""

    def visible_to(self, principal: Principal) -> Self:
        """A host with its node; an endpoint with its pool, and one without a pool to those who see everything."""
        where = principal.where("nodes.read")
        if where.everywhere:
            return self
        return self.filter(Q(node__pool_id__in=where.pools) | Q(pool_id__in=where.pools))

    def in_use(self) -> Self:
        """Without those of retired nodes."""
        return self.exclude(node__lifecycle="retired")

    def due(self, now: datetime) -> Self:
        """To read now: due, free, and of hosts only those in use that answer."""
        free = Q(lease_until=None) | Q(lease_until__lte=now)
        nodes = apps.get_model("nodes", "Node")._default_manager
        answers = nodes.filter(
            pk=models.OuterRef("node"), lifecycle__in=["active", "maintenance"], reachability="reachable"
        )
        # Not a join, as for drift.
        return self.filter(free, Q(node=None) | models.Exists(answers), cluster=None, due_at__lte=now)


class CertificateQuerySet(CappedCount, models.QuerySet[Any]):
    """Reads of certificates."""

    def visible_to(self, principal: Principal) -> Self:
        """Those of visible sources in use, asked row by row, in the order of the list, which is full soon."""
        sources = apps.get_model("nodes", "CertificateSource")._default_manager.in_use().visible_to(principal)
        return self.filter(models.Exists(sources.filter(pk=models.OuterRef("source_id"))))

    def with_names(self) -> Self:
        """With where it lies: `node_name`, `cluster_name` or `endpoint_host` and `endpoint_port`, and `pool_name`."""
        return self.annotate(
            source_kind=models.F("source__kind"),
            node_name=models.F("source__node__name"),
            cluster_name=models.F("source__cluster__name"),
            endpoint_host=models.F("source__host"),
            endpoint_port=models.F("source__port"),
            pool_name=Coalesce("source__node__pool__name", "source__pool__name"),
        )


class TallyQuerySet(models.QuerySet[Any]):
    """Reads of the tally. Each is one query over a few thousand rows, whatever the size of the fleet."""

    def visible_to(self, principal: Principal) -> Self:
        where = principal.where("nodes.read")
        return self if where.everywhere else self.filter(pool_id__in=where.pools)

    def sums(self, *columns: str) -> list[tuple[Any, ...]]:
        """(column, ..., nodes) for every combination of the columns that counts any nodes."""
        rows = self.order_by().values_list(*columns).annotate(count=Sum("nodes"))
        return [row for row in rows if row[-1]]


class ReleaseQuerySet(CappedCount, models.QuerySet[Any]):
    """Reads of releases; they are the same for everyone who may read releases."""

    def visible_to(self, principal: Principal) -> Self:
        return self if principal.may_somewhere("releases.read") else self.none()


class IgnitionConfigQuerySet(CappedCount, models.QuerySet[Any]):
    """Reads of Ignition configs."""

    def visible_to(self, principal: Principal) -> Self:
        """A config is visible to those who may read Ignition on everything, or on a pool that it is for."""
        where = principal.where("ignition.read")
        if where.everywhere:
            return self
        reached = self.model._default_manager.filter(pools__in=where.pools).order_by().values("pk")
        return self.filter(pk__in=reached)


class IgnitionVersionQuerySet(CappedCount, models.QuerySet[Any]):
    """Reads of Ignition versions."""

    #: What lists leave in the database: these may be megabytes.
    HEAVY = ("source", "files", "people", "declarations", "rendered", "report", "failure")

    def visible_to(self, principal: Principal) -> Self:
        """Those of visible configs."""
        where = principal.where("ignition.read")
        if where.everywhere:
            return self
        configs = self.model._meta.get_field("config").related_model
        return self.filter(config__in=configs._default_manager.visible_to(principal).order_by().values("pk"))

    def light(self) -> Self:
        """Without source, files, rendering and report."""
        return self.defer(*self.HEAVY)


class GitFollowQuerySet(models.QuerySet[Any]):
    """Reads of followed repositories."""

    def visible_to(self, principal: Principal) -> Self:
        """Those of visible configs."""
        where = principal.where("ignition.read")
        if where.everywhere:
            return self
        configs = self.model._meta.get_field("config").related_model
        return self.filter(config__in=configs._default_manager.visible_to(principal).order_by().values("pk"))


#: Filters of a view that name what not everybody may see, and where such names stand.
_NAMING = {"pool": "Pool", "cluster": "Cluster", "credential": "Credential", "jump_host": "JumpHost"}


class SavedViewQuerySet(models.QuerySet[Any]):
    """Reads of saved views."""

    def visible_to(self, principal: Principal) -> Self:
        """One's own and the shared ones, without those that name what one may not see: they would tell that it exists."""
        user = principal.user_id
        seen = self.filter(Q(owner=user) | Q(is_shared=True))
        if principal.where("pools.read").everywhere and principal.where("credentials.read").everywhere:
            return seen
        naming = Q()
        for word in _NAMING:
            naming |= Q(query__contains=f"{word}=")
        others = self.model._default_manager.filter(naming, is_shared=True).exclude(owner=user).order_by()
        named = {pk: _named_in(query) for pk, query in others.values_list("pk", "query")}
        telling = []
        for word, model in _NAMING.items():
            names = {name for found in named.values() for name in found.get(word, ())}
            if names:
                rows = apps.get_model("nodes", model)._default_manager.visible_to(principal)
                hidden = names - set(rows.filter(name__in=names).values_list("name", flat=True))
                telling += [pk for pk, found in named.items() if hidden & found.get(word, set())]
        return seen.exclude(pk__in=telling)


def _named_in(query: str) -> dict[str, set[str]]:
    """The names that the filters of a view hold, by kind."""
    found = QueryDict(query)
    return {word: set(split_values(found.getlist(word))) for word in _NAMING if word in found}
