"""A machine that is made anew by the installer that it starts itself: its scripts, run for real, and everything that may go wrong."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from fleetui.core.errors import InvalidInput
from nodes.hosts import drivers
from nodes.hosts.drivers.base import Command, unguarded
from nodes.hosts.ssh import CommandResult
from nodes.tests.make import make_pool, make_user
from nodes.tests.pages import signed_in
from ops.actions.base import LeaseLost
from ops.engine.replacing import OnHost
from ops.models import Provisioner
from ops.replacement import NotReady, Order, Progress
from ops.replacement import in_place as made
from ops.replacement.in_place import Away, InPlace, Live, Ran
from ops.services.replacing.provisioners import opened, set_provisioner, try_provisioner

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
KERNEL, INITRAMFS = b"a kernel", b"an initramfs"
SETTINGS: dict[str, Any] = {
    "kernel_url": "https://images.example.org/kernel",
    "kernel_sha256": hashlib.sha256(KERNEL).hexdigest(),
    "initramfs_url": "https://images.example.org/initramfs",
    "initramfs_sha256": hashlib.sha256(INITRAMFS).hexdigest(),
    "rootfs_url": "https://images.example.org/rootfs",
    "install_dev": "/dev/disk/by-id/ata-1",
    "keep_partitions": ["data", "var*"],
    "arguments": "ip={address}::10.0.0.1:255.255.255.0:{node}:ens3:none console=ttyS0",
}
#: The programs that a test must not really run, in a folder before all others.
PROGRAMS = {
    "sudo": 'shift; exec "$@"',
    "kexec": 'printf "%s\\n" "$@" >"$LAB/kexec"; [ ! -e "$LAB/refuses" ] || { echo "kexec: locked down" >&2; exit 1; }',
    "systemctl": 'echo "$@" >>"$LAB/systemctl"; case "$*" in *is-active*) [ -e "$LAB/active" ];; esac',
    "systemd-run": 'while [ "$1" != -- ]; do shift; done; shift; echo run >>"$LAB/units"; "$@" || true',
    "findmnt": "echo /dev/mapper/root[/ostree]",
    "lsblk": 'cat "$LAB/disks" 2>/dev/null',
    "curl": 'while [ $# -gt 3 ]; do shift; done; cp "$LAB/images/${3##*/}" "$2"',
}
ORDER = Order(
    id="5f0c",
    node="web-3",
    address="10.0.0.3",
    port=22,
    pool="web",
    cluster="",
    generation=2,
    url="https://fleet.example.org/ignition/fleetui-ignition_secret",
    sha512="sha512-x",
    host_key="SHA256:x",
)


class Lab:
    """A host whose shell is this machine's, with such programs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.away, self.asked = folder, [Away("timed out")][:0], 0
        (folder / "images").mkdir()
        (folder / "images/kernel").write_bytes(KERNEL)
        (folder / "images/initramfs").write_bytes(INITRAMFS)
        (folder / "bin").mkdir()
        for name, body in PROGRAMS.items():
            (folder / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
            (folder / "bin" / name).chmod(0o755)

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", changes: bool = True) -> Ran:
        self.asked += 1
        if self.away:
            raise self.away.pop(0)
        env = {**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "LAB": str(self.folder)}
        done = subprocess.run(list(argv), input=stdin, env=env, capture_output=True, check=False)
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    def read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr(made, "FOLDER", str(tmp_path / "install"))
    monkeypatch.setattr(made, "LEAST_FREE_KIB", 1)
    return Lab(tmp_path)


def by(lab: Lab | None, now: datetime = NOW, **over: Any) -> InPlace:
    given = {**SETTINGS, **over}
    live = Live(
        given["kernel_url"],
        given["kernel_sha256"],
        given["initramfs_url"],
        given["initramfs_sha256"],
        given["rootfs_url"],
    )
    return InPlace(live, given["install_dev"], given["keep_partitions"], given["arguments"], 1800, lab, lambda: now)


def until(found: InPlace, handle: Any, code: str) -> Progress:
    """Looks until it says so; what it says before is on the way."""
    for _look in range(8):
        done = found.look(ORDER, handle)
        if done.code == code:
            return done
        assert done.state == "works", done
        handle = done.handle
    raise AssertionError(done)


def test_the_installer_is_fetched_compared_and_started(lab: Lab) -> None:
    found = by(lab)
    ready = until(found, found.start(ORDER, 1), "in_place_ready")
    assert ready.begins
    assert lab.read("kexec") == "", "nothing is started before that is written down"
    goes = found.look(ORDER, ready.handle)
    assert goes.code == "in_place_goes"
    *_words, line = lab.read("kexec").splitlines()
    assert line.partition("=")[2].split() == [
        "ignition.firstboot",
        "ignition.platform.id=metal",
        "coreos.live.rootfs_url=https://images.example.org/rootfs",
        "coreos.inst.install_dev=/dev/disk/by-id/ata-1",
        f"coreos.inst.ignition_url={ORDER.url}",
        "coreos.inst.save_partlabel=data,var*",
        "ip=10.0.0.3::10.0.0.1:255.255.255.0:web-3:ens3:none",
        "console=ttyS0",
    ]
    assert lab.read("systemctl").splitlines()[-1] == "--no-block kexec"
    lab.away = [Away("refused")]
    assert found.look(ORDER, goes.handle).state == "replaced"


def test_what_is_shown_and_kept_leads_to_no_secret(lab: Lab) -> None:
    found = by(lab)
    handle = until(found, found.start(ORDER, 1), "in_place_ready").handle
    goes = found.look(ORDER, handle)
    assert ORDER.url not in f"{handle}{goes.handle}{goes}{found.commands('web-3', '10.0.0.3')}"
    scripts = made.CHECK + made.FETCH + made.LOOK + made.GO + made.FORGET
    assert "ignition_url" not in scripts, "it comes by the standard input"


def test_another_content_is_not_started(lab: Lab) -> None:
    (lab.folder / "images/kernel").write_bytes(b"another")
    found = by(lab)
    done = found.look(ORDER, found.start(ORDER, 1))
    assert (done.state, done.code) == ("failed", "in_place_not_fetched")
    assert "FAILED" in done.said
    assert not done.begins
    (lab.folder / "images/kernel").write_bytes(KERNEL)
    until(found, found.start(ORDER, 2), "in_place_ready")


def test_a_worker_that_dies_starts_nothing_twice(lab: Lab) -> None:
    found = by(lab)
    (lab.folder / "active").touch()
    found.start(ORDER, 1)
    assert lab.read("units") == "", "its unit runs already"
    (lab.folder / "active").unlink()
    handle = until(found, found.start(ORDER, 1), "in_place_ready").handle
    found.look(ORDER, handle)
    # It died before it could write down that the installer was started: the host is still there, or it is the installer.
    assert found.look(ORDER, handle).code == "in_place_goes"
    lab.away = [Away("another key", is_new=True)]
    assert found.look(ORDER, handle).state == "replaced"


def test_a_host_that_was_restarted_meanwhile_is_not_told_to_go(lab: Lab) -> None:
    found = by(lab)
    handle = until(found, found.start(ORDER, 1), "in_place_ready").handle
    done = found.look(ORDER, {**handle, "boot": "another"})
    assert (done.code, lab.read("kexec")) == ("in_place_restarted", "")


def test_a_kernel_that_refuses_says_so(lab: Lab) -> None:
    (lab.folder / "refuses").touch()
    found = by(lab)
    done = found.look(ORDER, until(found, found.start(ORDER, 1), "in_place_ready").handle)
    assert (done.state, done.code, done.said.strip()) == ("failed", "in_place_refused", "kexec: locked down")
    assert done.untouched
    assert "kexec\n" not in lab.read("systemctl").replace("--no-block ", "")


def test_an_old_system_that_stays_or_comes_back_needs_a_person(lab: Lab) -> None:
    found = by(lab)
    goes = found.look(ORDER, until(found, found.start(ORDER, 1), "in_place_ready").handle)
    stayed = found.look(ORDER, {**goes.handle, "looks": 60})
    back = found.look(ORDER, {**goes.handle, "boot": "another"})
    assert [(one.code, one.by_itself) for one in (stayed, back)] == [
        ("in_place_stayed", False),
        ("in_place_came_back", False),
    ]


def test_what_the_shutdown_ends_says_nothing_of_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    found = by(lab)
    handle = until(found, found.start(ORDER, 1), "in_place_ready").handle
    monkeypatch.setattr(lab, "run", lambda *_argv, **_given: Ran(143, "", ""))
    goes = found.look(ORDER, handle)
    assert goes.code == "in_place_goes", "the answer was ended, not the start of the installer"
    assert found.look(ORDER, goes.handle).code == "in_place_goes"
    assert found.look(ORDER, {**goes.handle, "looks": 60}).code == "in_place_stayed"


def test_nobody_else_may_make_the_folder() -> None:
    """Whoever owns it could put another kernel into it after the comparison."""
    assert Path(made.FOLDER).parent.stat().st_mode & 0o022 == 0


def test_silence_is_no_installer_before_it_was_started(lab: Lab) -> None:
    found = by(lab)
    handle = found.start(ORDER, 1)
    lab.away = [Away("another key", is_new=True), Away("timed out")]
    assert found.look(ORDER, handle).code == "in_place_silent"
    later = by(lab, NOW + timedelta(hours=1))
    done = later.look(ORDER, handle)
    assert (done.code, done.by_itself) == ("in_place_lost", False)


def test_what_was_begun_is_taken_back(lab: Lab) -> None:
    found = by(lab)
    until(found, found.start(ORDER, 1), "in_place_ready")
    assert (lab.folder / "install/kernel").exists()
    found.forget(ORDER)
    assert not (lab.folder / "install").exists()
    lab.away = [Away("gone")]
    found.forget(ORDER)
    by(None).forget(ORDER)


@pytest.mark.parametrize(
    ("over", "code"),
    [({"install_dev": "/dev/fleetui-none"}, "in_place_device"), ({}, "in_place_program"), ({}, "in_place_memory")],
)
def test_what_stands_against_it_is_named(lab: Lab, monkeypatch: pytest.MonkeyPatch, over: Any, code: str) -> None:
    device = next(str(one) for one in Path("/dev").iterdir() if one.is_block_device())
    given = {"install_dev": device, **over}
    by(lab, **given).ready() if not over else None
    if code == "in_place_program":
        (lab.folder / "bin/kexec").unlink()
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
    if code == "in_place_memory":
        monkeypatch.setattr(made, "LEAST_MEMORY_KIB", 10**12)
    with pytest.raises(NotReady) as refused:
        by(lab, **given).ready()
    assert refused.value.code == code
    lab.away = [Away("timed out")]
    with pytest.raises(NotReady) as silent:
        by(lab, **given).ready()
    assert silent.value.code == "in_place_away"


@pytest.mark.django_db
class TestSettings:
    def set(self, **over: Any) -> Provisioner:
        settings = {name: value for name, value in {**SETTINGS, **over}.items() if value is not None}
        return set_provisioner(
            name="metal",
            kind="in_place",
            settings=settings,
            base_url="https://fleet.example.org",
            actor=SYSTEM,
            now=clock.now(),
        )

    def test_they_are_kept_and_opened(self) -> None:
        row = self.set(keep_partitions=None, arguments=None)
        assert (row.settings["keep_partitions"], row.settings["arguments"], row.settings["limit_s"]) == ([], "", 1800)
        try_provisioner(provisioner=row, actor=SYSTEM)
        (load, go) = opened(row).commands("web-3", "10.0.0.3")
        assert load[0] == "kexec"
        assert go == ["systemctl", "kexec"]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("kernel_url", "file:///etc/passwd"),
            ("kernel_url", "https://a:b@images.example.org/x"),
            ("initramfs_url", ""),
            ("rootfs_url", "https://images.example.org/a b"),
            ("kernel_sha256", "sha512-x"),
            ("install_dev", "sda"),
            ("install_dev", "/dev/../etc"),
            ("install_dev", "/dev/sda coreos.inst.insecure"),
            ("keep_partitions", "data"),
            ("keep_partitions", ["a,b"]),
            ("arguments", "a\nb"),
            ("arguments", 'x="y z"'),
            ("arguments", ["x"]),
            ("limit_s", 1),
        ],
    )
    def test_what_cannot_be_names_its_field(self, name: str, value: Any) -> None:
        with pytest.raises(InvalidInput) as refused:
            self.set(**{name: value})
        assert refused.value.field == name
        assert refused.value.mend

    def test_the_form_adds_and_changes_one(self) -> None:
        client = signed_in(make_user("boss", "admin"))
        pool = make_pool("web")
        address = "/settings/provisioners/-/add/?kind=in_place"
        assert 'name="kernel_sha256"' in client.get(address).content.decode()
        given = {**SETTINGS, "keep_partitions": "data, var*", "limit_s": "900", "name": "metal", "pools": [pool.pk]}
        client.post(address, {**given, "base_url": "https://fleet.example.org"})
        row = Provisioner.objects.get()
        assert row.settings == {**SETTINGS, "limit_s": 900}
        page = client.get(f"/settings/provisioners/{row.pk}/").content.decode()
        assert 'value="data, var*"' in page


def test_another_disk_than_that_of_the_system_is_named(lab: Lab) -> None:
    device = next(str(one) for one in Path("/dev").iterdir() if one.is_block_device())
    (lab.folder / "disks").write_text(f"/dev/mapper/root\n/dev/none3\n/dev/none\n{device}\n")
    by(lab, install_dev=device).ready()
    (lab.folder / "disks").write_text("/dev/mapper/root\n/dev/none3\n/dev/none\n")
    with pytest.raises(NotReady) as refused:
        by(lab, install_dev=device).ready()
    assert (refused.value.code, refused.value.params) == ("in_place_other_disk", {"value": device})


class Told:
    """The host of a step: what it is told, and how that ends."""

    def __init__(self, status: int = 0) -> None:
        self.status, self.commands = status, list[Command]()

    def run(self, command: Command) -> CommandResult:
        self.commands.append(command)
        shown = b"0a-1b\n120.50 200.00\n" if "/proc/uptime" in command.argv else b"done"
        return CommandResult(0 if "/proc/uptime" in command.argv else self.status, shown, b"", 0.1)


def test_what_changes_the_host_is_fenced_there(settings: Any) -> None:
    host, fence = Told(), drivers.get("fcos").fence
    machine = OnHost(host, fence)  # type: ignore[arg-type]
    machine.run(["sudo", "true"], stdin=b"x")
    told = host.commands[-1]
    assert unguarded(told.argv) == ("sudo", "true")
    assert told.argv[4:6] == ("0a-1b", str(120 + settings.OPERATION_LEASE_S))
    assert told.stdin == b"x"
    machine.run(["cat", "x"], changes=False)
    assert host.commands[-1].argv == ("cat", "x")
    with pytest.raises(LeaseLost):
        OnHost(Told(76), fence).run(["sudo", "true"])  # type: ignore[arg-type]


def test_orders_of_other_nodes_have_their_own_arguments() -> None:
    line = by(None).command_line("https://x", "db-1", "10.0.0.9")
    assert "ip=10.0.0.9::10.0.0.1:255.255.255.0:db-1:ens3:none" in line
    assert "web-3" not in replace(by(None), arguments="").command_line("https://x", "db-1", "10.0.0.9")
