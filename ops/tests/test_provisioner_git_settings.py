"""Which repositories a provisioner may take its directory out of, how they are set, and what becomes of their secrets."""

from __future__ import annotations

from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core.errors import InvalidInput
from nodes.git.address import Allowed, parse
from nodes.tests.git.repositories import Work
from ops.models import Provisioner, ProvisionerSource
from ops.services.replacing.provisioners import (
    CannotBeAsked,
    delete_provisioner,
    opened,
    set_provisioner,
    try_provisioner,
)
from ops.services.replacing.repositories import is_permitted
from ops.tests.test_replacement import START
from ops.tests.test_terraform import ADDRESS
from ops.tests.test_terraform_git import work

__all__ = ["work"]
pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


def saved(work: Work, provisioner: Provisioner | None = None, secret: str = "", **over: Any) -> Provisioner:
    given = {"git": {"url": str(work.bare), **over.pop("git", {})}, "directory": "workers", "address": ADDRESS, **over}
    return set_provisioner(
        name="tf",
        kind="terraform",
        settings={name: value for name, value in given.items() if value is not None},
        base_url="https://f.example",
        secret=secret,
        provisioner=provisioner,
        actor=SYSTEM,
        now=START,
    )


def test_settings_of_a_repository_are_checked(work: Work, settings: Any) -> None:
    token = {"url": "https://git.example.org/infra/a.git", "auth": "token"}
    settings.PROVISIONERS_GIT = [*settings.PROVISIONERS_GIT, "https://git.example.org/infra/"]
    for name, over in (
        ("url", {"git": {"url": "https://git.example.org/other/a.git"}}),
        ("url", {"git": {"url": "https://git.example.org/infra/../other/a.git"}}),
        ("url", {"git": {"url": "https://git.example.org/infra/%2e%2e/a.git"}}),
        ("url", {"git": {"url": "https://git.example.org:8443/infra/a.git"}}),
        ("url", {"git": {"url": "https://git.example.org/infra"}}),
        ("url", {"git": {"url": "/etc"}}),
        ("url", {"git": {"url": 7}}),
        ("ref", {"git": {"ref": "a b"}}),
        ("ref", {"git": {"ref_kind": "commit", "ref": "abc"}}),
        ("ref_kind", {"git": {"ref_kind": "pull"}}),
        ("secret", {"git": token}),
        ("auth", {"git": {"auth": "key"}}),
        ("allowed_signers", {"git": {"require_signed": True}}),
        ("directory", {"directory": "../x"}),
        ("directory", {"directory": "/x"}),
        ("depth", {"git": {"depth": 1}}),
    ):
        with pytest.raises(InvalidInput) as refused:
            saved(work, **over)
        assert refused.value.field == name, over
        assert refused.value.mend
    assert not Provisioner.objects.exists()


@pytest.mark.parametrize(
    ("named", "url", "may"),
    [
        ("https://git.example.org/", "https://git.example.org/infra/a.git", True),
        ("https://git.example.org/infra/", "https://git.example.org/infra/a/b.git", True),
        ("https://git.example.org/infra/", "https://git.example.org/infrared/a.git", False),
        ("https://git.example.org/infra/", "https://git.example.org/infra/..%2f../a.git", False),
        ("https://git.example.org/infra", "https://git.example.org/infra/a.git", False),
        ("https://git.example.org/infra/a.git", "https://git.example.org/infra/a.git", True),
        ("https://git.example.org/", "ssh://git@git.example.org/infra/a.git", False),
        ("https://git.example.org/", "https://git.example.org:444/infra/a.git", False),
        ("ssh://git@git.example.org/", "ssh://root@git.example.org/infra/a.git", False),
        ("git@git.example.org:infra/", "git@git.example.org:infra/a.git", True),
        ("no address", "https://git.example.org/infra/a.git", False),
    ],
)
def test_the_operator_names_the_repositories(settings: Any, named: str, url: str, *, may: bool) -> None:
    settings.PROVISIONERS_GIT = [named]
    assert is_permitted(parse(url, Allowed())) is may


def test_a_secret_stays_until_the_server_is_another(work: Work, settings: Any) -> None:
    settings.PROVISIONERS_GIT = ["https://git.example.org/infra/", "https://other.example.org/infra/"]
    token = {"url": "https://git.example.org/infra/a.git", "auth": "token", "ref_kind": "tag", "ref": "refs/tags/v1"}
    row = saved(work, git=token, secret="s3cret", directory="")
    assert (row.source.ref, row.settings["directory"], row.sealed_secret) == ("v1", ".", "")
    row = saved(work, row, git=token)
    assert opened(row).repository.sign_in.password == "s3cret"  # type: ignore[attr-defined]
    with pytest.raises(InvalidInput) as refused:
        saved(work, row, git={**token, "url": "https://other.example.org/infra/a.git"})
    assert refused.value.field == "secret"
    settings.PROVISIONERS_GIT = []
    row = Provisioner.objects.get()
    with pytest.raises(CannotBeAsked, match="may not take directories out of https://git"):
        try_provisioner(provisioner=row, actor=SYSTEM)
    told = str(list(AuditEvent.objects.values_list("after", flat=True)))
    assert "refs/tags" not in told
    assert "s3cret" not in told
    back = set_provisioner(
        name="tf",
        kind="terraform",
        settings={"directory": "workers", "address": ADDRESS},
        base_url="https://f.example",
        provisioner=row,
        actor=SYSTEM,
        now=START,
    )
    assert not ProvisionerSource.objects.exists()
    delete_provisioner(provisioner=back, actor=SYSTEM)
