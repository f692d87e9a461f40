"""Pools with host certificate authorities: what may be set, and nodes that are trusted by a certificate of a real sshd."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from fleetui.core.errors import InvalidInput
from nodes import tasks
from nodes.hosts import ssh
from nodes.models import HostCertificate, HostKey, Node, Pool, TimelineEvent
from nodes.services.credentials import add_credential
from nodes.services.groups import add_pool, checked_authorities, edit_pool
from nodes.services.polling import claim_due
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import NOW, make_node, make_user
from nodes.tests.pages import signed_in
from tests.sshd import RealSshd, keygen, real_sshd, sign_host

pytestmark = pytest.mark.one_database

LINE = ssh.generate_identity("ca")[1].public_line


def test_authorities_are_checked_line_by_line() -> None:
    bare = " ".join(LINE.split()[:2])
    assert checked_authorities(f"# ours\n{LINE}\n\n@cert-authority * {bare}\n") == bare
    for text, number in ((f"{LINE}\nnonsense", "2"), ("ssh-ed25519 AAAA", "1")):
        with pytest.raises(InvalidInput) as caught:
            checked_authorities(text)
        assert caught.value.field == "host_ca_keys"
        assert f"Line {number}" in caught.value.message
        assert caught.value.mend
    with pytest.raises(InvalidInput):
        checked_authorities("\n".join(ssh.generate_identity()[1].public_line for _ in range(21)))


def test_the_audit_log_has_fingerprints(db: None) -> None:
    pool = add_pool(name="web", actor=SYSTEM, now=NOW)
    edit_pool(pool=pool, changes={"host_ca_keys": LINE}, actor=SYSTEM, now=NOW)
    event = AuditEvent.objects.get(action="pools.edit")
    assert ssh.HostKey.parse(LINE).fingerprint in event.after
    assert LINE.split()[1] not in event.after


def test_page_and_api_take_and_show_them(cast: Cast) -> None:
    owner, api = signed_in(cast.owner), Api(cast.owner)
    bad = api.patch("pools/web/", {"host_ca_keys": "no key"})
    assert (bad.status_code, bad.json()["field"]) == (400, "host_ca_keys")
    assert api.patch("pools/web/", {"host_ca_keys": LINE}).json()["host_ca_keys"] == " ".join(LINE.split()[:2])
    assert ssh.HostKey.parse(LINE).fingerprint in owner.get(reverse("nodes:pool", args=["web"])).content.decode()
    form = owner.get(reverse("nodes:pool_edit", args=["web"])).context["form"]
    typed = {name: form[name].value() or "" for name in form.fields} | {"host_ca_keys": "no key"}
    response = owner.post(reverse("nodes:pool_edit", args=["web"]), typed)
    assert response.status_code == 422
    assert "Line 1 is no certificate authority" in response.content.decode()


class Lab:
    def __init__(self, server: RealSshd, ca: Path) -> None:
        self.server, self.ca = server, ca
        credential = add_credential(name="lab", username=pwd.getpwuid(os.getuid()).pw_name, actor=SYSTEM, now=NOW)
        (server.folder / "authorized_keys").write_text(credential.public_key + "\n")
        line = ca.with_name("ca.pub").read_text()
        self.pool: Pool = add_pool(name="auto", credential=credential, host_ca_keys=line, actor=SYSTEM, now=NOW)
        self.node = self.add("web-1")

    def add(self, name: str) -> Node:
        return make_node(name, address=self.server.address, port=self.server.port, pool=self.pool, facts_at=None)

    def poll(self) -> Node:
        Node.objects.update(poll_due_at=clock.now(), failures=0)
        lease = claim_due(lane="live", now=clock.now())
        assert lease
        tasks.poll_batch(str(lease))
        return Node.objects.get(pk=self.node.pk)


@pytest.fixture
def lab(transactional_db: None, tmp_path: Path) -> Iterator[Lab]:
    keygen(tmp_path / "ca")

    def certify(folder: Path) -> list[str]:
        sign_host(tmp_path / "ca", folder / "host_ed25519.pub", "web-1", "-z", "7", "-V", "-1h:+1w")
        return [f"HostCertificate {folder}/host_ed25519-cert.pub"]

    with real_sshd([], prepare=certify) as server:
        yield Lab(server, tmp_path / "ca")


def test_a_node_is_trusted_by_its_certificate(lab: Lab, django_assert_max_num_queries: Any) -> None:
    found = lab.poll()
    assert (found.reachability, found.last_error_kind) == ("reachable", "")
    assert not HostKey.objects.exists()
    kept = HostCertificate.objects.get()
    assert (kept.key_id, kept.serial, kept.principals) == ("host host_ed25519", "7", ["web-1"])
    assert TimelineEvent.objects.filter(kind="host_certificate_trusted").count() == 1
    first_seen = kept.seen_at
    lab.poll()
    assert HostCertificate.objects.get().seen_at == first_seen
    assert TimelineEvent.objects.filter(kind="host_certificate_trusted").count() == 1
    owner = make_user("owner", "admin")
    page = signed_in(owner).get(reverse("nodes:detail", args=["web-1"]), {"tab": "host-key"}).content.decode()
    ca = ssh.parse_authority(lab.ca.with_name("ca.pub").read_text()).fingerprint
    for part in ("host host_ed25519", ca, "Valid until"):
        assert part in page
    body = Api(owner).get("nodes/web-1/host-certificate/").json()
    assert (body["authority_fingerprint"], body["serial"]) == (ca, "7")


def test_a_node_of_another_name_is_not(lab: Lab) -> None:
    other = lab.add("web-2")
    lab.poll()
    other.refresh_from_db()
    assert (other.last_error_kind, other.last_error_params["reason"]) == ("bad_host_certificate", "wrong_principal")
    assert not HostKey.objects.filter(node=other).exists()
    owner = make_user("owner", "admin")
    page = signed_in(owner).get(reverse("nodes:detail", args=["web-2"])).content.decode()
    assert "is for web-1, not for this host" in page
    assert Api(owner).get("nodes/web-2/host-certificate/").status_code == 404


def test_a_key_that_was_offered_goes_when_the_certificate_does_not_hold(lab: Lab) -> None:
    """Offered while the pool had no authority, it stayed on the page beside "host certificate not trusted"."""
    other = lab.add("web-2")
    authorities = lab.pool.host_ca_keys
    Pool.objects.update(host_ca_keys="")
    lab.poll()
    assert HostKey.objects.filter(node=other, state="offered").count() == 1
    Pool.objects.update(host_ca_keys=authorities)
    lab.poll()
    other.refresh_from_db()
    assert other.last_error_kind == "bad_host_certificate"
    assert not HostKey.objects.filter(node=other, state="offered").exists()
    page = signed_in(make_user("owner", "admin")).get(reverse("nodes:detail", args=["web-2"]), {"tab": "host-key"})
    assert "trusted by its host certificate" not in page.content.decode()
    Pool.objects.update(host_ca_keys="")
    lab.poll()
    assert HostKey.objects.filter(node=other, state="offered").count() == 1


def test_a_pinned_key_stays_the_rule_until_it_is_forgotten(lab: Lab) -> None:
    other = ssh.HostKey.parse(LINE)
    HostKey.objects.create(
        node=lab.node, type=other.type, public_key=other.base64, fingerprint=other.fingerprint, state="pinned"
    )
    assert lab.poll().reachability == "key_mismatch"
    owner = make_user("owner", "admin")
    client = signed_in(owner)
    page = client.get(reverse("nodes:detail", args=["web-1"]), {"tab": "host-key"}).content.decode()
    assert "Forget it and trust the host certificate" in page
    client.post(reverse("nodes:forget_key", args=["web-1"]), {"reason": "moved to certificates"})
    assert lab.poll().reachability == "reachable"
    event = AuditEvent.objects.get(action="nodes.forget_key")
    assert event.reason == "moved to certificates"
    key = HostKey.objects.get(fingerprint=other.fingerprint)
    assert key.state == "replaced"
    assert Api(owner).post(f"host-keys/{key.pk}/forget/", {"reason": "again"}).status_code == 409


def test_adding_such_a_node_on_the_page_needs_no_comparing(lab: Lab) -> None:
    client = signed_in(make_user("owner", "admin"))
    Node.objects.all().delete()
    typed = {"name": "web-1", "address": lab.server.address, "port": lab.server.port, "pool": str(lab.pool.pk)}
    page = client.post(reverse("nodes:add"), typed, follow=True).content.decode()
    assert "host certificate host host_ed25519 is trusted" in page
    refused = client.post(reverse("nodes:add"), typed | {"name": "web-9", "allow_same_address": "on"}).content.decode()
    assert "is for web-1, not for this host" in refused
    assert [node.name for node in Node.objects.all()] == ["web-1"]


def test_forgetting_needs_the_right(cast: Cast) -> None:
    assert signed_in(cast.viewer).post(reverse("nodes:forget_key", args=["web-1"])).status_code == 403
