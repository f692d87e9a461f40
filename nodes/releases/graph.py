"""Which release is newest, which step comes next, and how far behind a version is.

Two rules come from Fedora CoreOS and hold for every stream: an update may not skip a barrier, and
nothing leads to or from a dead end. A release whose rollout has not begun is not offered.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from nodes.releases.documents import (
    ReleaseFormatError,
    parse_cincinnati_graph,
    parse_manifest,
    parse_release_index,
    parse_updates_metadata,
)
from nodes.releases.release import Release, Rollout
from nodes.releases.versions import is_newer, version_date, version_key

__all__ = [
    "Behind",
    "Release",
    "ReleaseFormatError",
    "ReleasesView",
    "Rollout",
    "behind",
    "merge",
    "newest",
    "next_step",
    "parse_cincinnati_graph",
    "parse_manifest",
    "parse_release_index",
    "parse_updates_metadata",
]


@dataclass(frozen=True)
class Behind:
    """The distance to the newest release: releases in between, and days between the two."""

    releases: int
    days: int | None


@dataclass(frozen=True)
class ReleasesView:
    """The releases of one stream from oldest to newest. Empty when nothing is known of it."""

    stream: str
    releases: tuple[Release, ...] = ()

    @classmethod
    def of(cls, stream: str, releases: Iterable[Release]) -> "ReleasesView":
        """The releases of `stream` out of `releases`, which may hold other streams too."""
        own = (release for release in releases if release.stream == stream)
        return cls(stream, tuple(sorted(own, key=lambda release: version_key(release.version))))

    @property
    def known(self) -> bool:
        """Whether anything is known of this stream."""
        return bool(self.releases)

    def find(self, version: str) -> Release | None:
        """The release of that version."""
        return next((release for release in self.releases if release.version == version), None)

    def find_checksum(self, checksum: str) -> Release | None:
        """The release with that commit checksum or image digest, for hosts that name no version."""
        if not checksum:
            return None
        for release in self.releases:
            digests = (image.rpartition("@")[2] for image in release.images.values())
            if checksum in release.checksums.values() or checksum in digests:
                return release
        return None

    def newer(self, version: str, now: datetime | None = None) -> list[Release]:
        """What ranks above `version` and may be updated to, from oldest to newest."""
        return [
            release
            for release in self.releases
            if not release.is_deadend and release.offered(now) and is_newer(release.version, version)
        ]

    def newest(self, now: datetime | None = None) -> Release | None:
        """The newest release that is offered and is not a dead end."""
        offered = [r for r in self.releases if not r.is_deadend and r.offered(now)]
        return offered[-1] if offered else None

    def next_step(
        self, version: str, now: datetime | None = None, *, held: Collection[str] = frozenset()
    ) -> Release | None:
        """What a host on `version` may update to now: the first barrier above it, else the newest that is not held back.

        None on a dead end, and when nothing is newer. The version itself need not be known.
        """
        here = self.find(version)
        if here is not None and here.is_deadend:
            return None
        step = None
        for release in self.newer(version):
            step = release if release.offered(now) and release.version not in held else step
            # A barrier that is not offered yet, or held back, still may not be skipped.
            if release.is_barrier:
                break
        return step

    def behind(self, version: str, now: datetime | None = None) -> Behind:
        """How many releases and days `version` is behind the newest; days are None if not known."""
        newer = self.newer(version, now)
        if not newer:
            return Behind(0, 0)
        here = self.find(version)
        mine = here.dated if here else version_date(version)
        latest = newer[-1].dated
        days = max((latest - mine).days, 0) if mine and latest else None
        return Behind(len(newer), days)


def newest(stream: str, releases: Iterable[Release], now: datetime | None = None) -> Release | None:
    """The newest release of `stream` that is offered and is not a dead end."""
    return ReleasesView.of(stream, releases).newest(now)


def next_step(
    version: str, releases: Iterable[Release], now: datetime | None = None, *, stream: str = ""
) -> Release | None:
    """The next update of a host on `version`, in `stream` or in the stream that holds `version`."""
    view = _view_for(version, releases, stream)
    return view.next_step(version, now) if view else None


def behind(
    version: str, releases: Iterable[Release], now: datetime | None = None, *, stream: str = ""
) -> Behind | None:
    """How far `version` is behind; None when its stream is neither given nor found."""
    view = _view_for(version, releases, stream)
    return view.behind(version, now) if view else None


def merge(known: Iterable[Release], learned: Iterable[Release]) -> list[Release]:
    """Both lists as one, a release per stream and version.

    What `learned` says wins and what it is silent about stays: a release index knows checksums but no
    barriers, update metadata the other way round.
    """
    merged = {(release.stream, release.version): release for release in known}
    for release in learned:
        key = (release.stream, release.version)
        merged[key] = _join(merged[key], release) if key in merged else release
    return sorted(merged.values(), key=lambda r: (r.stream, version_key(r.version)))


def _join(old: Release, new: Release) -> Release:
    return replace(
        old,
        released_at=new.released_at or old.released_at,
        checksums={**old.checksums, **new.checksums},
        images={**old.images, **new.images},
        barrier=new.barrier if new.barrier is not None or "barrier" in new.denied else old.barrier,
        deadend=new.deadend if new.deadend is not None or "deadend" in new.denied else old.deadend,
        rollout=new.rollout or old.rollout,
    )


def _view_for(version: str, releases: Iterable[Release], stream: str) -> ReleasesView | None:
    listed = list(releases)
    streams = {release.stream for release in listed}
    if not stream and len(streams) == 1:
        stream = streams.pop()
    if not stream:
        stream = next((r.stream for r in listed if r.version == version), "")
    return ReleasesView.of(stream, listed) if stream else None
