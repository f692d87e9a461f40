"""An export names the keys of all that it holds, also where nothing else is sealed or signed by them."""

from __future__ import annotations

import pytest
from django.conf import settings

from fleetui.access.principals import SYSTEM
from fleetui.access.token_text import pepper_name
from fleetui.core import clock
from fleetui.core.crypto import key_id
from fleetui.notify.channels import set_channel
from fleetui.transfer.keys import needed
from nodes.services.provisioning.offer import provision
from nodes.services.provisioning.pool_tokens import add_pool_token
from nodes.tests.make import make_config, make_node, make_pool, make_version

pytestmark = pytest.mark.django_db


def test_nothing_needs_no_key() -> None:
    found = needed()
    assert (found.encryption, found.peppers) == ([], [])


def test_the_secret_of_a_channel() -> None:
    hook = {"url": "https://receiver.example/"}
    secret = {"secret": "a secret of sixteen and more"}
    set_channel(name="hook", kind="webhook", settings=hook, secrets=secret, actor=SYSTEM, now=clock.now())
    assert needed().encryption == [key_id(settings.ENCRYPTION_KEYS[0])]


def test_the_token_of_a_pool() -> None:
    add_pool_token(pool=make_pool("web"), name="group", days=1, actor=SYSTEM, now=clock.now())
    assert needed().peppers == [pepper_name(settings.TOKEN_PEPPERS[0])]


def test_a_config_that_waits_for_its_machine() -> None:
    pool = make_pool("web")
    node = make_node(pool=pool, last_seen_at=None)
    version = make_version(make_config("edge", pool), state="approved")
    provision(node=node, version=version, actor=SYSTEM, now=clock.now())
    found = needed()
    assert found.encryption == [key_id(settings.ENCRYPTION_KEYS[0])]
    assert found.peppers == [pepper_name(settings.TOKEN_PEPPERS[0])]
