"""What an operator would shake their head at: advice against what is done well, and silence about what is not."""

from __future__ import annotations

import hashlib
import time

import pytest

from nodes.ignition.lint import lint
from nodes.ignition.lint.model import CORE, FLATCAR, example, file_example, unit_example
from nodes.ignition.sections.secrets import secret_in
from nodes.wording.configs import finding_sentence

FLATCAR_HEADER = f"variant: {FLATCAR}\nversion: 1.1.0\n"
DIGEST = "@sha256:" + "0123456789abcdef" * 4
INSTALL = "\n\n[Install]\nWantedBy=multi-user.target"


def rules_of(source: str) -> set[str]:
    looked = lint(source)
    assert looked.error is None
    return {one.rule for one in looked.findings}


@pytest.mark.parametrize(
    "text",
    [
        "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCY",
        "SECRET_KEY=0123456789abcdef",
        "SMTP_PASS=correct-horse",
        'passphrase: "correct horse battery"',
        "DATABASE_URL=postgres://app:s3cret@db.example.com/app",
        "Authorization: Bearer abcdefghijklmnopqrstuvwx",
        "id_token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.c2lnbmF0dXJlIQ",
        "kubeadm join 192.0.2.1:6443 --token abcdef.0123456789abcdef",
        "[Service]\nSetCredential=password:correct-horse",
    ],
)
def test_a_secret_is_seen(text: str) -> None:
    assert secret_in(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "[Container]\nSecret=shop-db-password,type=env,target=POSTGRES_PASSWORD",
        "[Service]\nLoadCredential=token:join-token\nLoadCredentialEncrypted=password:app.cred\nImportCredential=app-token",
        "existingSecret: shop-credentials",
        "  - imagePullSecret: registry-login",
        "DATABASE_URL=postgres://app:${DB_PASSWORD}@db.example.com/app",
        "source: https://files.example.com:8443/a@b",
        "ExecStart=/usr/bin/app --token %i --password-file /run/app",
        "PASSWORD=$(cat /run/app)",
        "private-key-flags=1",
        "proxy_pass http://127.0.0.1:8080;",
    ],
)
def test_the_name_of_a_secret_is_none(text: str) -> None:
    assert secret_in(text) is None


def test_the_line_of_a_secret_is_its_own_where_others_are_named_before() -> None:
    assert secret_in("[Container]\nSecret=shop-db-password\nEnvironment=API_KEY=0123456789") == ("password", 3)


@pytest.mark.parametrize("piece", ["eyJ-", "a://", "authorization: ", "--token ", "password", "Secret=", "x.pass"])
def test_no_text_takes_long(piece: str) -> None:
    started = time.perf_counter()
    secret_in(piece * 50_000)
    assert time.perf_counter() - started < 5


def test_a_locked_password_lets_nobody_in() -> None:
    for locked in ("'*'", "'!'", "'!$y$j9T$aaa$bbb'"):
        assert "password-login" not in rules_of(example(CORE + f"      password_hash: {locked}\n"))
    assert "password-login" in rules_of(example(CORE + "      password_hash: $y$j9T$aaa$bbb\n"))


@pytest.mark.parametrize(
    "line", ["PasswordAuthentication=yes", 'PasswordAuthentication "yes"', "passwordauthentication = yes"]
)
def test_sshd_takes_an_equals_sign_and_quotes(line: str) -> None:
    assert "password-over-ssh" in rules_of(file_example("/etc/ssh/sshd_config.d/20-own.conf", line))


def docker_unit(unit: str) -> str:
    text = f"[Unit]\n{unit}\n\n[Service]\nExecStart=/usr/bin/docker run --name web ghcr.io/example/web{DIGEST}\nRestart=always"
    return unit_example("web.service", text + INSTALL).replace(example(""), FLATCAR_HEADER)


def test_who_waits_for_docker_waits_for_the_network() -> None:
    """The unit that Flatcar's own documentation shows."""
    assert "unit-no-network-online" not in rules_of(docker_unit("After=docker.service\nRequires=docker.service"))
    assert "unit-no-network-online" in rules_of(docker_unit("Requires=docker.service"))


def test_who_waits_for_a_unit_that_waits_does_too() -> None:
    fetch = "[Unit]\nAfter=first.service\nRequires=first.service\n\n[Service]\nType=oneshot\nExecStart=/usr/bin/curl https://a.example"
    waits = "[Unit]\n{0}After=network-online.target\n\n[Service]\nType=oneshot\nExecStart=/usr/local/bin/first"
    second = unit_example("second.service", fetch + INSTALL)
    for wants, is_found in (("Wants=network-online.target\n", False), ("", True)):
        first = unit_example("first.service", waits.format(wants) + INSTALL)
        both = second + first.removeprefix(example("systemd:\n  units:\n"))
        assert ("unit-no-network-online" in rules_of(both)) is is_found


@pytest.mark.parametrize(
    ("command", "is_found"),
    [
        ("/usr/bin/rpm-ostree install -y --allow-inactive cri-o kubelet", False),
        ("/usr/bin/rpm-ostree --quiet override replace kernel.rpm", False),
        ("/usr/bin/rpm-ostree upgrade", True),
    ],
)
def test_layered_packages_bring_units(command: str, is_found: bool) -> None:
    layers = unit_example("layer.service", f"[Service]\nType=oneshot\nExecStart={command}" + INSTALL)
    assert ("unit-unknown" in rules_of(layers + "    - name: kubelet.service\n      enabled: true\n")) is is_found


def test_the_image_of_a_command_in_a_shell() -> None:
    command = '/bin/sh -c "exec /usr/bin/podman run --name web quay.io/example/web:latest"'
    assert "image-moving-tag" in rules_of(unit_example("web.service", f"[Service]\nExecStart={command}" + INSTALL))


def test_a_key_with_its_tables_has_its_line() -> None:
    text = '[updates]\nstrategy = "fleet_lock"\nfleet_lock.base_url = "lock.example.com"'
    found = lint(file_example("/etc/zincati/config.d/55-lock.toml", text)).findings
    lines = {one.rule: one.position.line for one in found if one.position}
    assert lines["zincati-lock-url"] == 11


def test_each_platform_is_told_with_what_it_takes() -> None:
    """Not all of them with the least."""
    text = "\n".join(hashlib.sha256(str(number).encode()).hexdigest() for number in range(800))
    (one,) = (one for one in lint(file_example("/etc/big", text)).findings if one.rule == "user-data-size")
    assert (
        finding_sentence(one)
        == f"The config has {one.params['size']} bytes; there is less room at aws 16384, hetzner 32768."
    )


def test_what_the_system_masks_may_be_switched_on() -> None:
    """As the FAQ of Fedora CoreOS does with dnsmasq, which is there."""
    assert "unit-unknown" not in rules_of(
        example("systemd:\n  units:\n    - name: dnsmasq.service\n      mask: false\n      enabled: true\n")
    )


@pytest.mark.parametrize(
    ("name", "text", "service"),
    [
        ("tidy.timer", "[Timer]\nOnCalendar=daily", "tidy.service"),
        ("tidy.timer", "[Timer]\nOnCalendar=daily\nUnit=sweep.service", "sweep.service"),
        ("tidy.path", "[Path]\nPathExists=/var/tidy", "tidy.service"),
        ("tidy.socket", "[Socket]\nListenStream=80", "tidy.service"),
        ("tidy.socket", "[Socket]\nListenStream=80\nAccept=yes", "tidy@.service"),
        ("tidy.timer", "[Timer]\nOnCalendar=daily\nUnit=podman-auto-update.service", None),
    ],
)
def test_what_a_timer_starts_is_there(name: str, text: str, service: str | None) -> None:
    timer = unit_example(name, text + "\n\n[Install]\nWantedBy=multi-user.target")
    said = [finding_sentence(one) for one in lint(timer).findings if one.rule == "unit-unknown"]
    end = "and neither this config nor the system is known to have it."
    assert said == ([f"{name} starts {service}, {end}"] if service else [])
    if service:
        brings = unit_example(service, "[Service]\nType=oneshot\nExecStart=/usr/local/bin/tidy", enabled=False)
        assert "unit-unknown" not in rules_of(timer + brings.removeprefix(example("systemd:\n  units:\n")))
