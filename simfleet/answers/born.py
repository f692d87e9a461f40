"""What Ignition made of a host, and what somebody changed since: stat, sums, contents, units and users, asked for by xargs.

`born/NAME.ign` in the folder of the fleet is the config with which a host was born; without it a host has none of these.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from simfleet.answers import files
from simfleet.answers.base import Answer, Call, command, fail
from simfleet.answers.units import unit

UNITS = "/etc/systemd/system"
_FILE, _DIRECTORY, _LINK = 0o100000, 0o040000, 0o120000
#: Of nobody: made for the demo and thrown away.
_ADDED_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0wmN/Cr3JXqmLW7u+g9pTh+wyqDHpSQEIQczXkVx9i temp@laptop"


@dataclass(frozen=True)
class Entry:
    """A path of the host."""

    type: int
    mode: int
    body: bytes = b""
    owner: str = "root"

    @property
    def row(self) -> tuple[str, ...]:
        uid = {"root": "0", "core": "1000"}.get(self.owner, "1001")
        return (f"{self.type | self.mode:x}", uid, self.owner, uid, self.owner, str(len(self.body)))


@dataclass
class Born:
    """A host as it is now."""

    paths: dict[str, Entry] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    users: dict[str, list[str]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)


def born(call: Call) -> Born:
    """What the host's own file of its birth says, with what was changed since."""
    path = call.world.born_dir / f"{call.host.name}.ign"
    try:
        at = path.stat().st_mtime_ns
    except OSError:
        return Born()
    return _born(path, at, call.host.plan.tampered)


@lru_cache(maxsize=64)
def _born(path: Path, _at: int, tampered: tuple[str, ...]) -> Born:
    config = json.loads(path.read_text())
    made = Born()
    storage = config.get("storage", {})
    for one in storage.get("directories", []):
        made.paths[one["path"]] = Entry(_DIRECTORY, one.get("mode", 0o755), owner=_owner(one))
    for one in storage.get("files", []):
        parts = [one["contents"]] if "contents" in one else []
        body = b"".join(_body(part) for part in [*parts, *one.get("append", [])])
        made.paths[one["path"]] = Entry(_FILE, one.get("mode", 0o644), body, _owner(one))
    for one in storage.get("links", []):
        made.paths[one["path"]] = Entry(_LINK, 0o777, one["target"].encode(), _owner(one))
    for one in config.get("systemd", {}).get("units", []):
        _unit(made, one)
    for one in config.get("passwd", {}).get("users", []):
        made.users[one["name"]] = list(one.get("sshAuthorizedKeys", []))
        for group in one.get("groups", []):
            made.groups.setdefault(group, []).append(one["name"])
    for kind in tampered:
        TAMPERINGS[kind](made)
    return made


def written(config: dict[str, Any]) -> dict[str, str]:
    """The files that Ignition writes of a config, as text."""
    files = config.get("storage", {}).get("files", [])
    return {one["path"]: _body(one["contents"]).decode(errors="replace") for one in files if "contents" in one}


def _owner(one: dict[str, Any]) -> str:
    return str(one.get("user", {}).get("name", "root"))


def _body(resource: dict[str, Any]) -> bytes:
    head, _, text = resource.get("source", "").removeprefix("data:").partition(",")
    body = unquote_to_bytes(text)
    body = base64.b64decode(body) if head.endswith(";base64") else body
    return gzip.decompress(body) if resource.get("compression") == "gzip" else body


def _unit(made: Born, one: dict[str, Any]) -> None:
    path = f"{UNITS}/{one['name']}"
    if one.get("mask"):
        made.paths[path] = Entry(_LINK, 0o777, b"/dev/null")
    elif one.get("contents"):
        made.paths[path] = Entry(_FILE, 0o644, one["contents"].encode())
    for dropin in one.get("dropins", []):
        made.paths[f"{path}.d/{dropin['name']}"] = Entry(_FILE, 0o644, dropin.get("contents", "").encode())
    if one.get("mask"):
        made.units[one["name"]] = "masked"
    elif one.get("enabled") is not None:
        made.units[one["name"]] = "enabled" if one["enabled"] else "disabled"


def _edited(made: Born) -> None:
    """Somebody edited the last file of settings."""
    path = max(one for one, entry in made.paths.items() if entry.type == _FILE and one.endswith((".toml", ".conf")))
    body = made.paths[path].body.replace(b"02:00", b"22:30") + b"# until the fair is over\n"
    made.paths[path] = replace(made.paths[path], body=body)


def _opened(made: Born) -> None:
    """Somebody let everybody write the message of the day."""
    path = min(one for one in made.paths if "motd" in one)
    made.paths[path] = replace(made.paths[path], mode=0o666)


def _key(made: Born) -> None:
    made.users[min(made.users)].append(_ADDED_KEY)


def _disabled(made: Born) -> None:
    made.units[min(made.units)] = "disabled"


def _removed(made: Born) -> None:
    name = min(made.units)
    del made.paths[f"{UNITS}/{name}"]
    made.units.pop(name)


#: What HostPlan.tampered may name.
TAMPERINGS: dict[str, Callable[[Born], None]] = {
    "edited": _edited,
    "opened": _opened,
    "key": _key,
    "disabled": _disabled,
    "removed": _removed,
}


@command("xargs")
def xargs(call: Call) -> Answer:
    """`xargs -0 -r COMMAND` for the commands of a comparison; each reads the names of its input."""
    words = [word for word in call.args if word not in {"-0", "-r"}]
    names = [name for name in call.stdin.decode().split("\0") if name]
    if not names:
        return Answer()
    asked = ASKED.get(words[0])
    return asked(call, words, names) if asked else fail(f"xargs: {words[0]}: No such file or directory", 127)


def _entry(call: Call, made: Born, path: str) -> Entry | None:
    """Of Ignition, else of the operating system."""
    if path in made.paths:
        return made.paths[path]
    text = files.read(call.host, path, call.now)
    return None if text is None or path.startswith(UNITS) else Entry(_FILE, 0o644, text.encode())


def _each(call: Call, names: list[str]) -> Iterator[tuple[str, Entry | None]]:
    made = born(call)
    return ((name, _entry(call, made, name)) for name in names)


def _stat(call: Call, _words: list[str], names: list[str]) -> Answer:
    out, err = [], []
    for name, entry in _each(call, names):
        if entry is None:
            err.append(f"stat: cannot statx '{name}': No such file or directory\n")
        else:
            out.append("".join(f"{part}\0" for part in (name, *entry.row)))
    return Answer(123 if err else 0, "".join(out).encode(), "".join(err).encode())


def _sum(call: Call, words: list[str], names: list[str]) -> Answer:
    algorithm = words[0].removesuffix("sum")
    found = [(name, entry) for name, entry in _each(call, names) if entry is not None]
    rows = (f"{hashlib.new(algorithm, entry.body).hexdigest()}  {name}\0" for name, entry in found)
    return Answer(0, "".join(rows).encode())


def _readlink(call: Call, _words: list[str], names: list[str]) -> Answer:
    return Answer(0, b"".join(entry.body + b"\0" for _, entry in _each(call, names) if entry is not None))


def _read(call: Call, _words: list[str], names: list[str]) -> Answer:
    """The script that prints contents as base64; folders of keys are given by the users of the host."""
    made, rows = born(call), []
    homes = {f"/var/home/{user}/.ssh/authorized_keys.d": keys for user, keys in made.users.items()}
    for name in names:
        if name in homes:
            rows.append((f"{name}/ignition", "".join(f"{key}\n" for key in homes[name]).encode()))
        elif (entry := _entry(call, made, name)) is not None and entry.type == _FILE:
            rows.append((name, entry.body))
    return Answer(0, b"".join(b"%s\0%s\0" % (name.encode(), base64.b64encode(body)) for name, body in rows))


def _systemctl(call: Call, _words: list[str], names: list[str]) -> Answer:
    made, blocks = born(call), []
    for name in names:
        known = unit(call.host, name, call.now)
        state = made.units.get(name, known.enabled if known.load != "not-found" else "")
        load = "masked" if state == "masked" else "loaded" if state else "not-found"
        blocks.append(f"Id={name}\nLoadState={load}\nUnitFileState={state}\n")
    return Answer(0, "\n".join(blocks).encode())


def _getent(call: Call, words: list[str], names: list[str]) -> Answer:
    made = born(call)
    if words[1] == "passwd":
        known = {
            user: f"{user}:x:{1000 + at}:{1000 + at}::/var/home/{user}:/bin/bash" for at, user in enumerate(made.users)
        }
    else:
        known = {group: f"{group}:x:{10 + at}:{','.join(made.groups[group])}" for at, group in enumerate(made.groups)}
    rows = [known[name] for name in names if name in known]
    return Answer(0 if len(rows) == len(names) else 123, "".join(f"{row}\n" for row in rows).encode())


ASKED: dict[str, Callable[[Call, list[str], list[str]], Answer]] = {
    "stat": _stat,
    "sha256sum": _sum,
    "sha512sum": _sum,
    "readlink": _readlink,
    "sh": _read,
    "systemctl": _systemctl,
    "getent": _getent,
}
