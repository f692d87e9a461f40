"""Text of systemctl, loginctl and timedatectl."""

import re
from datetime import datetime, timedelta

from nodes.hosts.drivers.documents import plain
from nodes.hosts.facts import FailedUnit, Session, Time, Unit

MAX_LINES = 5000
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_WHO = re.compile(
    r"(?P<user>\S{1,64}) +(?:\S{1,32} +)?(?P<tty>\S{1,64}) +"
    r"(?:(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})|(?P<month>[A-Z][a-z]{2}) {1,2}(?P<day>[0-9]{1,2}))"
    r" (?P<time>[0-9]{2}:[0-9]{2})(?: |$)"
)
_YES = {"yes": True, "active": True, "no": False, "inactive": False}
_BULLETS = ("\u25cf", "\u00d7", "*", "x")
_STATES = frozenset(
    ("initializing", "starting", "running", "degraded", "maintenance", "stopping", "offline", "unknown")
)


def parse_show(text: str) -> list[dict[str, str]]:
    """`systemctl show`: one dict per unit; an empty line separates units and values may hold an equals sign."""
    units: list[dict[str, str]] = [{}]
    for line in text.splitlines()[:MAX_LINES]:
        key, equals, value = line.partition("=")
        if not line.strip():
            units.append({})
        elif equals and key.strip().isalnum():
            units[-1][key.strip()] = plain(value.strip())
    return [unit for unit in units if unit]


def unit_of(values: dict[str, str]) -> Unit:
    return Unit(
        load=values.get("LoadState") or None,
        active=values.get("ActiveState") or None,
        sub=values.get("SubState") or None,
        enabled=values.get("UnitFileState") or None,
        result=values.get("Result") or None,
    )


def parse_system_state(text: str, problems: list[str]) -> str | None:
    word = text.strip()
    if word in _STATES:
        return word
    problems.append(f"the system state {plain(word[:40])!r} is not known")
    return None


def parse_failed(text: str, _problems: list[str]) -> tuple[FailedUnit, ...]:
    """`systemctl list-units --failed` as text; old versions mark failed lines with a bullet."""
    found = []
    for line in text.splitlines()[:MAX_LINES]:
        words = line.split(None, 5)
        words = words[1:] if words[:1] and words[0] in _BULLETS else line.split(None, 4)
        if len(words) >= 4 and "." in words[0] and words[2] == "failed":
            found.append(FailedUnit(plain(words[0]), plain(words[4]) if len(words) > 4 else ""))
    return tuple(found)


def with_results(units: tuple[FailedUnit, ...], shown: list[dict[str, str]]) -> tuple[FailedUnit, ...]:
    """Add why each unit failed, and units that only the second list knows; sorted by name."""
    names = {unit.name: unit for unit in units}
    for values in shown:
        name = values.get("Id", "")
        if name and values.get("ActiveState") == "failed":
            text = values.get("Description") or (names[name].description if name in names else "")
            names[name] = FailedUnit(name, text, values.get("Result") or None)
    return tuple(names[name] for name in sorted(names))


def parse_time(text: str, problems: list[str]) -> Time:
    """`timedatectl show`, or the table of versions that do not know `show`."""
    values: dict[str, str] = {}
    for line in text.splitlines()[:200]:
        mark = "=" if "=" in line.partition(":")[0] else ":"
        key, _, value = line.partition(mark)
        values.setdefault(key.strip(), value.strip())
    zone = values.get("Timezone") or values.get("Time zone", "").partition(" ")[0]
    synchronized = _first(values, "NTPSynchronized", "System clock synchronized", "NTP synchronized")
    ntp = _first(values, "NTP", "NTP service", "Network time on", "NTP enabled", "systemd-timesyncd.service active")
    if not zone and synchronized is None:
        problems.append("this is not the output of timedatectl")
    return Time(_YES.get(synchronized or ""), plain(zone) or None, _YES.get(ntp or ""))


def _first(values: dict[str, str], *keys: str) -> str | None:
    return next((values[key] for key in keys if key in values), None)


def parse_sessions(text: str, problems: list[str]) -> tuple[Session, ...]:
    """Sessions with a terminal, from the table of loginctl; cells may be empty, so columns go by position."""
    lines = text.splitlines()[:MAX_LINES]
    head = next((line for line in lines if line.split()[:1] == ["SESSION"]), None)
    if head is None:
        if text.strip() and "No sessions" not in text:
            problems.append("this is not the output of loginctl")
        return ()
    starts = {word: head.index(word) for word in head.split()}
    if "USER" not in starts or "TTY" not in starts:
        problems.append("the table of loginctl has no user or no terminal column")
        return ()
    found = []
    for line in lines[lines.index(head) + 1 :]:
        if not line.strip() or "listed." in line:
            break
        user, tty = _cell(line, starts["USER"]), _cell(line, starts["TTY"])
        if user and tty and tty != "-":
            found.append(Session(plain(user), plain(tty)))
    return tuple(found)


def _cell(line: str, start: int) -> str:
    cell = line[start:]
    return "" if not cell or cell[0].isspace() else cell.split(None, 1)[0]


def parse_who(text: str, now: datetime) -> dict[tuple[str, str], str]:
    """`who`: when each user signed in on each terminal, in the host's own time.

    The C locale prints no year, so the last such day is meant.
    """
    found = {}
    for line in text.splitlines()[:MAX_LINES]:
        row = _WHO.match(line[:500])
        if row and (since := _since(row, now)):
            found[plain(row["user"]), plain(row["tty"])] = since
    return found


def _since(row: re.Match[str], now: datetime) -> str | None:
    if row["date"]:
        return f"{row['date']}T{row['time']}"
    month = _MONTHS.find(row["month"])
    if month < 0:
        return None
    day = f"{month // 3 + 1:02}-{int(row['day']):02}"
    # A host's clock zone may be a day ahead of ours.
    tomorrow = (now + timedelta(days=1)).strftime("%m-%d")
    year = now.year if day <= tomorrow or tomorrow == "01-01" else now.year - 1
    return f"{year}-{day}T{row['time']}"
