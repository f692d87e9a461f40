"""Rules over configs: each finds its bad example and not its good one, and can be allowed in the file."""

import json
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.ignition.butane import convert
from nodes.ignition.dialects import dialects
from nodes.ignition.files import FilesDirectory
from nodes.ignition.lint import GROUPS, RULES, Rule, Severity, find_rule, lint, lint_conversion, lint_document
from nodes.ignition.lint.containers import image_of, image_tag
from nodes.ignition.lint.model import CORE, file_example, unit_example
from nodes.ignition.lint.os_units import is_of_os
from nodes.ignition.lint.zincati_config import clock
from nodes.ignition.lint.zones import find_zone, gaps, overlap
from nodes.ignition.network.checks import PROBLEMS as NETWORK_PROBLEMS
from nodes.ignition.variables import Declaration, VariableType, substitute
from nodes.tests.ignition.sources import butane
from nodes.tests.ignition.test_fuzz import configs
from nodes.tests.ignition.test_recordings import corpus
from nodes.wording import configs as wording
from nodes.wording.configs.lint import GROUPS as GROUP_WORDS
from nodes.wording.configs.lint import PROBLEMS, SEVERITIES, SEVERITY_SENTENCES
from nodes.wording.configs.lint import RULES as RULE_WORDS
from nodes.wording.configs.rules_page import rules_page

SNIPPET = "/etc/zincati/config.d/55-updates-strategy.toml"
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)


def found(source: str, rule: str = "", **over: str) -> list[str]:
    """Ids of what is found; of one rule, if it is named."""
    looked = lint(source, **over)  # type: ignore[arg-type]
    assert looked.error is None, looked.conversion and looked.conversion.report.as_text()
    return [one.rule for one in looked.findings if rule in ("", one.rule)]


def zincati(text: str, path: str = SNIPPET) -> str:
    return file_example(path, dedent(text))


@each_rule
def test_good_and_bad_example(rule: Rule) -> None:
    for source, is_bad in ((rule.good, False), (rule.bad, True)):
        looked = lint(source, platform=rule.platform)
        assert looked.conversion is not None
        assert (looked.error, looked.conversion.report.as_text()) == (None, "")
        mine = [one for one in looked.findings if one.rule == rule.id]
        assert bool(mine) is is_bad
        for one in mine:
            assert one.position is not None
            assert one.severity is rule.severity


@each_rule
def test_every_rule_has_words(rule: Rule) -> None:
    for one in lint(rule.bad, platform=rule.platform).findings:
        sentence = wording.finding_sentence(one)
        assert sentence.endswith((".", "?"))
        assert "Nothing more is known" not in sentence
        assert "%(" not in sentence
    assert wording.rule_reason(rule.id)
    assert wording.rule_fix(rule.id)


@each_rule
def test_every_rule_can_be_allowed_in_the_file(rule: Rule) -> None:
    if rule.id.startswith("silence-"):
        return
    looked = lint(f"{rule.bad}# fleetui: allow-file {rule.id} for the test\n", platform=rule.platform)
    assert [one.rule for one in looked.findings if one.rule in (rule.id, "silence-unneeded")] == []
    assert rule.id in [one.rule for one in looked.silenced]


def test_words_are_complete() -> None:
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    assert set(ids) == RULE_WORDS.keys()
    assert GROUPS.keys() == GROUP_WORDS.keys()
    assert set(Severity) == SEVERITIES.keys() == SEVERITY_SENTENCES.keys()
    assert set(NETWORK_PROBLEMS) <= PROBLEMS.keys()
    assert find_rule("no-ssh-key") is RULES[0]
    assert find_rule("nope") is None


def test_the_page_of_rules_is_current() -> None:
    """`manage.py ignition rules > docs/lint-rules.md` writes it anew."""
    assert Path("docs/lint-rules.md").read_text() == rules_page()


HOST = "storage:\n  files:\n    - path: /etc/app\n      mode: 0666{}\n"


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (HOST.format("  # fleetui: allow world-writable a test"), []),
        ("# fleetui: allow world-writable a test\n" + HOST.format(""), []),
        (HOST.format("").replace("  files", "  # fleetui: allow world-writable a test\n\n  # more\n  files"), []),
        (HOST.format("").replace("/etc/app", "/etc/app # fleetui: allow world-writable a test"), []),
        (HOST.format("  # fleetui: allow world-writable"), ["silence-without-reason"]),
        (HOST.format("  # fleetui: allow world-writeable a test"), ["world-writable", "silence-unknown-rule"]),
        (HOST.format("") + "# fleetui: allow world-writable a test\n", ["world-writable", "silence-unneeded"]),
        (HOST.format("  # fleetui: allow"), ["world-writable", "silence-unknown-rule"]),
        (HOST.format("  # fleetui:allow-file world-writable a test"), []),
        (HOST.format("  # fleetui allow world-writable a test"), ["world-writable"]),
    ],
)
def test_silences(body: str, left: list[str]) -> None:
    wanted = ("world-writable", "silence-unknown-rule", "silence-unneeded", "silence-without-reason")
    assert [rule for rule in found(butane(body)) if rule in wanted] == left


def test_a_variable_that_is_a_secret_is_one_where_it_is_filled_in() -> None:
    declared = "# fleetui:variable join secret\n# fleetui:variable name string\n"
    body = "storage:\n  files:\n    - path: /etc/app.conf\n      mode: {}\n      contents: {{inline: 'join ${{fleetui:{}}}'}}\n"
    unit = "systemd:\n  units:\n    - name: app.service\n      contents: |\n        [Service]\n        Environment=TOKEN=${fleetui:join}\n"

    def told(text: str) -> list[str]:
        return [str(one.params["path"]) for one in lint(declared + text).findings if one.rule == "secret-mode"]

    assert told(butane(body.format("0644", "join"))) == ["/etc/app.conf"]
    assert told(butane(body.format("0600", "join"))) == []
    assert told(butane(body.format("0644", "name"))) == []
    assert told(butane(unit)) == ["app.service"]
    assert told(butane(unit.replace("${fleetui:join}", "${fleetui:name}"))) == []


def test_a_silence_within_a_text() -> None:
    text = "[Container]\n# fleetui: allow image-tag it is ours\nImage=quay.io/a/b:1\n"
    looked = lint(file_example("/etc/containers/systemd/a.container", text))
    assert "image-tag" in [one.rule for one in looked.silenced]
    assert "image-tag" not in [one.rule for one in looked.findings]


def test_positions_in_texts() -> None:
    (one,) = (one for one in lint(find_rule_of("image-tag").bad).findings if one.rule == "image-tag")
    assert (one.position, one.content_line) == ((10, 11), 2)
    flow = butane(
        'systemd: {units: [{name: a.service, contents: "[Service]\\nExecStart=/bin/podman run quay.io/a/b:1"}]}\n'
    )
    (one,) = (one for one in lint(flow).findings if one.rule == "image-tag")
    assert (one.position, one.content_line) == ((3, 47), 2)


def find_rule_of(id_: str) -> Rule:
    rule = find_rule(id_)
    assert rule is not None
    return rule


def test_worst_first_and_allowed_rules() -> None:
    source = find_rule_of("keyfile-mode").bad
    severities = [one.severity for one in lint(source).findings]
    assert severities == sorted(severities, key=list(Severity).index)
    assert lint(source).worst is Severity.ERROR
    looked = lint(source, allowed=["keyfile-mode"])
    assert "keyfile-mode" not in [one.rule for one in looked.findings]
    assert "keyfile-mode" in [one.rule for one in looked.silenced]


def test_what_cannot_be_converted() -> None:
    source = butane("storage: {files: [{path: relative}]}\n")
    looked = lint(source)
    assert (looked.findings, looked.error) == ([], "config generated was invalid")
    assert lint_conversion(convert(source), source).error == looked.error
    assert lint("").error is not None
    assert "Write the config as Butane" in str(lint('{"ignition":{"version":"2.2.0"}}').error), "how to move"
    assert lint_document('{"ignition":{"version":"2.2.0"}}').error == "unsupported config version"
    assert lint_document('{"ignition":{"version":"3.4.0"},"storage":{"files":[{"path":"a"}]}}').error


def test_documents() -> None:
    source = find_rule_of("zincati-working-hours").bad
    document = convert(source, pretty=True).output or ""
    (one,) = (one for one in lint(document).findings if one.rule == "zincati-working-hours")
    assert one.path == ("storage", "files", 0, "contents", "source")
    assert (one.position or (0, 0))[0] > 1
    # Which system it is for is told by its files, or by the caller.
    empty = json.dumps({"ignition": {"version": "3.4.0"}})
    assert "zincati-no-strategy" not in [one.rule for one in lint_document(empty).findings]
    assert "zincati-no-strategy" in [one.rule for one in lint_document(empty, variant="fcos").findings]


def test_what_another_config_may_bring_is_not_missed() -> None:
    merged = butane('ignition: {config: {merge: [{source: "https://a.test/b.ign"}]}}\n')
    missing = {"no-ssh-key", "hostname-missing", "zincati-no-strategy", "network-dhcp"}
    assert missing & set(found(merged)) == set()
    assert missing <= set(found(butane()))


def test_flatcar_is_not_told_of_zincati() -> None:
    rules = set(found(butane(variant="flatcar", version="1.1.0")))
    assert {rule for rule in rules if rule.startswith("zincati")} == set()
    program = 'storage: {files: [{path: /usr/local/bin/a, mode: 0755, contents: {inline: "#!/bin/sh"}}]}\n'
    assert found(butane(program, variant="flatcar", version="1.1.0"), "path-read-only")
    assert not found(butane(program), "path-read-only")


def test_keys_come_back_from_files(tmp_path: Path) -> None:
    (tmp_path / "a.pub").write_text("nonsense\n")
    source = butane("passwd: {users: [{name: core, ssh_authorized_keys_local: [a.pub]}]}\n")
    (one,) = (one for one in lint(source, files=FilesDirectory(tmp_path)).findings if one.rule == "key-unreadable")
    assert one.path == ("passwd", "users", 0, "ssh_authorized_keys_local", 0)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('[updates]\nstrategy = "sometimes"', "zincati-invalid"),
        ('[updates]\nstrategy = "periodic"', "zincati-invalid"),
        ("[updates\n", "zincati-invalid"),
        ("updates = 3", "zincati-invalid"),
        ("[updates]\nenabled = 3", "zincati-invalid"),
        ('[updates]\nstrategy = "periodic"\n[[updates.periodic.window]]\ndays = "Sat"', "zincati-invalid"),
        (
            '[updates]\nstrategy = "periodic"\n[[updates.periodic.window]]\ndays = ["Sat"]\nstart_time = "25:00"',
            "zincati-invalid",
        ),
        (
            '[updates]\nstrategy = "periodic"\n[[updates.periodic.window]]\n'
            'days = ["Sat"]\nstart_time = "02:00"\nlength_minutes = 0',
            "zincati-invalid",
        ),
        (
            '[updates]\nstrategy = "fleet_lock"\n[updates.fleet_lock]\nbase_url = "https://a.test/lock"',
            "zincati-lock-url",
        ),
        ('[updates]\nstrategy = "fleet_lock"\n[updates.fleet_lock]\nbase_url = "lock.test"', "zincati-lock-url"),
    ],
)
def test_zincati_snippets(text: str, rule: str) -> None:
    findings = [one for one in lint(zincati(text)).findings if one.rule == rule]
    assert findings
    assert all("(" not in wording.finding_sentence(one)[:1] for one in findings)


def windows(days: str, start: str, minutes: int, zone: str = "UTC") -> str:
    return zincati(
        f"""\
        [updates]
        strategy = "periodic"
        [updates.periodic]
        time_zone = "{zone}"
        [[updates.periodic.window]]
        days = [{days}]
        start_time = "{start}"
        length_minutes = {minutes}
        """
    )


@pytest.mark.parametrize(
    ("source", "rules"),
    [
        (windows('"Fri"', "18:00", 60), set()),
        (windows('"Fri"', "17:59", 60), {"zincati-working-hours"}),
        (windows('"Sunday"', "23:00", 600), {"zincati-working-hours"}),
        (windows('"Sun"', "02:00", 60, "Europe/Berlin"), {"zincati-window-skipped"}),
        (windows('"Sun"', "02:00", 120, "Europe/Berlin"), set()),
        (windows('"Sun"', "02:00", 60, "America/New_York"), {"zincati-window-skipped"}),
        (windows('"Sun"', "02:00", 60, "Asia/Bangkok"), set()),
        (windows('"Sat"', "02:00", 60, "Europe/Berlin"), set()),
        (windows('"Sun"', "02:00", 60, "Nowhere/At_All"), {"zincati-time-zone"}),
        (windows('"Sun"', "02:00", 60, "../../etc/passwd"), {"zincati-time-zone"}),
    ],
)
def test_windows(source: str, rules: set[str]) -> None:
    assert {rule for rule in found(source) if rule.startswith("zincati")} == rules


def test_windows_in_the_zone_of_the_host() -> None:
    source = windows('"Sun"', "02:00", 60, "localtime")
    assert not found(source, "zincati-window-skipped")
    linked = source + "  links:\n    - path: /etc/localtime\n      target: ../usr/share/zoneinfo/Europe/Berlin\n"
    assert found(linked, "zincati-window-skipped")


def test_snippets_are_merged_by_name() -> None:
    later = zincati('[updates]\nstrategy = "periodic"', "/etc/zincati/config.d/90-a.toml").partition("  files:\n")[2]
    earlier = zincati('[updates]\nstrategy = "immediate"', "/etc/zincati/config.d/10-a.toml")
    rules = found(earlier + later)
    assert "zincati-immediate" not in rules
    assert "zincati-invalid" in rules


def test_zones() -> None:
    (gap,) = gaps("Europe/Berlin")
    assert (clock(gap.start), gap.minutes) == ("Sun 02:00", 60)
    assert gaps("UTC") == gaps("Nowhere") == ()
    assert [clock(one.start) for one in gaps("Australia/Lord_Howe")] == ["Sun 02:00"]
    assert [one.minutes for one in gaps("Australia/Lord_Howe")] == [30]
    assert overlap(6 * 1440 + 23 * 60, 300, type(gap)(60, 60)) == 60
    assert find_zone("/etc/passwd") is None


@pytest.mark.parametrize(
    ("command", "image"),
    [
        ("/usr/bin/podman run --name app --rm -p 8080:8080 quay.io/a/b:1 --flag x", "quay.io/a/b:1"),
        ("/usr/bin/podman run -d -v /a:/b:z --net=host a.test/b", "a.test/b"),
        ("/usr/bin/docker run -it --rm -e A=1 -e B=2 redis", "redis"),
        ("/usr/bin/podman --log-level=debug run -p8080:80 a.test/b", "a.test/b"),
        ("/usr/bin/podman run --rm ${IMAGE}", None),
        ("/usr/bin/podman run --rm 'unclosed", None),
        ("/usr/bin/podman run --rm", None),
        ("/usr/bin/podman rm app", None),
    ],
)
def test_image_of_a_command(command: str, image: str | None) -> None:
    assert image_of(command) == image


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("quay.io/a/b", "latest"),
        ("quay.io:5000/a/b", "latest"),
        ("localhost:5000/a:1.2", "1.2"),
        ("a@sha256:" + "0" * 64, None),
        ("a:1@sha256:" + "0" * 64, None),
        ("oci-archive:/tmp/a", None),
        ("/var/image", None),
    ],
)
def test_image_tags(image: str, tag: str | None) -> None:
    assert image_tag(image) == tag


def test_images_that_podman_keeps_current() -> None:
    text = "[Container]\nImage=quay.io/a/b:1\nAutoUpdate=registry\n"
    assert not found(file_example("/etc/containers/systemd/a.container", text), "image-tag")
    build = "[Container]\nImage=own.build\n"
    assert not found(file_example("/etc/containers/systemd/a.container", build), "image-tag")


SERVICE = "[Service]\n{}\n[Install]\nWantedBy=multi-user.target"


@pytest.mark.parametrize(
    ("source", "rule", "is_found"),
    [
        (unit_example("a.service", SERVICE.format("Type=oneshot\nExecStart=/bin/true")), "unit-no-restart", False),
        (unit_example("a.service", SERVICE.format("ExecStart=/bin/a\nRestart=no")), "unit-no-restart", True),
        (unit_example("a.service", SERVICE.format("ExecStart=-/usr/bin/podman rm a")), "unit-no-network-online", False),
        (unit_example("a.service", SERVICE.format("ExecStart=/bin/podman pull a/b")), "unit-no-network-online", True),
        (unit_example("a@.service", SERVICE.format("ExecStart=/bin/a"), enabled=False), "unit-never-started", False),
        (unit_example("a.timer", "[Timer]\nOnCalendar=daily", enabled=False), "unit-never-started", True),
        (butane("systemd: {units: [{name: getty@tty1.service, enabled: true}]}\n"), "unit-unknown", False),
        (butane("systemd: {units: [{name: nope@x.service, enabled: true}]}\n"), "unit-unknown", True),
        (
            file_example("/etc/containers/systemd/a.pod", "[Pod]")
            + "systemd: {units: [{name: a-pod.service, enabled: true}]}\n",
            "unit-unknown",
            False,
        ),
    ],
)
def test_units(source: str, rule: str, is_found: bool) -> None:
    assert bool(found(source, rule)) is is_found


QUADLET = "/etc/containers/systemd/a.container"
INSTALLED = "\n[Install]\nWantedBy=multi-user.target"


@pytest.mark.parametrize(
    ("source", "rules"),
    [
        (file_example(QUADLET, f"[Container]\nImage=a.test/b\n{INSTALLED}"), {"unit-no-restart"}),
        (file_example(QUADLET, "[Container]\nImage=a.test/b\n[Service]\nRestart=always"), {"unit-never-started"}),
        (file_example(QUADLET, f"[Container]\nImage=a.test/b\n[Service]\nType=oneshot{INSTALLED}"), set()),
        (file_example(QUADLET, "[Container]\nImage=a.test/b\nPod=p.pod\n[Service]\nRestart=always"), set()),
        (
            file_example("/etc/systemd/system/a.service", "[Service]\nExecStart=/bin/podman run a.test/b"),
            {"unit-no-restart", "unit-no-network-online"},
        ),
    ],
)
def test_services_however_they_are_written(source: str, rules: set[str]) -> None:
    assert {rule for rule in found(source) if rule.startswith("unit-")} == rules


def test_a_setting_in_a_dropin_counts() -> None:
    unit = unit_example("a.service", SERVICE.format("ExecStart=/bin/podman run a.test/b"))
    dropin = (
        "      dropins:\n        - name: 10.conf\n          contents: |\n            [Unit]\n"
        "            Wants=network-online.target\n            After=network-online.target\n"
        "            [Service]\n            Restart=always\n"
    )
    assert {"unit-no-restart", "unit-no-network-online"} <= set(found(unit))
    assert {rule for rule in found(unit + dropin) if rule.startswith("unit-")} == set()


def test_what_is_open_is_not_judged() -> None:
    """A source whose variables have no values yet."""
    source = butane(
        """
        passwd: {users: [{name: core, ssh_authorized_keys: ["${fleetui:key}"]}]}
        storage:
          files:
            - path: /etc/hostname
              contents: {inline: "${fleetui:host}"}
            - path: /etc/wireguard/wg0.conf
              mode: 0600
              contents: {inline: "PrivateKey = ${fleetui:tunnel}"}
        """
    )
    assert {"hostname-invalid", "key-unreadable", "secret-in-plain-sight"} & set(found(source)) == set()
    values = {"key": CORE.split("- ")[-1].strip(), "host": "edge_01", "tunnel": "A" * 43 + "="}
    types = {"key": VariableType.SSH_KEY, "tunnel": VariableType.SECRET}
    declared = [Declaration(name, types.get(name, VariableType.STRING)) for name in values]
    done = substitute(source, declared, values)
    assert found(done.redacted, "hostname-invalid")
    assert not found(done.redacted, "secret-in-plain-sight")
    assert found(done.text, "secret-in-plain-sight")


def test_units_of_the_systems() -> None:
    assert is_of_os("zincati.service", "fcos")
    assert not is_of_os("zincati.service", "flatcar")
    assert is_of_os("update-engine.service", None)


def test_size_of_user_data() -> None:
    source = find_rule_of("user-data-size").bad
    assert found(source, "user-data-size", platform="aws") == []
    big = file_example("/etc/a", "\n".join(f"{n * n * n % 1000003:x}{n * n % 99991:x}" for n in range(4000)))
    (one,) = (one for one in lint(big).findings if one.rule == "user-data-size")
    assert one.params["platforms"] == ("aws",)
    assert found(big, "user-data-size", platform="gcp") == []


def test_recorded_configs() -> None:
    looked = 0
    for path in sorted(corpus("butane").glob("*/input.bu")):
        source = path.read_bytes()
        result = lint(source, files=FilesDirectory(path.parent / "files"))
        # One of them is no Butane at all, but Ignition.
        assert result.error == (result.conversion.error if result.conversion else None), path
        for one in result.findings:
            assert one.position is not None, path
            assert "(" not in wording.finding_sentence(one)[:1]
        looked += result.error is None
    assert looked > 400
    for path in sorted(corpus("ignition").glob("*/input.ign")):
        lint(path.read_bytes())


def test_the_seed() -> None:
    source = (corpus("butane") / "seed-example" / "input.bu").read_bytes()
    assert [(one.rule, (one.position or (0, 0))[0]) for one in lint(source).findings] == [
        ("network-dhcp", 1),
        ("no-data-disk", 33),
        ("container-by-hand", 43),
        ("image-tag", 43),
    ]


@given(data=st.data())
def test_any_config_is_looked_at(data: st.DataObject) -> None:
    dialect = data.draw(st.sampled_from(dialects()))
    config = data.draw(configs(dialect.schema)) | {"variant": dialect.variant, "version": dialect.version}
    looked = lint(json.dumps(config))
    assert (looked.error is None) is (convert(json.dumps(config)).error is None)


PATHS = st.sampled_from(
    [
        SNIPPET,
        "/etc/NetworkManager/system-connections/a.nmconnection",
        "/etc/systemd/network/a.network",
        "/etc/systemd/network/a.netdev",
        "/etc/containers/systemd/a.container",
        "/etc/hostname",
        "/etc/ssh/sshd_config.d/a.conf",
    ]
)
WORDS = st.lists(
    st.sampled_from(
        [
            *(
                "[updates]",
                "strategy = ",
                '"periodic"',
                "[[updates.periodic.window]]",
                "days = [",
                '"Sat"',
                "]",
                "\n",
                "=",
            ),
            *("[connection]", "id=", "type=vlan", "[ipv4]", "address1=", "192.0.2.1/24", ",", "::1", "gateway=", "0"),
            *(
                "[Match]",
                "[NetDev]",
                "Kind=",
                "bond",
                "[Network]",
                "DNS=",
                "Address=",
                "[Container]",
                "Image=",
                "a:b",
                "#",
            ),
            *("ExecStart=", "podman run ", "-v", "'", '"', "%i", "$A", "\\", "\x00", "é", " ", "\r", "[", "@sha256:"),
        ]
    ),
    max_size=25,
)


@given(path=PATHS, words=WORDS, unit=st.booleans())
def test_any_file_is_looked_at(path: str, words: list[str], unit: bool) -> None:
    text = "".join(words)
    files = [{"path": path, "contents": {"inline": text}}]
    units = [{"name": "a.service", "enabled": True, "contents": f"[Service]\n{text}"}] if unit else []
    config = {"variant": "fcos", "version": "1.6.0", "storage": {"files": files}, "systemd": {"units": units}}
    looked = lint(json.dumps(config))
    for one in looked.findings:
        assert wording.finding_sentence(one)


def test_hostile_sizes_are_answered() -> None:
    """Each of these took minutes where its parts were compared with one another."""
    silences = butane() + "# fleetui: allow image-tag x\n" * 5_000
    assert found(silences, "silence-unneeded") == ["silence-unneeded"] * 5_000
    images = file_example("/etc/containers/systemd/a.container", "[Container]\n" + "Image=a.test/b\n" * 5_000)
    assert found(images, "image-moving-tag") == ["image-moving-tag"]
    path = "/etc/NetworkManager/system-connections/a.nmconnection"
    addresses = "".join(f"address{n}=10.0.{n // 250}.{n % 250 + 1}/16,10.9.0.1\n" for n in range(2_000))
    text = f"[connection]\nid=a\n[ipv4]\nmethod=manual\n{addresses}"
    assert found(file_example(path, text, mode="0600"), "network-gateway") == ["network-gateway"] * 256
