"""Units that do not start, or do not come back."""

import re
from collections.abc import Iterator, Set

from nodes.ignition.gotext import extension
from nodes.ignition.lint.model import Found, Rule, Severity, Subject, example, unit_example
from nodes.ignition.lint.os_units import is_of_os, template_name
from nodes.ignition.lint.services import Service, is_triggered, written_units
from nodes.ignition.options import read_options
from nodes.ignition.said import Params
from nodes.ignition.sections.model import Unit

_NEEDS_NETWORK = ("podman", "docker", "curl", "wget", "skopeo", "rpm-ostree", "kubeadm", "etcd", "tailscale")
_FLATCAR_EXTENSIONS = "/etc/flatcar/enabled-sysext.conf"
_LAYERS_PACKAGES = re.compile(r"\brpm-ostree\s+(?:-\S+\s+)*(?:install|override|rebase|apply-live)\b|\bbootc\s+switch\b")
# Docker's unit waits for the network itself.
_BEHIND_NETWORK = frozenset(("network-online.target", "docker.service"))
_STARTERS = {".timer": ("Timer", "Unit"), ".path": ("Path", "Unit"), ".socket": ("Socket", "Service")}
_GENERATED = (".mount", ".swap", ".device", ".slice", ".scope", ".automount")


def _unknown(subject: Subject) -> Iterator[Found]:
    written = written_units(subject.sections)
    if not subject.is_whole or _may_come_from_outside(subject):
        return
    for unit in subject.sections.units:
        if unit.contents or not unit.is_enabled or extension(unit.name) in _GENERATED:
            continue
        if (
            unit.name not in written
            and template_name(unit.name) not in written
            and not is_of_os(unit.name, subject.variant)
        ):
            yield Found((*unit.at, "name"), {"unit": unit.name})
    for unit in subject.sections.units:
        started = _started_by(unit) if unit.contents and not unit.is_masked else None
        if started is None or started in written or template_name(started) in written:
            continue
        if "%" not in started and not is_of_os(started, subject.variant):
            yield Found((*unit.at, "name"), {"unit": started, "starter": unit.name})


def _started_by(unit: Unit) -> str | None:
    """What a timer, a path or a socket starts; None for other units."""
    ending = extension(unit.name)
    if ending not in _STARTERS or "@." in unit.name:
        return None
    section, option = _STARTERS[ending]
    options = read_options(unit.contents or "")
    base = unit.name.removesuffix(ending)
    # A socket that accepts has an instance for each connection.
    accepts = (options.value("Socket", "Accept") or "no").lower() in ("yes", "true", "on", "1")
    return options.value(section, option) or (f"{base}@.service" if accepts else f"{base}.service")


def _may_come_from_outside(subject: Subject) -> bool:
    """Whether the config brings a system extension or layers packages: they may have any unit."""
    files = subject.sections.files
    if any(node.purpose in ("sysext", "sysupdate") or node.path == _FLATCAR_EXTENSIONS for node in files):
        return True
    commands = [one.value for service in subject.services for one in service.options if one.name.startswith("Exec")]
    programs = [node.content.text or "" for node in files if node.purpose == "program" and node.content]
    return any(_LAYERS_PACKAGES.search(text) for text in (*commands, *programs))


def _never_started(subject: Subject) -> Iterator[Found]:
    """What is written, and nothing starts it."""
    started = subject.started
    for unit in subject.sections.units:
        if not unit.contents or unit.is_masked or unit.is_enabled is not None or "@." in unit.name:
            continue
        if extension(unit.name) in (*_GENERATED, ".target") or is_of_os(unit.name, subject.variant):
            continue
        if unit.name not in started and not is_triggered(unit.name, started):
            yield Found((*unit.at, "name"), {"unit": unit.name})
    for service in subject.services:
        if not service.is_quadlet or "@." in service.name or service.setting("Container", "Pod"):
            continue
        if any(service.setting("Install", key) for key in ("WantedBy", "RequiredBy", "UpheldBy")):
            continue
        if service.name not in started and not is_triggered(service.name, started):
            yield Found(service.named_at, {"unit": service.name})


def _no_restart(subject: Subject) -> Iterator[Found]:
    started = subject.started
    for service in subject.services:
        command = service.options.last("Service", "ExecStart") or service.options.last("Container", "Image")
        if command is None or service.setting("Service", "Type") == "oneshot":
            continue
        if not is_triggered(service.name, started) and service.setting("Service", "Restart") in (None, "no"):
            yield Found(service.at, {"unit": service.name}, command.line)


def _no_network(subject: Subject) -> Iterator[Found]:
    # Podman lets the units of Quadlets wait by itself; who waits for one that waits does too.
    behind = _BEHIND_NETWORK | {one.name for one in subject.services if one.is_quadlet or not _not_waited(one)}
    for service in subject.services:
        options = service.options
        command = next(
            (one for one in options.find("Service", "ExecStart", "ExecStartPre") if _uses_network(one.value)), None
        )
        missing = _not_waited(service, behind)
        if command is not None and missing and not service.is_quadlet:
            params: Params = {
                "unit": service.name,
                "options": tuple(f"{name}=network-online.target" for name in missing),
            }
            yield Found(service.at, params, command.line)


def _not_waited(service: Service, behind: Set[str] = _BEHIND_NETWORK) -> tuple[str, ...]:
    """Which of After and Wants does not name the network, or what comes behind it."""
    parts = (service.options, *service.dropins)
    after, wanted = (
        {word for part in parts for word, _ in part.words("Unit", *names)}
        for names in (("After",), ("Wants", "Requires", "BindsTo"))
    )
    return tuple(name for name, words in (("After", after), ("Wants", wanted)) if not _is_behind(words, behind))


def _uses_network(command: str) -> bool:
    """Whether one of the first words is a program that needs the network; `podman rm` and the like do not."""
    words = [word.rpartition("/")[2] for word in command.lstrip("-@:+!|").split()[:4]]
    for at, word in enumerate(words):
        if word in ("podman", "docker"):
            return bool({"run", "pull", "play", "login", "build"} & set(command.split()[at + 1 : at + 6]))
        if word in _NEEDS_NETWORK:
            return True
    return False


def _is_behind(words: set[str], behind: Set[str]) -> bool:
    return not words.isdisjoint(behind) or any(word.endswith("-online.service") for word in words)


_APP = """\
[Unit]
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/local/bin/app
Restart=always

[Install]
WantedBy=multi-user.target
"""
_FETCH = "[Unit]\nWants=network-online.target\nAfter=network-online.target\n\n[Service]\nType=oneshot\n" + (
    "ExecStart=/usr/bin/curl -fsS https://example.com/ping\n\n[Install]\nWantedBy=multi-user.target\n"
)
RULES = (
    Rule(
        "unit-unknown",
        Severity.WARNING,
        _unknown,
        example("systemd:\n  units:\n    - name: podman.socket\n      enabled: true\n"),
        example("systemd:\n  units:\n    - name: podmann.socket\n      enabled: true\n"),
    ),
    Rule(
        "unit-never-started",
        Severity.WARNING,
        _never_started,
        unit_example("app.service", _APP),
        unit_example("app.service", _APP, enabled=False),
    ),
    Rule(
        "unit-no-restart",
        Severity.WARNING,
        _no_restart,
        unit_example("app.service", _APP),
        unit_example("app.service", _APP.replace("Restart=always\n", "")),
    ),
    Rule(
        "unit-no-network-online",
        Severity.WARNING,
        _no_network,
        unit_example("ping.service", _FETCH),
        unit_example("ping.service", _FETCH.replace("network-online", "network")),
    ),
)
