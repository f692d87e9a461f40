"""The settings of a provisioner that makes a machine anew in place, checked; and opened for use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from fleetui.core import clock
from fleetui.core.errors import InvalidInput
from ops.replacement.in_place import InPlace, Live, Machine

SETTINGS: Final = (
    "kernel_url",
    "kernel_sha256",
    "initramfs_url",
    "initramfs_sha256",
    "rootfs_url",
    "install_dev",
    "keep_partitions",
    "arguments",
    "limit_s",
)
MOST_URL, MOST_ARGUMENTS, MOST_LABELS = 1000, 1000, 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DEVICE = re.compile(r"/dev/[A-Za-z0-9_.:+/-]{1,200}")
_LABEL = re.compile(r"[A-Za-z0-9_.*?-]{1,72}")
#: What is split by spaces and stands on a line of the kernel.
_ARGUMENTS = re.compile(r"[A-Za-z0-9_.,:;=/@%+\[\]{}* -]*")


def opened(given: Mapping[str, Any], machine: Machine | None) -> InPlace:
    live = Live(
        kernel=given["kernel_url"],
        kernel_sha256=given["kernel_sha256"],
        initramfs=given["initramfs_url"],
        initramfs_sha256=given["initramfs_sha256"],
        rootfs=given["rootfs_url"],
    )
    where = given["install_dev"], given["keep_partitions"], given["arguments"]
    return InPlace(live, *where, given["limit_s"], machine, clock.now)


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """All but the time limit. Raises InvalidInput, which names the field, the value and the mend."""
    return {
        "kernel_url": _url(given, "kernel_url"),
        "kernel_sha256": _sha256(given, "kernel_sha256"),
        "initramfs_url": _url(given, "initramfs_url"),
        "initramfs_sha256": _sha256(given, "initramfs_sha256"),
        "rootfs_url": _url(given, "rootfs_url"),
        "install_dev": _device(given),
        "keep_partitions": _labels(given),
        "arguments": _arguments(given),
    }


def _text(given: Mapping[str, Any], name: str) -> str:
    found = given.get(name)
    return found.strip() if isinstance(found, str) else ""


def _refused(message: str, name: str, value: object, mend: str) -> InvalidInput:
    return InvalidInput(message, field=name, value=str(value or "")[:200], mend=mend)


def _url(given: Mapping[str, Any], name: str) -> str:
    """http is taken too: what comes is compared with its SHA-256, and the root file system by the initramfs itself."""
    url = _text(given, name)
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
        is_good = is_good and (parts.port or 1) > 0
    except ValueError:
        is_good = False
    if not is_good or not url.isascii() or not url.isprintable() or " " in url or len(url) > MOST_URL:
        mend = _("Give one that begins with https:// or http://, without user and password in it.")
        raise _refused(_("This is no address of a part of the live system."), name, given.get(name), mend)
    return url


def _sha256(given: Mapping[str, Any], name: str) -> str:
    found = _text(given, name).lower()
    if not _SHA256.fullmatch(found):
        mend = _("Give its 64 hexadecimal digits, as the metadata of the stream has them.")
        raise _refused(_("This is no SHA-256."), name, given.get(name), mend)
    return found


def _device(given: Mapping[str, Any]) -> str:
    found = _text(given, "install_dev")
    if not _DEVICE.fullmatch(found) or ".." in found.split("/"):
        mend = _("Give one such as /dev/sda, or better one below /dev/disk/by-id.")
        raise _refused(_("This is no block device."), "install_dev", given.get("install_dev"), mend)
    return found


def _labels(given: Mapping[str, Any]) -> list[str]:
    value = given.get("keep_partitions")
    found = (
        [] if value is None else list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [None]
    )
    if len(found) > MOST_LABELS or not all(isinstance(one, str) and _LABEL.fullmatch(one) for one in found):
        mend = _("Give at most 20 labels, such as data or var*.")
        raise _refused(_("These are no labels of partitions."), "keep_partitions", value, mend)
    return [str(one) for one in found]


def _arguments(given: Mapping[str, Any]) -> str:
    value = given.get("arguments")
    found = _text(given, "arguments")
    if (value and not found) or len(found) > MOST_ARGUMENTS or not _ARGUMENTS.fullmatch(found):
        mend = _(
            "Give words such as ip={address}::10.0.0.1:255.255.255.0:{node}:ens3:none console=ttyS0, without quotes."
        )
        raise _refused(_("These are no arguments of a kernel."), "arguments", value, mend)
    return found
