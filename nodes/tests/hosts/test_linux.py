"""Facts that any Linux host gives, from hand-made text and from recordings."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.hosts import drivers
from nodes.hosts.drivers.systemd import parse_failed, parse_sessions, parse_show, parse_time, parse_who
from nodes.hosts.facts import Facts, Session, Time
from nodes.hosts.probe import ProbeOutput
from nodes.tests.hosts.hostdoubles import BOOT_ID, HEALTHY, NOW, answer, corpus, healthy_output, read


def recorded(name: str) -> str:
    return corpus("common", name).read_text()


def test_a_healthy_host() -> None:
    facts = read().facts
    assert facts.unread == ()
    assert (facts.os.family, facts.os.version, facts.os.stream, facts.os.arch) == (
        *("fcos", "43.20251024.3.0", "stable", "x86_64"),
    )
    assert (facts.boot.boot_id, facts.boot.booted_at) == (BOOT_ID, "2026-07-01T10:00:00Z")
    assert (facts.boot.boot_count, facts.boot.kernel) == (2, "6.17.4-200.fc43.x86_64")
    assert facts.boot.arguments[-1] == "ignition.platform.id=qemu"
    assert facts.health.system_state == "running"
    assert (facts.hardware.vendor, facts.hardware.model, facts.hardware.cpus) == ("Example Inc.", "Box 1", 4)
    assert (facts.hardware.cpu_model, facts.hardware.virtualization) == ("Example CPU", "kvm")
    assert facts.hardware.memory_total_bytes == 2048 * 1024
    assert facts.security.selinux == "enforcing"
    assert facts.time == Time(synchronized=True, zone="Etc/UTC", ntp=True)
    assert facts.sessions == (Session("core", "pts/0", "2026-07-01T11:30"),)
    assert facts.network.hostname == "host-one"
    assert [(one.name, one.driver, one.addresses[0].address) for one in facts.network.interfaces] == [
        ("eth0", "virtio_net", "192.0.2.10")
    ]
    assert [route.destination for route in facts.network.routes] == ["default"]
    assert [one.name for one in facts.storage.disks] == ["vda"]
    assert [one.mount for one in facts.storage.filesystems] == ["/", "/boot", "/var", "/sysroot"]
    runtime = facts.containers.runtimes[0]
    assert (runtime.name, runtime.version, runtime.containers[0].state) == ("podman-user", "5.6.2", "running")
    assert runtime.images[0].names == ("quay.io/x/web:1",)
    assert facts.update.manager == "rpm-ostree"
    assert not facts.update.reboot_pending


def test_the_measurement() -> None:
    measurement = read().measurement
    assert (measurement.load_1, measurement.load_5, measurement.load_15) == (0.2, 0.1, 0.05)
    assert (measurement.memory_total_bytes, measurement.memory_available_bytes) == (2048 * 1024, 1024 * 1024)
    # The composefs root is always full, so it is no measurement.
    assert [one.mount for one in measurement.filesystems] == ["/boot", "/var", "/sysroot"]
    assert (measurement.filesystems[1].used_percent, measurement.filesystems[1].inodes_used_percent) == (20.0, 10.0)


def test_facts_do_not_change_with_time_and_use() -> None:
    later = read(
        loadavg="9.99 8.88 7.77 9/99 9999\n",
        meminfo="MemTotal: 2048 kB\nMemAvailable: 1 kB\n",
        df=HEALTHY["df"].replace("1000 4000 20%", "4000 1000 80%"),
        ip_addr=HEALTHY["ip_addr"].replace("3599", "7"),
        zincati=HEALTHY["zincati"].replace("11:59:00", "12:04:00"),
        podman_user_ps=HEALTHY["podman_user_ps"].replace("Up 2 hours", "Up 3 hours"),
        time=HEALTHY["time"].replace("TimeUSec=Wed", "TimeUSec=Thu"),
        boots=HEALTHY["boots"].replace("12:00:00", "12:05:00"),
    )
    assert later.facts == read().facts
    assert later.measurement != read().measurement


def test_the_keys_of_the_json() -> None:
    document = read().facts.as_json()
    assert list(document) == list(Facts().as_json())
    assert json.loads(json.dumps(document)) == document
    assert list(document)[:3] == ["os", "deployments", "update"]
    assert list(document["unread"]) == []


def test_a_plain_linux_host_has_common_facts_only() -> None:
    reading = read("unknown", os_release="ID=fedora\nVARIANT_ID=server\nVERSION_ID=43\nPRETTY_NAME='Fedora Server'\n")
    assert reading.facts.os.family == "unknown"
    assert reading.facts.deployments == ()
    assert reading.facts.update.manager is None
    assert reading.facts.agent.name is None
    assert reading.facts.boot.boot_id == BOOT_ID


def test_every_section_may_be_missing_or_refused() -> None:
    for name in HEALTHY:
        for change in (None, answer(status=1, stderr="Permission denied"), answer(status=124), answer("\x00\xff{[", 0)):
            reading = read(**{name: change})
            json.dumps(reading.facts.as_json(), allow_nan=False)
            assert {one.section for one in reading.facts.unread} <= {name, "machine_id", "zincati_config"}


@pytest.mark.parametrize(
    ("section", "output", "reason"),
    [
        ("boot_id", None, "missing"),
        ("df", answer(status=124), "timeout"),
        ("boots", answer(status=1, stderr="Failed to open journal: Permission denied"), "permission"),
        ("ip_addr", answer(status=127, stderr="timeout: failed to run command 'ip'"), "absent"),
        ("loadavg", "0,20 0,10 0,05 1/99 1\n", "not_understood"),
        ("boot_id", "not-an-id\n", "not_understood"),
        ("podman_root_ps", answer(status=1, stderr="sudo: a password is required"), "permission"),
    ],
)
def test_why_a_part_is_not_known(section: str, output: object, reason: str) -> None:
    reading = read(**{section: output})  # type: ignore[arg-type]
    assert [(one.section, one.reason) for one in reading.facts.unread] == [(section, reason)]


def test_an_output_that_ends_early() -> None:
    whole = healthy_output()
    kept = dict(list(whole.sections.items())[:3])
    reading = drivers.get("fcos").parse(ProbeOutput(kept, complete=False, problem="It ends."), NOW)
    assert (reading.facts.unread[0].section, reading.facts.unread[0].reason) == ("probe", "cut")
    assert reading.facts.os.family == "fcos"
    assert "boot_id" in {one.section for one in reading.facts.unread if one.reason == "missing"}


def test_a_failed_finalization_of_the_previous_boot() -> None:
    text = corpus("fcos", "journal-ostree-finalize-staged-nospace.txt").read_text()
    expected = "Installing kernel: regfile copy: No space left on device"
    assert read(finalize_journal=text).facts.update.finalize_failed == expected
    assert read(finalize_journal="error: no space\n").facts.update.finalize_failed == "no space"
    first_boot = answer(
        status=1, stderr="Data from the specified boot (-1) is not available: No such boot ID in journal"
    )
    reading = read(finalize_journal=first_boot)
    assert reading.facts.update.finalize_failed is None
    assert reading.facts.unread == ()
    failed = "Id=ostree-boot-complete.service\nActiveState=failed\nResult=exit-code\n"
    assert read(ostree_units=failed).facts.update.finalize_failed == "ostree-boot-complete.service: exit-code"


def test_failed_units_with_their_results() -> None:
    reading = read(
        system_state=answer("degraded\n", 1),
        failed_units="b.service loaded failed failed The B service\na.service loaded failed failed A\n",
        failed_details="Id=b.service\nDescription=The B service\nActiveState=failed\nResult=exit-code\n\nId=c.service\n"
        "ActiveState=active\nResult=success\n",
    )
    units = [(one.name, one.description, one.result) for one in reading.facts.health.failed_units]
    assert units == [("a.service", "A", None), ("b.service", "The B service", "exit-code")]


def test_failed_units_of_old_versions() -> None:
    text = "\u25cf x.service loaded failed failed X unit\n* y.mount  loaded failed failed Y * unit\n\n2 loaded units listed.\n"
    assert [(one.name, one.description) for one in parse_failed(text, [])] == [
        ("x.service", "X unit"),
        ("y.mount", "Y * unit"),
    ]
    assert all("." in one.name for one in parse_failed(recorded("systemctl-list-units-ubuntu18.txt"), []))


def test_show_of_many_units() -> None:
    units = parse_show(recorded("systemctl-show-many-units.txt"))
    assert [unit["Id"] for unit in units][:2] == ["postfix.service", "postgresql.service"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("timedatectl-centos7.txt", Time(synchronized=True, zone="America/Los_Angeles", ntp=True)),
        ("timedatectl-rtc-local-warning.txt", Time(synchronized=True, zone="Europe/Athens", ntp=True)),
    ],
)
def test_recorded_time(name: str, expected: Time) -> None:
    problems: list[str] = []
    assert parse_time(recorded(name), problems) == expected
    assert problems == []


def test_sessions_of_old_and_new_versions() -> None:
    old = "   SESSION        UID USER             SEAT             TTY             \n"
    old += "         1       1000 core                              pts/0           \n"
    old += "         2       1000 core             seat0            tty1            \n         3       1000 core\n"
    assert [(one.user, one.tty) for one in parse_sessions(old, [])] == [("core", "pts/0"), ("core", "tty1")]
    new = "SESSION  UID USER SEAT LEADER CLASS   TTY   IDLE SINCE\n    c10 1000 core -    2188   manager -     no   -\n"
    new += "     c9 1000 core -    2183   user    pts/1 no   -\n\n2 sessions listed.\n"
    assert [(one.user, one.tty) for one in parse_sessions(new, [])] == [("core", "pts/1")]
    assert parse_sessions("No sessions.\n", []) == ()


def test_who_without_a_year() -> None:
    text = "core     pts/1        Jun 30 21:57\nroot     sshd pts/0   Dec  9 01:02 (192.0.2.1)\nodd\n"
    assert parse_who(text, NOW) == {("core", "pts/1"): "2026-06-30T21:57", ("root", "pts/0"): "2025-12-09T01:02"}


class TestRecordings:
    def test_memory_and_load(self) -> None:
        reading = read(meminfo=recorded("proc-meminfo.txt"), loadavg=recorded("proc-loadavg.txt"))
        assert reading.facts.unread == ()
        assert reading.facts.hardware.memory_total_bytes
        assert reading.measurement.load_1 is not None

    def test_df_without_type_and_with_wrapped_lines(self) -> None:
        reading = read(df=recorded("df-centos7.txt"))
        assert "/" in [one.mount for one in reading.facts.storage.filesystems]
        sizes = {
            one.mount: one.size_bytes for one in read(df=recorded("df-long-filesystem.txt")).facts.storage.filesystems
        }
        assert sizes == {"/": 6030784 * 1024, "/proc": 0, "/sys": 0}
        wrapped = (
            "Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/mapper/long-name\n 10 4 6 40% /data 1\nodd\n"
        )
        reading = read(df=wrapped)
        assert [(one.mount, one.size_bytes) for one in reading.facts.storage.filesystems] == [("/data 1", 10240)]
        assert reading.facts.unread[0].section == "df"

    @pytest.mark.parametrize(
        "name", ["lsblk.json", "lsblk-mbr.json", "lsblk-no-udev.json", "lsblk-swraid.json", "lsblk-vroc.json"]
    )
    def test_disks(self, name: str) -> None:
        reading = read(disks=recorded(name))
        assert reading.facts.unread == ()
        assert all(one.size_bytes for one in reading.facts.storage.disks)
        assert reading.facts.storage.disks or "no-udev" in name

    def test_addresses(self) -> None:
        interface = read(ip_addr=recorded("ip-j-addr-lo.json")).facts.network.interfaces[0]
        assert (interface.name, interface.state, interface.addresses[0].prefix) == ("lo", "unknown", 8)

    def test_podman(self) -> None:
        reading = read(
            podman_root_ps=recorded("podman-ps-json-v4-2024.json"),
            podman_root_images=recorded("podman-images-4.3.1.json"),
        )
        runtime = reading.facts.containers.runtimes[0]
        assert reading.facts.unread == ()
        assert [(one.name, one.state, one.started_at) for one in runtime.containers] == [
            ("myfirstname, myothername", "running", "2024-01-25T10:31:02Z"),
            ("agreatname", "paused", "2024-01-25T10:31:02Z"),
        ]
        assert runtime.images[0].names == ("localhost/fixture/busybox:1.0",)
        created = read(podman_root_ps=recorded("podman-ps-a-4.3.1-created.json"))
        assert {one.started_at for one in created.facts.containers.runtimes[0].containers} == {None}
        assert created.facts.unread == ()
        assert read(podman_root_ps=recorded("podman-ps-a-empty.json")).facts.unread == ()


def test_an_image_of_podman_with_two_names_is_one_image() -> None:
    image = '{"Id":"i1","Names":["localhost/fleetui/web:previous","r.example/app:v1"],"Size":1}'
    reading = read(podman_root_ps="[]", podman_root_images=f"[{image},{image}]")
    (runtime,) = (one for one in reading.facts.containers.runtimes if one.name == "podman")
    assert [one.names for one in runtime.images] == [("localhost/fleetui/web:previous", "r.example/app:v1")]


def test_docker_and_containerd() -> None:
    reading = read(
        docker_version="Docker version 28.2.2, build e6534b4\n",
        docker_ps='{"ID":"d1","Names":"db","Image":"postgres:17","State":"exited","Status":"Exited (0) 3 days ago",'
        '"Labels":"a=1,b=x y"}\n',
        docker_images='{"ID":"i1","Repository":"postgres","Tag":"17"}\n{"ID":"i2","Repository":"<none>","Tag":"<none>"}\n',
        crictl_version="crictl version v1.31.0\n",
        crictl_ps='{"containers":[{"id":"k1","metadata":{"name":"etcd"},"image":{"image":"sha256:1"},'
        '"state":"CONTAINER_RUNNING","labels":{"io.kubernetes.pod.name":"etcd-1"}}]}',
        crictl_images='{"images":[{"id":"sha256:1","repoTags":["registry.k8s.io/etcd:3.5"],"size":"123"}]}',
        kubernetes_paths=answer("/etc/kubernetes/manifests/kube-apiserver.yaml\n/var/lib/kubelet/config.yaml\n", 2),
        kubelet_version="Kubernetes v1.31.2\n",
    )
    by_name = {one.name: one for one in reading.facts.containers.runtimes}
    assert set(by_name) == {"podman-user", "docker", "containerd"}
    assert by_name["docker"].containers[0].labels == {"a": "1", "b": "x y"}
    assert by_name["docker"].images[0].names == ("postgres:17",)
    assert by_name["containerd"].containers[0].state == "running"
    assert by_name["containerd"].images[0].size_bytes == 123
    kubernetes = reading.facts.kubernetes
    assert (kubernetes.role, kubernetes.kubelet_version, len(kubernetes.hints)) == ("control-plane", "1.31.2", 2)
    assert reading.facts.unread == ()


def test_a_role_that_there_was_no_time_to_ask_for_is_unread() -> None:
    (late,) = read(kubernetes_paths=answer(status=124)).facts.unread
    assert (late.section, late.reason) == ("kubernetes_paths", "timeout")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(HEALTHY)), st.text(max_size=120), st.integers(0, 255))
def test_no_text_of_any_section_escapes(name: str, text: str, status: int) -> None:
    for noise in (text, HEALTHY[name][: len(HEALTHY[name]) // 2] + text):
        reading = read(**{name: answer(noise, status)})
        json.dumps(reading.facts.as_json(), allow_nan=False).encode()
        json.dumps(reading.measurement.as_json(), allow_nan=False)


UNITS = ("[", '{"a":', "x=", "\x1b]", "/ \n")


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        pytest.param(name, unit, marks=[pytest.mark.soak] if (number + turn) % len(UNITS) else [])
        for number, name in enumerate(sorted(HEALTHY))
        for turn, unit in enumerate(UNITS)
    ],
)
def test_megabytes_are_read_in_linear_time(name: str, unit: str) -> None:
    read(**{name: HEALTHY[name] + unit * (600_000 // len(unit))})
