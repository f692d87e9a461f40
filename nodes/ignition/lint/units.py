"""Units that do not start, or do not come back."""

from collections.abc import Iterator

from nodes.ignition.gotext import extension
from nodes.ignition.lint.model import Found, Rule, Severity, Subject, example, unit_example
from nodes.ignition.lint.os_units import is_of_os, template_name
from nodes.ignition.options import Options, read_options
from nodes.ignition.said import Params
from nodes.ignition.sections.model import Unit

_QUADLETS = {
    ".container": "{}.service",
    ".kube": "{}.service",
    ".pod": "{}-pod.service",
    ".volume": "{}-volume.service",
    ".network": "{}-network.service",
    ".image": "{}-image.service",
    ".build": "{}-build.service",
}
_NEEDS_NETWORK = ("podman", "docker", "curl", "wget", "skopeo", "rpm-ostree", "kubeadm", "etcd", "tailscale")
_GENERATED = (".mount", ".swap", ".device", ".slice", ".scope", ".automount")


def written_units(subject: Subject) -> set[str]:
    """Names of units that the config brings along: as units, as files, and from Quadlets."""
    names = {unit.name for unit in subject.sections.units if unit.contents}
    for node in subject.sections.files:
        name = node.path.rpartition("/")[2]
        if node.purpose == "systemd_unit":
            names.add(name)
        elif node.purpose == "quadlet":
            ending = extension(name)
            names.add(_QUADLETS.get(ending, "{}").format(name.removesuffix(ending)))
    return names


def _services(subject: Subject) -> Iterator[tuple[Unit, Options]]:
    """Units with content that are no templates of something else's."""
    for unit in subject.sections.units:
        if unit.contents and unit.name.endswith(".service") and not unit.is_masked:
            yield unit, read_options(unit.contents)


def _unknown(subject: Subject) -> Iterator[Found]:
    written = written_units(subject)
    # A system extension or a package may bring any unit.
    may_come_from_outside = any(node.purpose in ("sysext", "sysupdate") for node in subject.sections.files)
    if not subject.is_whole or may_come_from_outside:
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


def _never_started(subject: Subject) -> Iterator[Found]:
    """A unit that is written, and that nothing starts."""
    started = _mentioned(subject)
    for unit in subject.sections.units:
        if not unit.contents or unit.is_masked or unit.is_enabled is not None or "@." in unit.name:
            continue
        if extension(unit.name) in (*_GENERATED, ".target") or is_of_os(unit.name, subject.variant):
            continue
        base = unit.name.removesuffix(extension(unit.name))
        if unit.name not in started and not {f"{base}.timer", f"{base}.socket", f"{base}.path"} & started:
            yield Found((*unit.at, "name"), {"unit": unit.name})


def _mentioned(subject: Subject) -> set[str]:
    """Units that other units pull in, and all that are switched or linked."""
    names = {unit.name for unit in subject.sections.units if unit.is_enabled is not None}
    texts = [
        text for unit in subject.sections.units for text in (unit.contents, *(one.contents for one in unit.dropins))
    ]
    for text in filter(None, texts):
        for option in read_options(text):
            if option.name in (
                "Wants",
                "Requires",
                "BindsTo",
                "Unit",
                "OnFailure",
                "OnSuccess",
                "Upholds",
                "Sockets",
                "Also",
            ):
                names.update(option.value.split())
    names |= {node.path.rpartition("/")[2] for node in subject.sections.files if node.kind == "link"}
    return names


def _no_restart(subject: Subject) -> Iterator[Found]:
    for unit, options in _services(subject):
        if not options.find("Service", "ExecStart") or options.value("Service", "Type") == "oneshot":
            continue
        if _is_started_by_timer(subject, unit):
            continue
        if options.value("Service", "Restart") in (None, "no") and not _in_dropins(unit, "Restart"):
            yield Found((*unit.at, "contents"), {"unit": unit.name}, options.find("Service", "ExecStart")[0].line)


def _is_started_by_timer(subject: Subject, unit: Unit) -> bool:
    timer = unit.name.removesuffix(".service") + ".timer"
    return any(one.name == timer for one in subject.sections.units)


def _in_dropins(unit: Unit, name: str) -> bool:
    return any(read_options(dropin.contents).value("Service", name) for dropin in unit.dropins)


def _no_network(subject: Subject) -> Iterator[Found]:
    for unit, options in _services(subject):
        command = next(
            (one for one in options.find("Service", "ExecStart", "ExecStartPre") if _uses_network(one.value)), None
        )
        if command is None:
            continue
        after = {word for word, _ in options.words("Unit", "After")}
        wanted = {word for word, _ in options.words("Unit", "Wants", "Requires")}
        missing = tuple(name for name, words in (("After", after), ("Wants", wanted)) if not _is_behind_network(words))
        if missing:
            params: Params = {"unit": unit.name, "options": tuple(f"{name}=network-online.target" for name in missing)}
            yield Found((*unit.at, "contents"), params, command.line)


def _uses_network(command: str) -> bool:
    """Whether one of the first words is a program that needs the network; `podman rm` and the like do not."""
    words = [word.rpartition("/")[2] for word in command.lstrip("-@:+!|").split()[:4]]
    for at, word in enumerate(words):
        if word in ("podman", "docker"):
            return bool({"run", "pull", "play", "login", "build"} & set(command.split()[at + 1 : at + 6]))
        if word in _NEEDS_NETWORK:
            return True
    return False


def _is_behind_network(words: set[str]) -> bool:
    # What lies behind the container runtime or another service is not ours to judge.
    return "network-online.target" in words or any(word.endswith("-online.service") for word in words)


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
