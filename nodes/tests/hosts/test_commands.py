"""The commands that change a host: exact argument lists, refusals, and the fence around them."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nodes.hosts import drivers
from nodes.hosts.drivers.base import Command, CommandRefused, Driver
from nodes.tests.hosts.hostdoubles import BOOT_ID, CHECKSUM

FCOS = drivers.get("fcos")
DIGEST = "sha256:" + "1" * 64
STAGING = "sudo -n rpm-ostree {} --bypass-driver --unchanged-exit-77"


@pytest.mark.parametrize(
    ("kind", "params", "line"),
    [
        ("check", {}, "sudo -n rpm-ostree upgrade --check --bypass-driver"),
        ("upgrade", {}, STAGING.format("upgrade")),
        ("upgrade", {"lock": True}, STAGING.format("upgrade") + " --lock-finalization"),
        ("deploy", {"version": "43.1.2.3"}, STAGING.format("deploy") + " version=43.1.2.3"),
        ("deploy", {"checksum": CHECKSUM["a"]}, STAGING.format("deploy") + f" revision={CHECKSUM['a']}"),
        (
            "deploy",
            {"digest": DIGEST, "disallow_downgrade": True},
            STAGING.format("deploy") + f" --disallow-downgrade {DIGEST}",
        ),
        (
            "rebase",
            {"image": "ostree-image-signed:docker://quay.io/x/y:stable", "digest": DIGEST},
            STAGING.format("rebase") + f" ostree-image-signed:docker://quay.io/x/y:stable {DIGEST}",
        ),
        ("finalize", {"checksum": CHECKSUM["a"]}, f"sudo -n rpm-ostree finalize-deployment {CHECKSUM['a']}"),
        ("rollback", {}, "sudo -n rpm-ostree rollback"),
        ("reboot", {}, "sudo -n systemctl reboot"),
        ("pin", {"deployment": 0}, "sudo -n ostree admin pin 0"),
        ("unpin", {"deployment": "rollback"}, "sudo -n ostree admin pin --unpin rollback"),
        ("cleanup_pending", {}, "sudo -n rpm-ostree cleanup -p"),
        ("cleanup_rollback", {}, "sudo -n rpm-ostree cleanup -r"),
        ("cancel", {}, "sudo -n rpm-ostree cancel"),
        ("kargs", {}, "rpm-ostree kargs"),
        (
            "kargs_set",
            {"append": ["a=1"], "delete": ["b"], "replace": ["c=2"]},
            "sudo -n rpm-ostree kargs --unchanged-exit-77 --delete-if-present=b --replace=c=2 --append-if-missing=a=1",
        ),
        ("cleanup_old", {}, "sudo -n rpm-ostree cleanup -b -m"),
        ("unit_restart", {"unit": "kubelet.service"}, "sudo -n systemctl restart kubelet.service"),
        ("zincati_restart", {}, "sudo -n systemctl restart zincati.service"),
    ],
)
def test_argument_lists(kind: str, params: dict[str, Any], line: str) -> None:
    assert " ".join(FCOS.command(kind, **params).argv) == line


@pytest.mark.parametrize("driver", [drivers.get(family) for family in drivers.families()], ids=lambda one: one.family)
@pytest.mark.parametrize(
    ("capability", "command", "params"),
    [
        ("containers", "container_shown", {"container": "web"}),
        ("certbot", "certbot_renew", {"certificate": "example.org"}),
        ("kubeadm", "kubeadm_shown", {}),
    ],
)
def test_what_a_driver_can_it_has_commands_for(
    driver: Driver, capability: str, command: str, params: dict[str, Any]
) -> None:
    found = driver.capabilities.get(capability)
    if found is not None and found.supported:
        assert driver.command(command, **params).argv[0] == "sudo"


def test_flags_of_commands() -> None:
    assert FCOS.command("reboot").expects_disconnect
    assert FCOS.command("finalize", checksum=CHECKSUM["a"]).expects_disconnect
    assert FCOS.command("upgrade").long
    assert FCOS.command("upgrade").unchanged_statuses == {77}
    assert not FCOS.command("check").changes
    assert FCOS.capabilities["reboot"].disruptive
    assert not FCOS.capabilities["upgrade"].disruptive


@pytest.mark.parametrize(("kind", "folder"), [("zincati_pause", "/etc"), ("hold", "/run")])
def test_pausing_zincati_names_its_file(kind: str, folder: str) -> None:
    argv = FCOS.command(kind).argv
    assert argv[:4] == ("sudo", "-n", "sh", "-c")
    assert argv[-2:] == (f"{folder}/zincati/config.d", "99-fleetui-pause.toml")
    assert FCOS.command("zincati_resume").argv[-1] == "99-fleetui-pause.toml"


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("format_disk", {}),
        ("upgrade", {"other": 1}),
        ("upgrade", {"lock": "yes"}),
        ("deploy", {}),
        ("deploy", {"version": "1", "checksum": CHECKSUM["a"]}),
        ("deploy", {"version": "--reboot"}),
        ("deploy", {"version": "1; reboot"}),
        ("deploy", {"checksum": "abc"}),
        ("deploy", {"version": 43}),
        ("rebase", {}),
        ("rebase", {"image": "--help"}),
        ("rebase", {"image": "quay.io/x y"}),
        ("finalize", {}),
        ("pin", {"deployment": -1}),
        ("pin", {"deployment": "all"}),
        ("pin", {"deployment": True}),
        ("pin", {}),
        ("kargs_set", {}),
        ("kargs_set", {"append": "quiet"}),
        ("kargs_set", {"append": ["a\nb"]}),
        ("kargs_set", {"append": [""]}),
        ("kargs_set", {"append": ["init=/bin/sh"]}),
        ("unit_restart", {"unit": "sshd.service"}),
        ("unit_restart", {"unit": "reboot.target"}),
        ("unit_restart", {"unit": "kubelet.service", "invocation": "$(id)"}),
    ],
)
def test_refusals(kind: str, params: dict[str, Any]) -> None:
    with pytest.raises(CommandRefused) as refused:
        FCOS.command(kind, **params)
    assert re.fullmatch(r"[A-Z][^\n]*\.", str(refused.value))


@pytest.mark.parametrize("family", drivers.families())
def test_every_capability_says_why_not(family: str) -> None:
    driver = drivers.get(family)
    assert set(driver.capabilities) == set(FCOS.capabilities)
    assert driver.transport == "ssh"
    for kind, capability in driver.capabilities.items():
        assert capability.supported is not bool(capability.reason)
        if not capability.supported:
            with pytest.raises(CommandRefused, match=re.escape(capability.reason)):
                driver.command(kind)


def test_relatives_differ_in_what_they_can() -> None:
    assert not drivers.get("rhcos").capabilities["upgrade"].supported
    assert drivers.get("rhcos").capabilities["reboot"].supported
    assert drivers.get("silverblue").capabilities["upgrade"].supported
    assert not drivers.get("silverblue").capabilities["zincati_pause"].supported
    assert drivers.get("unknown").fence.kind == "none"


class TestFence:
    fence = FCOS.fence

    def test_a_long_command_becomes_a_unit_behind_the_boot_id(self) -> None:
        started = self.fence.started(FCOS.command("upgrade"), operation="7f", step="stage", boot_id=BOOT_ID)
        assert started.argv[:2] == ("sh", "-c")
        assert started.argv[3:6] == ("fleetui-guard", BOOT_ID, "")
        line = " ".join(started.argv[6:])
        assert line.startswith("sudo -n systemd-run --quiet --no-ask-password --unit=fleetui-7f-stage.service ")
        assert "--property=RemainAfterExit=yes" in line
        assert "--property=SuccessExitStatus=77" in line
        assert line.endswith("-- rpm-ostree upgrade --bypass-driver --unchanged-exit-77")
        assert not started.long

    def test_systemd_does_not_fill_in_what_a_shell_is_to_read(self) -> None:
        script = drivers.get("fcos").command("kubeadm_restart", pods=["etcd"])
        started = self.fence.started(script, operation="7f", step="restart", boot_id=BOOT_ID)
        assert started.argv[-3].replace("$$", "$") == script.argv[-3]
        assert "$" not in started.argv[-3].replace("$$", "")

    def test_reading_and_forgetting_the_unit(self) -> None:
        assert self.fence.state("7f", "stage").argv[:3] == ("systemctl", "show", "fleetui-7f-stage.service")
        journal = self.fence.journal("7f", "stage", "s=1;i=2").argv
        assert "--after-cursor=s=1;i=2" in journal
        assert not self.fence.journal("7f", "stage").changes
        assert self.fence.cleared("7f", "stage").argv[-2:] == ("stop", "fleetui-7f-stage.service")
        assert self.fence.failure_cleared("7f", "stage").argv[-2] == "reset-failed"

    @pytest.mark.parametrize("boot_id", ["", "$(reboot)", "a b"])
    def test_an_odd_boot_id_is_refused(self, boot_id: str) -> None:
        with pytest.raises(CommandRefused):
            self.fence.guarded(FCOS.command("reboot"), boot_id)

    @pytest.mark.parametrize("name", ["", "a/b", "a b", "ü", "x" * 250])
    def test_an_odd_unit_name_is_refused(self, name: str) -> None:
        with pytest.raises(CommandRefused):
            self.fence.unit_name(name, "step")

    def test_a_reboot_keeps_what_it_expects(self) -> None:
        guarded = self.fence.guarded(FCOS.command("reboot"), BOOT_ID)
        assert guarded.expects_disconnect
        assert guarded.argv[-2:] == ("systemctl", "reboot")

    @pytest.mark.parametrize(
        ("boot", "before", "status"), [("", "+60", 0), ("", "", 0), ("", "-1", 76), ("other", "", 75)]
    )
    def test_the_guard_lets_through_what_is_in_time_and_in_its_boot(self, boot: str, before: str, status: int) -> None:
        """The script itself, in a real shell on a real kernel."""
        up_s = int(float(Path("/proc/uptime").read_text().split()[0]))
        boot_id = boot or Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        before_s = up_s + int(before) if before else None
        guarded = self.fence.guarded(Command(("echo", "done")), boot_id, before_s)
        done = subprocess.run(guarded.argv, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (status, "" if status else "done\n")

    def test_a_driver_that_only_looks_has_no_fence(self) -> None:
        with pytest.raises(CommandRefused):
            drivers.get("unknown").fence.guarded(FCOS.command("reboot"), BOOT_ID)
