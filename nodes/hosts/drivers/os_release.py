"""os-release: which operating system this is, and which driver it needs."""

import re
import shlex
from collections.abc import Mapping
from functools import lru_cache

from nodes.hosts.drivers.base import Detection
from nodes.hosts.drivers.documents import MAX_TEXT, plain
from nodes.hosts.facts import Os

MAX_LINES = 1000
_KEY = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_IMAGE_BASED_FEDORA = {
    "silverblue": ("silverblue", "Fedora Silverblue"),
    "kinoite": ("silverblue", "Fedora Kinoite"),
    "sericea": ("silverblue", "Fedora Sway Atomic"),
    "sway-atomic": ("silverblue", "Fedora Sway Atomic"),
    "onyx": ("silverblue", "Fedora Budgie Atomic"),
    "budgie-atomic": ("silverblue", "Fedora Budgie Atomic"),
    "cosmic-atomic": ("silverblue", "Fedora COSMIC Atomic"),
    "iot": ("iot", "Fedora IoT"),
}
_BY_ID = {
    "flatcar": ("flatcar", "Flatcar Container Linux"),
    "bottlerocket": ("bottlerocket", "Bottlerocket"),
    "talos": ("talos", "Talos Linux"),
    "nixos": ("nixos", "NixOS"),
}
FEDORA_COREOS = "Fedora CoreOS"
_COREOS = {
    "fedora": ("fcos", FEDORA_COREOS),
    "rhcos": ("rhcos", "Red Hat Enterprise Linux CoreOS"),
    "rhel": ("rhcos", "Red Hat Enterprise Linux CoreOS"),
    "scos": ("scos", "CentOS Stream CoreOS"),
    "centos": ("scos", "CentOS Stream CoreOS"),
}
STREAM_NAMES = frozenset(
    ("stable", "testing", "next", "testing-devel", "next-devel", "rawhide", "branched", "bodhi-updates")
)


def parse_os_release(text: str) -> dict[str, str]:
    """Keys and values of an os-release file; lines that are not assignments are skipped."""
    return dict(_parsed(text))


@lru_cache(maxsize=256)
def _parsed(text: str) -> Mapping[str, str]:
    """Hosts of one version print the same text, and quotes are slow to take off."""
    values: dict[str, str] = {}
    for line in text.splitlines()[:MAX_LINES]:
        key, equals, value = line.strip().partition("=")
        if equals and _KEY.fullmatch(key):
            values[key] = plain(_unquoted(value[:MAX_TEXT]))
    return values


def _unquoted(value: str) -> str:
    try:
        words = shlex.split(value)
    except ValueError:
        return value.strip("\"'")
    return words[0] if words else ""


def detect(text: str) -> Detection:
    """Which family of operating system an os-release text belongs to."""
    return detect_values(parse_os_release(text))


def detect_values(values: Mapping[str, str]) -> Detection:
    os_id, variant = values.get("ID", "").lower(), values.get("VARIANT_ID", "").lower()
    shown = values.get("PRETTY_NAME") or values.get("NAME") or os_id
    if not values:
        return Detection("unknown", "Unknown Linux", reason="The host has no readable os-release.")
    if os_id in _BY_ID:
        family, name = _BY_ID[os_id]
        return Detection(family, name, reason=f"os-release says ID={os_id}.")
    if os_id in ("rhcos", "scos") or (variant == "coreos" and os_id in _COREOS):
        return _coreos(os_id)
    if os_id == "fedora" and variant in _IMAGE_BASED_FEDORA:
        family, name = _IMAGE_BASED_FEDORA[variant]
        return Detection(family, name, relative=True, reason=f"os-release says VARIANT_ID={variant}.")
    if "OSTREE_VERSION" in values:
        reason = "os-release has OSTREE_VERSION, so this is an rpm-ostree or bootc host."
        return Detection("rpmostree", shown, relative=True, reason=reason)
    if os_id == "coreos":
        return Detection("unknown", "CoreOS Container Linux", reason="CoreOS Container Linux ended in 2020.")
    why = f"{shown or 'This system'} is not an image-based system that FleetUI can update."
    return Detection("unknown", shown or "Unknown Linux", reason=why)


def _coreos(os_id: str) -> Detection:
    family, name = _COREOS[os_id]
    if family == "fcos":
        return Detection(family, name, reason="os-release says ID=fedora and VARIANT_ID=coreos.")
    reason = f"os-release says ID={os_id}: a relative of Fedora CoreOS, read by the same driver."
    return Detection(family, name, relative=True, reason=reason)


def os_facts(values: Mapping[str, str], arch: str | None) -> Os:
    """The `os` part of the facts. The stream is added from the booted deployment."""
    found = detect_values(values)
    version = values.get("OSTREE_VERSION") or values.get("IMAGE_VERSION") or values.get("VERSION") or None
    if found.family in ("flatcar", "bottlerocket", "talos", "unknown"):
        version = values.get("VERSION_ID") or values.get("VERSION") or None
    return Os(
        family=found.family,
        name=found.name,
        variant=values.get("VARIANT") or values.get("VARIANT_ID") or None,
        version=version,
        id=values.get("ID") or None,
        version_id=values.get("VERSION_ID") or None,
        pretty_name=values.get("PRETTY_NAME") or None,
        arch=arch,
    )
