"""The host as a whole: its name, its time, and words that have been given up."""

import re
from collections.abc import Iterator

from nodes.ignition.dialects import dialects
from nodes.ignition.lint.model import Found, Rule, Severity, Subject, example, file_example, unit_example
from nodes.ignition.lint.zones import find_zone
from nodes.ignition.network.keyfiles import renamed_options
from nodes.ignition.network.model import NetworkFile
from nodes.ignition.options import read_options
from nodes.ignition.paths import Path

_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)\Z")
_UTC = ("UTC", "Etc/UTC", "Etc/UCT", "UCT", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal", "GMT", "Etc/GMT")
# systemd.directives(7) and NEWS of systemd: what still is read, or no longer, and what took its place.
_UNIT_OPTIONS = {
    "MemoryLimit": "MemoryMax",
    "CPUShares": "CPUWeight",
    "StartupCPUShares": "StartupCPUWeight",
    "BlockIOWeight": "IOWeight",
    "BlockIOAccounting": "IOAccounting",
    "BlockIODeviceWeight": "IODeviceWeight",
    "BlockIOReadBandwidth": "IOReadBandwidthMax",
    "BlockIOWriteBandwidth": "IOWriteBandwidthMax",
    "PermissionsStartOnly": "ExecStartPre=+",
    "StartLimitInterval": "StartLimitIntervalSec",
    "InaccessibleDirectories": "InaccessiblePaths",
    "ReadOnlyDirectories": "ReadOnlyPaths",
    "ReadWriteDirectories": "ReadWritePaths",
    "OnFailureIsolate": "OnFailureJobMode",
    "RequiresOverridable": "Requires",
    "RequisiteOverridable": "Requisite",
    "PropagateReloadTo": "PropagatesReloadTo",
    "PropagateReloadFrom": "ReloadPropagatedFrom",
}
_UNIT_VALUES = {
    ("StandardOutput", "syslog"): "StandardOutput=journal",
    ("StandardError", "syslog"): "StandardError=journal",
    ("StandardOutput", "syslog+console"): "StandardOutput=journal+console",
    ("StandardError", "syslog+console"): "StandardError=journal+console",
    ("KillMode", "none"): "KillMode=mixed",
}
_NETWORKD_OPTIONS = {
    ("Network", "IPv6Token"): "IPv6AcceptRA.Token",
    ("DHCP", "CriticalConnection"): "Network.KeepConfiguration",
    ("DHCP", "UseDomainName"): "DHCPv4.UseDomains",
    ("Network", "IPv4LL"): "Network.LinkLocalAddressing",
}
_ARGUMENTS = {
    "systemd.unified_cgroup_hierarchy": "-",
    "systemd.legacy_systemd_cgroup_controller": "-",
    "coreos.config.url": "ignition.config.url",
    "coreos.first_boot": "ignition.firstboot",
    "coreos.oem.id": "ignition.platform.id",
}


def _hostname_missing(subject: Subject) -> Iterator[Found]:
    """A host without a name of its own is called localhost, or whatever DHCP says."""
    if not subject.is_whole or subject.sections.file("/etc/hostname") is not None:
        return
    if not any(argument.text.startswith("systemd.hostname=") for argument in subject.sections.kernel.arguments):
        yield Found()


def _hostname_invalid(subject: Subject) -> Iterator[Found]:
    node = subject.sections.file("/etc/hostname")
    text = node.content.text if node and node.content else None
    if node is None or text is None:
        return
    lines = [line.strip() for line in text.split("\n") if line.strip() and not line.strip().startswith("#")]
    name = lines[0] if lines else ""
    if len(lines) != 1 or len(name) > 64 or not all(_LABEL.match(label) for label in name.split(".")):
        yield Found(node.content_at, {"hostname": name[:80] or "-"})
    elif name.partition(".")[0] in ("localhost", "localhost6"):
        yield Found(node.content_at, {"hostname": name})


def _time_zone(subject: Subject) -> Iterator[tuple[str, Path]]:
    link = subject.sections.file("/etc/localtime")
    if link is not None and link.target is not None and "zoneinfo/" in link.target:
        yield link.target.partition("zoneinfo/")[2], (*link.at, "target")


def _zone_unknown(subject: Subject) -> Iterator[Found]:
    for zone, at in _time_zone(subject):
        if find_zone(zone) is None:
            yield Found(at, {"time_zone": zone})
    node = subject.sections.file("/etc/timezone")
    if node is not None and subject.sections.file("/etc/localtime") is None:
        # A file of Debian, which systemd does not read.
        yield Found((*node.at, "path"), {"path": "/etc/timezone"})


def _zone_not_utc(subject: Subject) -> Iterator[Found]:
    for zone, at in _time_zone(subject):
        if zone not in _UTC and find_zone(zone) is not None:
            yield Found(at, {"time_zone": zone})


def _version(subject: Subject) -> Iterator[Found]:
    newest = [one.version for one in dialects() if one.variant == subject.variant and "-" not in one.version][-1:]
    if subject.source is None or subject.version is None or not newest:
        return
    if "-" in subject.version:
        yield Found(source_path=("version",), params={"version": subject.version, "newest": newest[0]})


def _deprecated(subject: Subject) -> Iterator[Found]:
    for unit in subject.sections.units:
        texts = [(unit.contents or "", unit.at), *((one.contents, one.at) for one in unit.dropins)]
        for text, at in texts:
            for option in read_options(text):
                new = _UNIT_OPTIONS.get(option.name) or _UNIT_VALUES.get((option.name, option.value))
                if new is not None:
                    old = (
                        f"{option.name}={option.value}" if (option.name, option.value) in _UNIT_VALUES else option.name
                    )
                    yield Found((*at, "contents"), {"old": old, "new": new}, option.line)
    for node in subject.sections.files:
        text = (node.content.text if node.content else None) or ""
        if node.purpose == "networkmanager_connection":
            file = NetworkFile(node.path, text, node.mode, node.owner, node.group, node.at, node.content_at)
            for old, new, line in renamed_options(file):
                yield Found(node.content_at, {"old": old, "new": new}, line)
        elif node.purpose == "networkd":
            for option in read_options(text):
                replacement = _NETWORKD_OPTIONS.get((option.section, option.name))
                if replacement is not None:
                    yield Found(
                        node.content_at, {"old": f"{option.section}.{option.name}", "new": replacement}, option.line
                    )
    for argument in subject.sections.kernel.arguments:
        replacement = _ARGUMENTS.get(argument.text.partition("=")[0])
        if argument.is_wanted and replacement is not None:
            yield Found(argument.at, {"old": argument.text.partition("=")[0], "new": replacement})


_ZONE = "storage:\n  links:\n    - path: /etc/localtime\n      target: ../usr/share/zoneinfo/{}\n"
_LIMITED = "[Service]\nExecStart=/usr/local/bin/app\n{}\nRestart=always\n\n[Install]\nWantedBy=multi-user.target"
RULES = (
    Rule(
        "hostname-missing",
        Severity.ADVICE,
        _hostname_missing,
        file_example("/etc/hostname", "edge-01"),
        example("storage:\n  files:\n    - path: /etc/app.conf\n"),
    ),
    Rule(
        "hostname-invalid",
        Severity.ERROR,
        _hostname_invalid,
        file_example("/etc/hostname", "edge-01.example.com"),
        file_example("/etc/hostname", "edge_01"),
    ),
    Rule(
        "time-zone-unknown",
        Severity.ERROR,
        _zone_unknown,
        example(_ZONE.format("UTC")),
        example(_ZONE.format("Asia/Bangcock")),
    ),
    Rule(
        "time-zone-not-utc",
        Severity.ADVICE,
        _zone_not_utc,
        example(_ZONE.format("UTC")),
        example(_ZONE.format("Asia/Bangkok")),
    ),
    Rule(
        "version-experimental",
        Severity.WARNING,
        _version,
        example("", header="variant: fcos\nversion: 1.6.0\n"),
        example("", header="variant: fcos\nversion: 1.8.0-experimental\n"),
    ),
    Rule(
        "deprecated-key",
        Severity.WARNING,
        _deprecated,
        unit_example("app.service", _LIMITED.format("MemoryMax=1G")),
        unit_example("app.service", _LIMITED.format("MemoryLimit=1G")),
    ),
)
