"""Channels one by one: what a mail server gets, and what a rule may hold."""

from __future__ import annotations

from datetime import timedelta
from email import message_from_string
from email.utils import parsedate_to_datetime
from uuid import uuid4

import pytest

from fleetui.audit.chain import iso
from fleetui.core import clock
from fleetui.core.api.bodies import checked_body
from fleetui.core.api.problems import InvalidFields
from fleetui.notify.api import ChannelBody
from fleetui.notify.formats import Item, Message, alerts
from fleetui.notify.models import Delivery
from fleetui.notify.sender import send_due
from fleetui.notify.tests.receivers import mail_receiver
from fleetui.notify.tests.test_notify import happens, webhook

pytestmark = pytest.mark.django_db


def test_mail_is_taken_or_refused_by_a_mail_server() -> None:
    with mail_receiver() as heard:
        settings = {
            "host": "127.0.0.1",
            "port": heard.port,
            "security": "none",
            "sender": "fleet@example.com",
            "recipients": ["ops@example.com"],
        }
        webhook(heard, kind="email", settings=settings, secrets={})
        happens()
        assert send_due(clock.now()) == 1
        assert "Subject: [FleetUI critical] schedule.failed 0" in heard.mails[0]
        assert "To: ops@example.com" in heard.mails[0]
        row = Delivery.objects.get()
        mail = message_from_string(heard.mails[0])
        # What comes twice is the same mail: it can be recognised.
        assert mail["Message-ID"] == f"<{row.message_id}@example.com>"
        assert parsedate_to_datetime(mail["Date"]) == row.happened_at.replace(microsecond=0)
        heard.status = 550
        happens()
        assert send_due(clock.now()) == 0
        assert Delivery.objects.get(state="waiting").said == "It takes none of the recipients."


def test_a_misspelt_field_of_a_rule_is_refused() -> None:
    given = {"name": "ops", "kind": "slack", "rules": [{"min_severity": "warning"}]}
    with pytest.raises(InvalidFields) as refused:
        checked_body(ChannelBody, given)
    (found,) = refused.value.errors
    assert (found.field, found.detail) == ("rules", "rules: min_severity is not a field of this.")
    assert found.mend == "Each takes an object of events, pool_id or severity."


@pytest.mark.parametrize(
    ("wrong", "severity", "well"),
    [("backup.overdue", "critical", "backup.recovered"), ("backup.unproven", "warning", "backup.proven")],
)
def test_a_backup_that_is_well_again_ends_its_alert(wrong: str, severity: str, well: str) -> None:
    began, ended = (
        alerts(Message(uuid4(), event, [Item("", "", "backup-policy:etcd", "web", {}, how, clock.now())]))[0]
        for event, how in ((wrong, severity), (well, "info"))
    )
    assert began["labels"] == ended["labels"]
    assert ended["endsAt"] < began["endsAt"]


def test_the_alert_of_a_test_ends_soon() -> None:
    item = Item("", "", "channel:am", None, {}, "info", clock.now())
    found = [alerts(Message(uuid4(), event, [item]))[0]["endsAt"] for event in ("test", "operation.finished")]
    assert found == [iso(item.at + timedelta(minutes=5)), iso(item.at + timedelta(hours=24))]
