"""Differences that the operating system makes by itself, each with its reason: they are shown, and count for nothing."""

from __future__ import annotations

import re
from typing import Final

from nodes.drift.model import What

_CONTENT = frozenset({What.CONTENTS, What.LINES})
_PERMISSIONS = frozenset({What.MODE, What.OWNER})
_ANY = frozenset(What)

#: (path, what, reason). The reason is a code of nodes.wording.drift.
_MADE: Final[tuple[tuple[re.Pattern[str], frozenset[What], str], ...]] = (
    (re.compile(r"/etc/machine-(id|info)\Z"), _CONTENT, "made_at_first_boot"),
    # sshd-keygen writes them where they are missing, and takes the group ssh_keys where there is one.
    (re.compile(r"/etc/ssh/ssh_host_[a-z0-9]+_key(\.pub)?\Z"), _CONTENT | _PERMISSIONS, "host_key"),
    (re.compile(r"/etc/resolv\.conf\Z"), _ANY, "name_servers"),
    (re.compile(r"/(etc|var)/\.updated\Z"), _ANY, "update_stamp"),
    (re.compile(r"/etc/(adjtime|ld\.so\.cache|mtab|udev/hwdb\.bin)\Z"), _ANY, "written_by_services"),
    # systemd-sysusers adds the users of packages at boot, rpm-ostree merges them at an update.
    (re.compile(r"/etc/(passwd|group|g?shadow|subuid|subgid)-?\Z"), _CONTENT | _PERMISSIONS, "merged_users"),
    (re.compile(r"/etc/selinux/[^/]+/.*"), _CONTENT, "merged_policy"),
    (re.compile(r"/etc/pki/ca-trust/extracted/.*|/etc/ssl/certs/.*"), _CONTENT, "collected_certificates"),
    # A tmpfs is empty after every boot.
    (re.compile(r"/(run|tmp)/.*|/dev/shm/.*"), frozenset({What.MISSING}), "gone_at_boot"),
)

#: Afterburn names the host before Ignition writes, so a declared name stays. Whoever sets that name ends it with a line end.
_HOSTNAME: Final = "/etc/hostname"


def is_same_hostname(path: str, wanted: bytes | None, found: bytes | None) -> bool:
    """Whether only white space around the name of the host differs."""
    return path == _HOSTNAME and wanted is not None and found is not None and wanted.strip() == found.strip()


def reason_of(path: str, what: What) -> str:
    """Why the OS makes this difference by itself; empty when it does not."""
    return next((reason for pattern, whats, reason in _MADE if what in whats and pattern.match(path)), "")
