"""Zincati: what the agent says it is doing, and the settings it runs with."""

import re
import tomllib
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from nodes.hosts.drivers.base import Look
from nodes.hosts.drivers.documents import MAX_DEPTH, Fields, NotUnderstood, check_depth, plain
from nodes.hosts.drivers.sections import ZINCATI_CONFIG_DIRS
from nodes.hosts.drivers.systemd import parse_show, unit_of
from nodes.hosts.facts import Agent, IgnoredFile
from nodes.hosts.machine_id import MACHINE_ID, derived_id
from nodes.hosts.probe import SectionOutput, clean_text

MAX_FILE_BYTES = 65_536
MAX_FILES = 200
DEFAULT_GRAPH = "https://updates.coreos.fedoraproject.org"
#: One such file fails the reading of all (coreos/zincati, src/config/inputs.rs), so that the agent does not start.
NOT_TOML = "not valid TOML, so that Zincati does not start"
_VERSION = r"(?P<version>\S{1,128})"
_STATES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (state, re.compile(pattern))
    for state, pattern in (
        ("initialized", r"initialization complete, auto-updates logic enabled"),
        ("disabled", r"initialization complete, auto-updates logic disabled by configuration"),
        ("polling", r"periodically polling for updates"),
        ("update_found", rf"found update on remote: {_VERSION}"),
        ("staging", rf"trying to stage {_VERSION} \(failed attempts: (?P<failed_attempts>\d{{1,9}})\)"),
        ("staging", rf"trying to stage {_VERSION} \((?P<failed_attempts>\d{{1,9}}) failed deployment attempts\)"),
        ("staging", rf"trying to stage {_VERSION}"),
        ("staged", r"update staged: (?P<version>[^\s;]{1,128})(?:; (?P<waiting>reboot [a-z ]{1,80}))?"),
        ("finalized", rf"update finalized: {_VERSION}"),
        ("waiting_for_reboot", rf"update applied, waiting for reboot: {_VERSION}"),
    )
)
_WAITING = {
    "reboot pending due to update strategy": "strategy",
    "reboot delayed due to active user sessions": "user_sessions",
}
_LAST_CHECKED = re.compile(r" \(last checked [^()]{1,80}\)")
_REFUSED = re.compile(r"^(?:grep|find): ['\"\u2018]?(?P<path>/[^\n]*?)['\"\u2019]?: Permission denied$", re.MULTILINE)


@dataclass(frozen=True)
class _File:
    kind: str
    size_bytes: int
    path: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def read_agent(look: Look) -> Agent:
    """The agent's unit, state and effective settings. A host without Zincati has an agent without name."""
    units = look.read("zincati", lambda text, _: parse_show(text), [], optional=True)
    values = units[0] if units else {}
    unit = unit_of(values)
    if unit.load in (None, "not-found"):
        return Agent(unit=unit) if values else Agent()
    agent = _with_state(Agent(name="Zincati", unit=unit), values.get("StatusText", ""))
    agent = _with_settings(agent, look)
    return replace(agent, node_uuid=_configured_uuid(agent) or _derived_uuid(look))


def _with_state(agent: Agent, status_text: str) -> Agent:
    # The time of the last check changes at every check and says nothing of the host.
    stable = _LAST_CHECKED.sub("", status_text)
    if agent.unit.active == "failed":
        return replace(agent, status_text=stable or None, state="failed")
    if agent.unit.active not in ("active", "activating", "reloading"):
        return replace(agent, status_text=stable or None, state="stopped")
    state, detail = parse_status_text(stable)
    return replace(agent, status_text=stable or None, state=state, detail=detail)


def parse_status_text(text: str) -> tuple[str | None, dict[str, str]]:
    """What the agent is doing, and the version, reason or count that it names."""
    text = _LAST_CHECKED.sub("", text)
    for state, pattern in _STATES:
        if found := pattern.fullmatch(text):
            detail = {key: value for key, value in found.groupdict().items() if value}
            if waiting := detail.pop("waiting", None):
                detail["waiting_for"] = _WAITING.get(waiting, "unknown")
            return state, detail
    return ("unknown" if text else None), {}


def _derived_uuid(look: Look) -> str | None:
    said = look.output["zincati_id"].stdout.strip().replace("-", "")
    if look.output["zincati_id"].ok and MACHINE_ID.fullmatch(said):
        return said
    machine_id = look.output["machine_id"].stdout.strip()
    if look.output["machine_id"].ok and MACHINE_ID.fullmatch(machine_id):
        return derived_id(machine_id)
    # The raw text would disclose the machine id, which is meant to stay on the host.
    found = look.output["machine_id"]
    reason = look.why_not(found) or "not_understood"
    look.note("machine_id", reason, "The machine id could not be read, so the Zincati id is unknown.", found, raw="")
    return None


def _configured_uuid(agent: Agent) -> str | None:
    value = agent.config.get("identity", {}).get("node_uuid")
    return value.replace("-", "").lower() if isinstance(value, str) else None


# Settings


def _with_settings(agent: Agent, look: Look) -> Agent:
    listing, found = look.output["zincati_files"], look.output["zincati_config"]
    for section, output in (("zincati_files", listing), ("zincati_config", found)):
        _note_folders(look, section, output)
    if listing.missing or found.missing:
        return agent
    files = parse_listing(listing.stdout)
    chosen, ignored = choose_files(files)
    contents = _known_contents(found.stdout_raw)
    texts: list[str] = []
    read: list[str] = []
    for one in chosen:
        if one.path not in contents and one.size_bytes > 0:
            ignored.append(
                IgnoredFile(one.path, "not readable by this user" if _denied(found, one.path) else "not read")
            )
            continue
        text = contents.get(one.path, "")
        try:
            _known_toml(text)
            texts.append(text)
            read.append(one.path)
        except NotUnderstood as error:
            look.note("zincati_config", "not_understood", f"{one.path}: {error}.", found, raw=text)
            ignored.append(IgnoredFile(one.path, NOT_TOML))
    config, problems = _known_effective(tuple(texts))
    if problems:
        message = "Zincati's settings have wrong values: " + "; ".join(problems[:5]) + "."
        look.note("zincati_config", "not_understood", message, found, raw="")
    return replace(agent, config=config, files_read=tuple(read), files_ignored=tuple(ignored))


def _note_folders(look: Look, section: str, output: SectionOutput) -> None:
    if output.missing or output.cut or output.timed_out:
        reason = "missing" if output.missing else "cut" if output.cut else "timeout"
        look.note(section, reason, "Zincati's settings were not read whole.", output, raw="")
    for found in _REFUSED.finditer(output.stderr):
        look.note(section, "permission", f"The user may not read {plain(found['path'])}.", output, raw="")


def _denied(output: SectionOutput, path: str) -> bool:
    return any(found["path"] == path for found in _REFUSED.finditer(output.stderr))


def parse_listing(text: str) -> list[_File]:
    """Lines of type, size and path, as `find` prints them."""
    files = []
    for line in text.splitlines()[:MAX_FILES]:
        kind, _, rest = line.partition(" ")
        size, _, path = rest.partition(" ")
        if path.startswith("/") and size.isascii() and size.isdigit() and len(size) < 16:
            files.append(_File(kind, int(size), plain(path)))
    return files


def choose_files(files: list[_File]) -> tuple[list[_File], list[IgnoredFile]]:
    """The files that Zincati reads, in its order, and the others with the reason.

    A file of the same name in /run replaces one in /etc, and that one replaces one in /usr/lib.
    """
    by_name: dict[str, _File] = {}
    ignored = []
    for one in sorted(files, key=lambda item: (_rank(item), item.path)):
        if reason := _name_reason(one):
            ignored.append(IgnoredFile(one.path, reason))
            continue
        if lower := by_name.get(one.name):
            ignored.append(IgnoredFile(lower.path, f"replaced by {one.path}"))
        by_name[one.name] = one
    masks = [one for one in by_name.values() if one.kind == "c"]
    ignored.extend(IgnoredFile(one.path, "masks the files of this name") for one in masks)
    return [by_name[name] for name in sorted(by_name) if by_name[name].kind != "c"], ignored


def _rank(one: _File) -> int:
    folder = one.path.rpartition("/")[0]
    return ZINCATI_CONFIG_DIRS.index(folder) if folder in ZINCATI_CONFIG_DIRS else -1


def _name_reason(one: _File) -> str | None:
    if _rank(one) < 0:
        return "not in a settings folder"
    if one.kind not in ("f", "c"):
        return {"d": "a folder", "l": "a broken link"}.get(one.kind, "not a file")
    if one.name.startswith("."):
        return "hidden files are not read"
    return None if one.name.endswith(".toml") else "the name does not end in .toml"


def parse_contents(raw: bytes) -> dict[str, str]:
    """Lines of `grep -Z`: each is a path, a NUL and the line."""
    parts: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    for line in raw.split(b"\n"):
        path, mark, text = line.partition(b"\0")
        if not mark:
            continue
        name = clean_text(path)
        sizes[name] = sizes.get(name, 0) + len(text) + 1
        if sizes[name] <= MAX_FILE_BYTES and (name in parts or len(parts) < MAX_FILES):
            parts.setdefault(name, []).append(clean_text(text))
    return {name: "\n".join(lines) for name, lines in parts.items()}


def parse_toml(text: str) -> dict[str, Any]:
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    # The time that the TOML reader takes grows with the square of a key's parts.
    if any(line.partition("=")[0].count(".") > MAX_DEPTH for line in lines):
        raise NotUnderstood("a key has too many parts")
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood(f"this is not TOML: {str(error)[:200]}") from error
    check_depth(values)
    return values


# Hosts of a pool have the same settings, at every look.
_known_toml = lru_cache(maxsize=1024)(parse_toml)
_known_contents = lru_cache(maxsize=256)(parse_contents)


def merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    """Add a later file: tables are merged by key, lists grow, anything else is replaced."""
    for key, value in other.items():
        present = into.get(key)
        if isinstance(value, dict) and isinstance(present, dict):
            merge(present, value)
        elif isinstance(value, list) and isinstance(present, list):
            into[key] = present + value
        else:
            into[key] = value


@lru_cache(maxsize=256)
def _known_effective(texts: tuple[str, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The settings of these files together, and complaints. Not to be changed by whoever asked."""
    merged: dict[str, Any] = {}
    problems: list[str] = []
    for text in texts:
        merge(merged, deepcopy(_known_toml(text)))
    return effective(merged, problems), tuple(problems)


def effective(merged: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """The settings that Zincati knows, with its defaults. Unknown keys are ignored, as the agent does."""
    top = Fields(merged, "", problems)
    agent, timing = _table(top, "agent"), _table(_table(top, "agent"), "timing")
    identity, updates = _table(top, "identity"), _table(top, "updates")
    del agent
    interval_s = timing.number("steady_interval_secs")
    found: dict[str, Any] = {
        "agent": {"timing": {"steady_interval_secs": 300 if interval_s is None else interval_s}},
        "identity": {
            "group": identity.text("group") or "default",
            "node_uuid": identity.text("node_uuid"),
            "rollout_wariness": _fraction(identity, "rollout_wariness"),
        },
        "cincinnati": {"base_url": without_password(_table(top, "cincinnati").text("base_url") or DEFAULT_GRAPH)},
        "updates": {
            "enabled": updates.flag("enabled") if "enabled" in updates else True,
            "allow_downgrade": updates.flag("allow_downgrade"),
            "strategy": updates.text("strategy") or "immediate",
            "fleet_lock": {"base_url": without_password(_table(updates, "fleet_lock").text("base_url") or "") or None},
            "periodic": _periodic(_table(updates, "periodic")),
        },
    }
    return found


def _table(parent: Fields, key: str) -> Fields:
    return parent.part(key) or Fields({}, key, parent.problems)


def _periodic(table: Fields) -> dict[str, Any]:
    windows = [
        {
            "days": list(window.texts("days")),
            "start_time": window.text("start_time"),
            "length_minutes": window.number("length_minutes"),
        }
        for window in table.parts("window")
    ]
    return {"time_zone": table.text("time_zone") or "UTC", "window": windows}


def _fraction(table: Fields, key: str) -> float | None:
    value = table.values.get(key)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    table.problems.append(f"{table.path}.{key} should be a number from 0 to 1")
    return None


def without_password(url: str) -> str:
    """A URL as it may be shown."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]))
