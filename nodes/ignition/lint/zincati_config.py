"""Zincati's configuration as the agent reads it: TOML snippets, merged in the order of their names."""

import re
import tomllib
from dataclasses import dataclass, field
from typing import Any

from nodes.ignition.paths import Path
from nodes.ignition.sections.model import FileNode, Sections

DIRECTORIES = ("/etc/zincati/config.d", "/run/zincati/config.d", "/usr/lib/zincati/config.d")
STRATEGIES = ("immediate", "fleet_lock", "periodic")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_NAMES = {
    **{name: number for number, name in enumerate(DAYS)},
    **{
        name: number
        for number, name in enumerate(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"))
    },
}
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z")
_MOST_CHARACTERS, _MOST_WINDOWS = 100_000, 200


@dataclass(frozen=True)
class Place:
    """Where a setting stands."""

    at: Path
    path: str
    line: int | None = None


@dataclass(frozen=True)
class Window:
    """A weekly window: minutes from Monday 00:00 of each day on which it opens."""

    starts: tuple[int, ...]
    minutes: int
    place: Place
    problem: str | None = None


@dataclass
class Zincati:
    """All snippets together."""

    strategy: str | None = None
    strategy_place: Place | None = None
    is_enabled: bool = True
    enabled_place: Place | None = None
    base_url: str | None = None
    base_url_place: Place | None = None
    time_zone: str = "UTC"
    time_zone_place: Place | None = None
    windows: list[Window] = field(default_factory=list)
    has_periodic: bool = False
    periodic_place: Place | None = None
    problems: list[tuple[Place, str, str]] = field(default_factory=list)
    unread: list[FileNode] = field(default_factory=list)


def read_zincati(sections: Sections) -> Zincati:
    """What Zincati will be told. Files that it does not read are in `unread`."""
    config = Zincati()
    nodes = [node for directory in DIRECTORIES for node in sections.files_below(directory) if node.kind == "file"]
    for node in sorted(nodes, key=lambda node: node.path.rpartition("/")[2]):
        if not node.path.endswith(".toml") or node.path.rpartition("/")[0] not in DIRECTORIES:
            config.unread.append(node)
            continue
        text = node.content.text if node.content else None
        if text is not None and len(text) <= _MOST_CHARACTERS:
            _read(config, node, text)
    return config


def _read(config: Zincati, node: FileNode, text: str) -> None:
    place = Place(node.content_at, node.path)
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        config.problems.append((Place(place.at, place.path, _line_of(error)), "toml", ""))
        return
    updates = table.get("updates", {})
    if not isinstance(updates, dict):
        config.problems.append((place, "type", "updates"))
        return

    def at(key: str) -> Place:
        return Place(place.at, place.path, _find_line(text, key))

    for key, type_ in (("strategy", str), ("enabled", bool)):
        if key in updates and not isinstance(updates[key], type_):
            config.problems.append((at(key), "type", f"updates.{key}"))
    if isinstance(updates.get("strategy"), str):
        config.strategy, config.strategy_place = updates["strategy"], at("strategy")
        if config.strategy not in STRATEGIES:
            config.problems.append((at("strategy"), "strategy", updates["strategy"]))
    if isinstance(updates.get("enabled"), bool):
        config.is_enabled, config.enabled_place = updates["enabled"], at("enabled")
    lock = updates.get("fleet_lock")
    if isinstance(lock, dict) and isinstance(lock.get("base_url"), str):
        config.base_url, config.base_url_place = lock["base_url"], at("base_url")
    periodic = updates.get("periodic")
    if isinstance(periodic, dict):
        _read_periodic(config, periodic, text, place)


def _read_periodic(config: Zincati, periodic: dict[str, Any], text: str, place: Place) -> None:
    if isinstance(periodic.get("time_zone"), str):
        config.time_zone = periodic["time_zone"]
        config.time_zone_place = Place(place.at, place.path, _find_line(text, "time_zone"))
    windows = periodic.get("window", [])
    if windows:
        config.has_periodic = True
        config.periodic_place = Place(place.at, place.path, _find_line(text, "[[updates.periodic.window]]"))
    if not isinstance(windows, list):
        config.problems.append((place, "type", "updates.periodic.window"))
        return
    lines = _find_lines(text, "start_time")
    for number, window in enumerate(windows[:_MOST_WINDOWS]):
        line = lines[number] if number < len(lines) else None
        config.windows.append(_window(window, Place(place.at, place.path, line)))


def _window(window: object, place: Place) -> Window:
    if not isinstance(window, dict):
        return Window((), 0, place, "type")
    days, start, minutes = window.get("days"), window.get("start_time"), window.get("length_minutes")
    if not isinstance(days, list) or not all(isinstance(day, str) for day in days) or not days:
        return Window((), 0, place, "days")
    numbers = [_DAY_NAMES.get(day.lower()) for day in days]
    if None in numbers:
        return Window((), 0, place, "days")
    time = _TIME.match(start) if isinstance(start, str) else None
    if time is None:
        return Window((), 0, place, "start_time")
    if not isinstance(minutes, int) or isinstance(minutes, bool) or minutes <= 0:
        return Window((), 0, place, "length_minutes")
    offset = int(time[1]) * 60 + int(time[2])
    return Window(tuple(sorted(number * 1440 + offset for number in numbers if number is not None)), minutes, place)


def _find_lines(text: str, key: str) -> list[int]:
    """The lines that begin with a key, also one with the names of its tables before it, or with a header."""
    begins = re.compile(rf"\s*(?:[\w.-]+\.)?{re.escape(key)}")
    return [number for number, line in enumerate(text.split("\n"), start=1) if begins.match(line)]


def _find_line(text: str, key: str) -> int | None:
    return next(iter(_find_lines(text, key)), None)


def _line_of(error: Exception) -> int | None:
    match = re.search(r"line (\d+)", str(error))
    return int(match[1]) if match else None


def clock(minute: int) -> str:
    """`Sat 02:00` of a minute of the week."""
    day, rest = divmod(minute % (7 * 1440), 1440)
    return f"{DAYS[day].capitalize()} {rest // 60:02d}:{rest % 60:02d}"
