"""Updates of Fedora CoreOS: when Zincati may reboot the host."""

from collections.abc import Iterator

from nodes.ignition.lint.model import CORE, Found, Rule, Severity, Subject, example, file_example
from nodes.ignition.lint.zincati_config import Place, Zincati, clock
from nodes.ignition.lint.zones import find_zone, gaps, overlap
from nodes.ignition.urls import UrlFailure, parse

_WORK_STARTS, _WORK_ENDS, _WORK_DAYS, _DAY = 8 * 60, 18 * 60, 5, 1440
_SHORT_MINUTES = 30
_SNIPPET = "/etc/zincati/config.d/55-updates-strategy.toml"


def _found(place: Place, **params: str | int) -> Found:
    return Found(place.at, {"path": place.path, **params}, place.line)


def _no_strategy(subject: Subject) -> Iterator[Found]:
    """Without one the host reboots as soon as an update is there."""
    if not subject.is_fcos or not subject.is_whole or _is_off(subject):
        return
    config = subject.zincati
    if config.strategy is None and config.is_enabled:
        unread = config.unread[0] if config.unread else None
        yield Found((*unread.at, "path") if unread else ())


def _is_off(subject: Subject) -> bool:
    return any(
        unit.name == "zincati.service" and (unit.is_masked or unit.is_enabled is False)
        for unit in subject.sections.units
    )


def _immediate(subject: Subject) -> Iterator[Found]:
    config = subject.zincati
    if config.strategy == "immediate" and config.strategy_place is not None and config.is_enabled:
        yield _found(config.strategy_place)


def _updates_off(subject: Subject) -> Iterator[Found]:
    config = subject.zincati
    if not config.is_enabled and config.enabled_place is not None:
        yield _found(config.enabled_place)
    for unit in subject.sections.units:
        if unit.name == "zincati.service" and (unit.is_masked or unit.is_enabled is False):
            yield Found(unit.at, {"path": unit.name})


def _not_read(subject: Subject) -> Iterator[Found]:
    for node in subject.zincati.unread:
        yield Found((*node.at, "path"), {"path": node.path})


def _invalid(subject: Subject) -> Iterator[Found]:
    config = subject.zincati
    for place, problem, value in config.problems:
        yield _found(place, problem=problem, value=value)
    for window in config.windows:
        if window.problem is not None:
            yield _found(window.place, problem=f"window_{window.problem}")
    if config.strategy == "periodic" and not config.windows and config.strategy_place is not None:
        yield _found(config.strategy_place, problem="no_window")


def _both(subject: Subject) -> Iterator[Found]:
    config = subject.zincati
    if config.base_url is None or not config.has_periodic:
        return
    place = config.periodic_place if config.strategy == "fleet_lock" else config.base_url_place
    if place is not None:
        yield _found(place, strategy=config.strategy or "immediate")


def _lock_url(subject: Subject) -> Iterator[Found]:
    config = subject.zincati
    if config.strategy == "fleet_lock" and config.base_url is None and config.strategy_place is not None:
        yield _found(config.strategy_place, problem="missing")
    if config.base_url is None or config.base_url_place is None:
        return
    try:
        scheme = parse(config.base_url).scheme
    except UrlFailure:
        scheme = ""
    path = config.base_url.partition("://")[2].partition("/")[2]
    if scheme not in ("http", "https"):
        yield _found(config.base_url_place, problem="url")
    elif path and not path.endswith("/"):
        # Zincati joins its own path to it, and the last segment is lost.
        yield _found(config.base_url_place, problem="slash")


def _working_hours(subject: Subject) -> Iterator[Found]:
    config = subject.zincati
    if config.strategy != "periodic":
        return
    for window in config.windows:
        start = next((start for start in window.starts if _touches_work(start, window.minutes)), None)
        if start is not None:
            yield _found(window.place, window=clock(start), minutes=window.minutes, time_zone=config.time_zone)


def _touches_work(start: int, minutes: int) -> bool:
    days = range(-1, 14)
    return any(
        start < day * _DAY + _WORK_ENDS and day * _DAY + _WORK_STARTS < start + minutes
        for day in days
        if day % 7 < _WORK_DAYS
    )


def _skipped(subject: Subject) -> Iterator[Found]:
    """Windows at hours that do not exist on the day when clocks go forward."""
    config = subject.zincati
    zone = _time_zone(subject, config)
    if config.strategy != "periodic" or zone is None:
        return
    for window in config.windows:
        for start in window.starts:
            lost = max((overlap(start, window.minutes, gap) for gap in gaps(zone)), default=0)
            if lost and window.minutes - lost < min(_SHORT_MINUTES, window.minutes):
                yield _found(window.place, window=clock(start), lost=lost, minutes=window.minutes, time_zone=zone)
                break


def _time_zone(subject: Subject, config: Zincati) -> str | None:
    """The name of the zone in which windows are; None when it is not known."""
    if config.time_zone != "localtime":
        return config.time_zone
    link = subject.sections.file("/etc/localtime")
    target = (link.target if link else None) or "UTC"
    return target.partition("zoneinfo/")[2] or None


def _short(subject: Subject) -> Iterator[Found]:
    config = subject.zincati
    for window in config.windows if config.strategy == "periodic" else ():
        if window.problem is None and window.minutes < _SHORT_MINUTES:
            yield _found(window.place, minutes=window.minutes, wanted=_SHORT_MINUTES)


def _zone_unknown(subject: Subject) -> Iterator[Found]:
    config = subject.zincati
    place = config.time_zone_place
    if place is not None and config.time_zone != "localtime" and find_zone(config.time_zone) is None:
        yield _found(place, time_zone=config.time_zone)


def _periodic(days: str, start: str, minutes: int, zone: str = "", *, path: str = _SNIPPET) -> str:
    periodic = f'[updates.periodic]\ntime_zone = "{zone}"\n\n' if zone else ""
    return file_example(
        path,
        f'[updates]\nstrategy = "periodic"\n\n{periodic}[[updates.periodic.window]]\ndays = [ {days} ]\n'
        f'start_time = "{start}"\nlength_minutes = {minutes}',
    )


def _lock(url: str | None, more: str = "") -> str:
    setting = f'\n\n[updates.fleet_lock]\nbase_url = "{url}"' if url else ""
    return file_example(_SNIPPET, f'[updates]\nstrategy = "fleet_lock"{setting}{more}')


_SATURDAY = _periodic('"Sat"', "02:00", 120)
_WINDOW = '\n\n[[updates.periodic.window]]\ndays = [ "Sat" ]\nstart_time = "02:00"\nlength_minutes = 120'
RULES = (
    Rule("zincati-no-strategy", Severity.WARNING, _no_strategy, _SATURDAY, example(CORE)),
    Rule(
        "zincati-immediate",
        Severity.WARNING,
        _immediate,
        _SATURDAY,
        file_example(_SNIPPET, '[updates]\nstrategy = "immediate"'),
    ),
    Rule(
        "zincati-updates-off",
        Severity.WARNING,
        _updates_off,
        _SATURDAY,
        file_example(_SNIPPET, "[updates]\nenabled = false"),
    ),
    Rule(
        "zincati-not-read",
        Severity.ERROR,
        _not_read,
        _SATURDAY,
        _periodic('"Sat"', "02:00", 120, path="/etc/zincati/config.d/55-updates-strategy.yaml"),
    ),
    Rule("zincati-invalid", Severity.ERROR, _invalid, _SATURDAY, _periodic('"Saturn"', "02:00", 120)),
    Rule(
        "zincati-both-strategies",
        Severity.WARNING,
        _both,
        _lock("https://fleet.example.com/fleetlock/"),
        _lock("https://fleet.example.com/fleetlock/", _WINDOW),
    ),
    Rule("zincati-lock-url", Severity.ERROR, _lock_url, _lock("https://fleet.example.com/fleetlock/"), _lock(None)),
    Rule("zincati-working-hours", Severity.WARNING, _working_hours, _SATURDAY, _periodic('"Mon", "Tue"', "10:00", 120)),
    Rule(
        "zincati-window-skipped",
        Severity.WARNING,
        _skipped,
        _periodic('"Sun"', "04:00", 60, "Europe/Berlin"),
        _periodic('"Sun"', "02:00", 60, "Europe/Berlin"),
    ),
    Rule("zincati-window-short", Severity.WARNING, _short, _SATURDAY, _periodic('"Sat"', "02:00", 10)),
    Rule(
        "zincati-time-zone",
        Severity.ERROR,
        _zone_unknown,
        _periodic('"Sat"', "02:00", 120, "Asia/Bangkok"),
        _periodic('"Sat"', "02:00", 120, "Asia/Bangcock"),
    ),
)
