"""Credentials in the browser: the private half goes in and never comes out."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core.errors import SealBroken
from nodes.hosts.ssh import generate_identity
from nodes.models import Credential
from nodes.services.credentials import add_credential, edit_credential, identity_of
from nodes.tests.cast import Cast
from nodes.tests.make import NOW, make_credential, make_user
from nodes.tests.pages import signed_in

pytestmark = pytest.mark.django_db
ADD = reverse("nodes:credential_add")


def test_a_key_made_here_shows_its_public_half_only(cast: Cast) -> None:
    browser = signed_in(cast.owner)
    done = browser.post(ADD, {"name": "fleet", "username": "core", "source": "generate"})
    credential = Credential.objects.get(name="fleet")
    page = browser.get(done["Location"]).content.decode()
    assert credential.public_key in page
    assert "PRIVATE KEY" not in page
    assert credential.sealed_private_key not in page


@pytest.mark.parametrize("how", ["paste", "file"])
def test_a_key_that_one_has(cast: Cast, how: str) -> None:
    text, identity = generate_identity("mine")
    given = {"name": "mine", "username": "ops", "source": "bring"}
    part = {"private_key": text} if how == "paste" else {"key_file": SimpleUploadedFile("id_ed25519", text.encode())}
    assert signed_in(cast.owner).post(ADD, {**given, **part}).status_code == 302
    assert identity_of(Credential.objects.get(name="mine")).fingerprint == identity.fingerprint


def test_a_key_that_cannot_be_read_is_told_and_not_drawn_again(cast: Cast) -> None:
    given = {"name": "mine", "username": "ops", "source": "bring", "private_key": "TOPSECRET", "passphrase": "HUSHHUSH"}
    page = signed_in(cast.owner).post(ADD, given)
    text = page.content.decode()
    assert page.status_code == 422
    assert page.context["form"].errors["private_key"]
    assert "TOPSECRET" not in text
    assert "HUSHHUSH" not in text
    assert 'value="mine"' in text
    nothing = signed_in(cast.owner).post(ADD, {**given, "private_key": ""})
    assert "Paste the private key" in nothing.content.decode()


def test_replacing_the_key(cast: Cast) -> None:
    browser = signed_in(cast.owner)
    browser.post(ADD, {"name": "fleet", "username": "core", "source": "generate"})
    old = Credential.objects.get(name="fleet")
    url = reverse("nodes:credential_rotate", args=[old.pk])
    text, identity = generate_identity("new")
    stale = browser.post(url, {"source": "bring", "private_key": text, "revision": "99"})
    assert stale.status_code == 412
    assert text.splitlines()[1] not in stale.content.decode()
    assert browser.post(url, {"source": "bring", "private_key": text, "revision": str(old.revision)}).status_code == 302
    new = Credential.objects.get(pk=old.pk)
    assert (new.fingerprint, bool(new.rotated_at)) == (identity.fingerprint, True)
    assert browser.post(url, {"source": "generate", "revision": str(new.revision)}).status_code == 302
    assert Credential.objects.get(pk=old.pk).fingerprint not in (old.fingerprint, identity.fingerprint)


def test_the_same_key_given_again_is_sealed_anew_where_its_seal_is_broken(cast: Cast) -> None:
    text, identity = generate_identity("")
    credential = add_credential(name="fleet", private_key=text, actor=SYSTEM, now=NOW)
    edit_credential(credential=credential, changes={"private_key": text}, actor=SYSTEM, now=NOW)
    assert Credential.objects.get(pk=credential.pk).revision == credential.revision == 1
    Credential.objects.filter(pk=credential.pk).update(sealed_private_key="v1:00000000:" + "A" * 80)
    lost = Credential.objects.get(pk=credential.pk)
    with pytest.raises(SealBroken):
        identity_of(lost)
    edit_credential(credential=lost, changes={"private_key": text}, actor=SYSTEM, now=NOW)
    mended = Credential.objects.get(pk=credential.pk)
    assert identity_of(mended).fingerprint == identity.fingerprint
    assert mended.rotated_at is None
    event = AuditEvent.objects.get(action="credentials.edit")
    assert event.before == '{"sealed_private_key":"does not open"}'
    assert event.after == '{"sealed_private_key":"sealed anew"}'


def test_edit_and_delete(cast: Cast) -> None:
    credential = make_credential("fleet")
    browser = signed_in(cast.owner)
    edit, delete = (reverse(f"nodes:credential_{what}", args=[credential.pk]) for what in ("edit", "delete"))
    given = {"name": "fleet-2", "username": "ops", "certificate": "", "revision": str(credential.revision)}
    assert browser.post(edit, given).status_code == 302
    assert browser.post(edit, given).status_code == 412
    browser.post(delete, {"confirm": "fleet"})
    assert Credential.objects.exists(), "the name was not typed as it is"
    cast.web.credential = credential
    cast.web.save()
    browser.post(delete, {"confirm": "fleet-2"})
    assert Credential.objects.exists(), "it is in use"
    cast.web.credential = None
    cast.web.save()
    browser.post(delete, {"confirm": "fleet-2"})
    assert not Credential.objects.exists()


def test_where_it_is_used_and_who_sees_it(cast: Cast) -> None:
    credential = make_credential("fleet")
    cast.web.credential = credential
    cast.web.save()
    url = reverse("nodes:credential", args=[credential.pk])
    assert "web · 1 node" in signed_in(cast.owner).get(url).content.decode()
    only_web, only_db = (signed_in(make_user(f"of-{pool}", ("operator", pool))) for pool in (cast.web, cast.db))
    assert only_web.get(url).status_code == 200
    assert only_db.get(url).status_code == 404
    assert "Replace the key" not in only_web.get(url).content.decode()
    for name in ("edit", "rotate"):
        assert only_web.get(reverse(f"nodes:credential_{name}", args=[credential.pk])).status_code == 403
    assert only_web.post(reverse("nodes:credential_delete", args=[credential.pk])).status_code == 403
    assert only_web.get(ADD).status_code == 403
    assert signed_in(cast.viewer).get(reverse("nodes:credentials")).status_code == 403
