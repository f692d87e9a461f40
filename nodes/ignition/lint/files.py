"""Files that are wrong, unsafe or never read."""

from collections.abc import Iterator

from nodes.ignition.lint.model import FLATCAR, Found, Rule, Severity, Subject, example, file_example
from nodes.ignition.sections.model import FileNode
from nodes.ignition.sections.secrets import holds_only_references, is_secret_path, secret_in

_BY_OTHERS, _WRITABLE_BY_ALL, _STICKY = 0o077, 0o002, 0o1000
# What the OS mounts read-only, or what Ignition cannot keep across a reboot.
_READ_ONLY = ("/usr", "/bin", "/sbin", "/lib", "/lib64")
_LOST = ("/run", "/tmp", "/proc", "/sys", "/dev")  # noqa: S108
_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----"


def _files(subject: Subject) -> Iterator[FileNode]:
    return (node for node in subject.sections.files if node.kind == "file")


def _at(node: FileNode, key: str) -> tuple[str | int, ...]:
    return (*node.at, key)


def _secret_mode(subject: Subject) -> Iterator[Found]:
    for node in _files(subject):
        is_secret = node.is_secret or any(_refers(subject, content.text) for content in node.contents)
        # Keyfiles of NetworkManager have a rule of their own.
        if is_secret and node.mode & _BY_OTHERS and node.purpose != "networkmanager_connection":
            yield Found(_at(node, "mode"), {"path": node.path, "mode": node.mode_text})
    for unit in subject.sections.units:
        for text, at in ((unit.contents, unit.at), *((dropin.contents, dropin.at) for dropin in unit.dropins)):
            if _refers(subject, text):
                # Ignition writes units for everybody to read, and so does `systemctl show`.
                yield Found((*at, "contents"), {"path": unit.name, "mode": "0644"})


def _refers(subject: Subject, text: str | None) -> bool:
    """Whether a variable that is declared as a secret is filled in there."""
    return text is not None and any(reference in text for reference in subject.secrets)


def _secret_in_plain_sight(subject: Subject) -> Iterator[Found]:
    for node in _files(subject):
        for content in node.contents:
            text = content.text
            found = secret_in(text) if text else None
            if found is not None:
                yield Found(node.content_at, {"path": node.path, "kind": found[0]}, found[1])
                break
            if text and is_secret_path(node.path) and not holds_only_references(text):
                yield Found(node.content_at, {"path": node.path, "kind": "file"})
                break
    for unit in subject.sections.units:
        texts = ((unit.contents, unit.at), *((dropin.contents, dropin.at) for dropin in unit.dropins))
        for text, at in texts:
            found = secret_in(text) if text else None
            if found is not None:
                yield Found((*at, "contents"), {"path": unit.name, "kind": found[0]}, found[1])


def _world_writable(subject: Subject) -> Iterator[Found]:
    for node in subject.sections.files:
        if node.kind != "link" and node.mode & _WRITABLE_BY_ALL and not node.mode & _STICKY:
            yield Found(_at(node, "mode"), {"path": node.path, "mode": node.mode_text})


def _read_only(subject: Subject) -> Iterator[Found]:
    # On Fedora CoreOS /usr/local leads to /var.
    writable = () if subject.variant == FLATCAR else ("/usr/local",)
    for node in subject.sections.files:
        if _is_below(node.path, _READ_ONLY) and not _is_below(node.path, writable):
            yield Found(_at(node, "path"), {"path": node.path})


def _lost(subject: Subject) -> Iterator[Found]:
    for node in subject.sections.files:
        if _is_below(node.path, _LOST):
            yield Found(_at(node, "path"), {"path": node.path})


def _is_below(path: str, directories: tuple[str, ...]) -> bool:
    return any(path == directory or path.startswith(directory + "/") for directory in directories)


def _program_mode(subject: Subject) -> Iterator[Found]:
    for node in _files(subject):
        text = node.content.text if node.content else None
        if node.purpose == "program" and not node.mode & 0o111 and (text is None or text.startswith("#!")):
            yield Found(_at(node, "mode"), {"path": node.path, "mode": node.mode_text})


RULES = (
    Rule(
        "secret-mode",
        Severity.ERROR,
        _secret_mode,
        file_example("/etc/app/key.pem", _KEY, mode="0600"),
        file_example("/etc/app/key.pem", _KEY),
    ),
    Rule(
        "secret-in-plain-sight",
        Severity.WARNING,
        _secret_in_plain_sight,
        file_example("/etc/app/settings.conf", "password_file=/run/credentials/app"),
        file_example("/etc/app/settings.conf", "password=correct-horse-battery", mode="0600"),
    ),
    Rule(
        "world-writable",
        Severity.ERROR,
        _world_writable,
        file_example("/etc/app/settings.conf", "level=info"),
        file_example("/etc/app/settings.conf", "level=info", mode="0666"),
    ),
    Rule(
        "path-read-only",
        Severity.ERROR,
        _read_only,
        file_example("/usr/local/bin/tool", "#!/bin/sh\nexit 0", mode="0755"),
        file_example("/usr/lib/systemd/system/app.service", "[Service]\nExecStart=/bin/true"),
    ),
    Rule(
        "path-lost-at-boot",
        Severity.WARNING,
        _lost,
        example(
            "storage:\n  files:\n    - path: /etc/tmpfiles.d/app.conf\n      contents:\n        inline: d /run/app 0755\n"
        ),
        file_example("/run/app/state", "ready"),
    ),
    Rule(
        "program-not-executable",
        Severity.WARNING,
        _program_mode,
        file_example("/usr/local/bin/tool", "#!/bin/sh\nexit 0", mode="0755"),
        file_example("/usr/local/bin/tool", "#!/bin/sh\nexit 0"),
    ),
)
