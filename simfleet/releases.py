"""The streams and releases of the simulated world: made up by us, in the form Fedora CoreOS uses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from simfleet import seeds

STREAM_DIGITS = {"stable": 3, "testing": 2, "next": 1}
FIRST = datetime(2025, 12, 14, tzinfo=UTC)
COUNT = 25
BARRIER = ("44.20260503.3.0", "The signing keys of Fedora 45 arrive with this release: pass through it first")
DEAD_END = ("44.20260712.2.0", "Hosts with BIOS boot may not start after further updates: install anew")
VERSION = re.compile(r"^(\d+)\.(\d{8})\.(\d+)\.(\d+)$")
RELEASES_SEED = 1
IMAGE = "quay.io/fedora/fedora-coreos"


@dataclass(frozen=True, slots=True)
class Release:
    """One release of one stream."""

    stream: str
    version: str
    released_at: datetime
    barrier: str | None = None
    deadend: str | None = None
    bad: bool = False

    @property
    def checksum(self) -> str:
        """The OSTree commit."""
        return seeds.hexdigest(RELEASES_SEED, "commit", self.version)

    @property
    def image_digest(self) -> str:
        """The digest of the container image that carries the same release."""
        return "sha256:" + seeds.hexdigest(RELEASES_SEED, "image", self.version)

    @property
    def imported_checksum(self) -> str:
        """The commit that a host makes when it imports the container image."""
        return seeds.hexdigest(RELEASES_SEED, "imported", self.version)

    @property
    def timestamp(self) -> int:
        """Build time in seconds."""
        return int(self.released_at.timestamp()) - 3 * 86_400 - seeds.number(1, self.version) % 40_000

    @property
    def major(self) -> int:
        """The Fedora version."""
        return int(self.version.split(".")[0])

    def as_json(self) -> dict[str, object]:
        """The row of the manifest."""
        return {
            "stream": _bare(self.stream),
            "version": self.version,
            "released_at": self.released_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "checksums": {"x86_64": self.checksum} if _family(self.stream) == "fcos" else {},
            "images": {"x86_64": f"{IMAGE}@{self.image_digest}"} if _family(self.stream) == "fcos" else {},
            "barrier": self.barrier,
            "deadend": self.deadend,
        }


def sort_key(version: str) -> tuple[int, ...]:
    """Versions compare number by number."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _fedora_version(cut: datetime) -> int:
    if cut < datetime(2026, 4, 26, tzinfo=UTC):
        return 43
    return 44 if cut < datetime(2026, 11, 1, tzinfo=UTC) else 45


def _stream(name: str) -> list[Release]:
    # A stable release is the content that testing had two weeks before: its version is older than its day.
    lag = {"stable": 0, "testing": 1, "next": 1}[name]
    releases = []
    for index in range(COUNT - 1):
        cut = FIRST + timedelta(days=14 * (index + lag))
        version = f"{_fedora_version(cut)}.{cut:%Y%m%d}.{STREAM_DIGITS[name]}.0"
        released_at = FIRST + timedelta(days=14 * index + 16, hours=14)
        barrier = BARRIER[1] if version == BARRIER[0] else None
        deadend = DEAD_END[1] if version == DEAD_END[0] else None
        releases.append(Release(name, version, released_at, barrier, deadend))
    return releases


FLATCAR_STREAMS = {"flatcar/stable": 2, "flatcar/beta": 1}


def _flatcar_stream(name: str) -> list[Release]:
    """Made-up Flatcar releases: the second number says the channel, the third counts."""
    releases = []
    for index in range(COUNT):
        major = 4230 + 57 * (index // 6)
        day = FIRST + timedelta(days=13 * index + 11, hours=10)
        releases.append(Release(name, f"{major}.{FLATCAR_STREAMS[name]}.{index % 6}", day))
    return releases


#: Made up as well: a major version of Flatcar ended some days before the demo's last release, Fedora 44 lives on.
SUPPORT = {
    "fcos": [{"major": "43", "ends_on": "2026-06-10"}, {"major": "44", "ends_on": "2027-01-20"}],
    "flatcar": [{"stream": "stable", "major": "4401", "ends_on": "2026-11-20"}],
}


class Catalog:
    """All releases, oldest first in each stream; a test or a demo may publish further ones."""

    def __init__(self) -> None:
        self.by_stream: dict[str, list[Release]] = {name: _stream(name) for name in STREAM_DIGITS}
        self.by_stream |= {name: _flatcar_stream(name) for name in FLATCAR_STREAMS}
        self._by_version = {row.version: row for rows in self.by_stream.values() for row in rows}

    def get(self, version: str) -> Release | None:
        """The release of that version."""
        return self._by_version.get(version)

    def known(self, version: str) -> Release:
        """The release of a version that a host already has."""
        return self._by_version[version]

    def tip(self, stream: str) -> Release:
        """The newest release of a stream."""
        return self.by_stream[stream][-1]

    def behind(self, stream: str, count: int) -> Release:
        """The release that is `count` steps older than the newest."""
        rows = self.by_stream[stream]
        return rows[max(0, len(rows) - 1 - count)]

    def publish(self, version: str, now: datetime, *, bad: bool = False) -> Release:
        """Add a release on top of the stream that the third number of its version names."""
        match = VERSION.match(version)
        streams = {digit: name for name, digit in STREAM_DIGITS.items()}
        if match is None or int(match.group(3)) not in streams:
            raise ValueError(f"{version} is not a version such as 45.20261115.3.0")
        if version in self._by_version:
            raise ValueError(f"{version} is published already")
        stream = streams[int(match.group(3))]
        release = Release(stream, version, now.replace(microsecond=0), bad=bad)
        self.by_stream[stream].append(release)
        self._by_version[version] = release
        return release

    def find_digest(self, image_digest: str) -> Release | None:
        """The release whose container image has this digest."""
        return next((row for row in self._by_version.values() if row.image_digest == image_digest), None)

    def find_checksum(self, checksum: str) -> Release | None:
        """The release with this OSTree commit."""
        return next((row for row in self._by_version.values() if row.checksum == checksum), None)

    def as_json(self, os_family: str = "fcos") -> dict[str, object]:
        """The releases of one family, as the manifest has them."""
        chosen = {name: rows for name, rows in self.by_stream.items() if _family(name) == os_family}
        return {
            "streams": [{"name": _bare(name), "os_family": os_family} for name in chosen],
            "releases": [row.as_json() for rows in chosen.values() for row in rows],
            "support": SUPPORT[os_family],
        }


def _family(stream: str) -> str:
    return stream.split("/")[0] if "/" in stream else "fcos"


def _bare(stream: str) -> str:
    return stream.rpartition("/")[2]


PACKAGES = [
    "kernel",
    "kernel-core",
    "systemd",
    "podman",
    "crun",
    "containers-common",
    "ignition",
    "zincati",
    "rpm-ostree",
    "ostree",
    "bootc",
    "glibc",
    "openssl-libs",
    "NetworkManager",
    "openssh-server",
    "selinux-policy-targeted",
    "linux-firmware",
    "libcurl",
    "skopeo",
    "passt",
    "aardvark-dns",
    "netavark",
    "moby-engine",
    "containerd",
    "runc",
    "sudo",
    "vim-minimal",
    "xz",
    "zlib-ng-compat",
    "chrony",
]


#: Packages that are in some releases only, so that packages are added and removed too.
PASSING = ("nvme-stas", "amd-ucode-firmware", "isns-utils-libs")


def package_versions(version: str) -> dict[str, str]:
    """The made-up package list of a release: name to version-release."""
    parts = sort_key(version)
    step = (parts[0] - 43) * 40 + (parts[1] % 10_000) // 14
    rows = {}
    for index, name in enumerate(PACKAGES):
        moved = step // (1 + index % 5)
        rows[name] = f"{1 + index % 9}.{moved // 10}.{moved % 10}-{1 + moved % 3}.fc{parts[0]}"
    for index, name in enumerate(PASSING):
        if (step // 2 + index) % 3:
            rows[name] = f"{2 + index}.0.{index}-1.fc{parts[0]}"
    return rows


def package_diff(old: str, new: str) -> dict[str, list[str]]:
    """The packages that differ between two releases, as rpm-ostree lists them."""
    before, after = package_versions(old), package_versions(new)
    diff: dict[str, list[str]] = {"Upgraded": [], "Downgraded": [], "Removed": [], "Added": []}
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            kind = "Upgraded" if sort_key(after[name]) > sort_key(before[name]) else "Downgraded"
            diff[kind].append(f"{name} {before[name]} -> {after[name]}")
    diff["Removed"] = [f"{name}-{before[name]}.x86_64" for name in sorted(before.keys() - after.keys())]
    diff["Added"] = [f"{name}-{after[name]}.x86_64" for name in sorted(after.keys() - before.keys())]
    return {kind: rows for kind, rows in diff.items() if rows}
