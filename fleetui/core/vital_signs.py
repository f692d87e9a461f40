"""What core itself looks at: processes, keys, disk, clocks, database, broker, cache and versions."""

from __future__ import annotations

import os
import platform
import shutil
import stat
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter

import django
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

import fleetui
from fleetui.core import health
from fleetui.core.ages import lasting
from fleetui.core.crypto import key_id
from fleetui.core.errors import StartError
from fleetui.core.heartbeats import Sign
from fleetui.core.keys import KEYS, key_folder, read_keys
from fleetui.core.vitals import Glance, Line

#: Leases and due times are compared across machines: past the first people should know, past the second work suffers.
SKEW_SHOWN_S, SKEW_BAD_S = 5.0, 30.0
GIB = 1024**3
#: With beat at work, some worker ends a tick every two seconds.
NOTHING_DONE_FOR = timedelta(seconds=90)
SLOW_DATABASE_MS = 50.0
READ_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def queues() -> list[str]:
    """The queues that messages are sent to."""
    routed = {str(route["queue"]) for route in settings.CELERY_TASK_ROUTES.values()}
    return sorted(routed | {settings.CELERY_TASK_DEFAULT_QUEUE})


def start_again(process: str) -> str:
    if settings.IS_SQLITE:
        return _("Look at the lines of `manage.py up` for the reason, and start it again.")
    return _("Look at the log of the process, and start it: docs/deploy.md has the command for %(process)s.") % {
        "process": process
    }


def processes(glance: Glance) -> Iterator[Line]:
    """Whether somebody takes every queue, and somebody sends the ticks."""
    workers, beats = glance.signs.of("worker"), glance.signs.of("beat")
    yield from _workers(glance, workers)
    yield _beat(glance, beats)
    gone = [*glance.signs.of("worker", fresh=False), *glance.signs.of("beat", fresh=False)]
    for sign in gone:
        told = {"what": where(sign), "time": lasting(sign.seen_at, glance.now)}
        text = _("%(what)s gave its last sign %(time)s ago: it was killed, or cannot reach the database.") % told
        mend = _("If it was replaced, this line goes by itself within half an hour.")
        yield Line(f"gone:{sign.kind}:{sign.hostname}:{sign.pid}", "processes", "info", _("Gone"), text, mend)


def where(sign: Sign) -> str:
    """`worker 4711 on host-a (ops, poll)`."""
    queues = f" ({', '.join(sign.queues)})" if sign.queues else ""
    return _("%(process)s on %(host)s") % {"process": f"{sign.kind} {sign.pid}", "host": f"{sign.hostname}{queues}"}


def _workers(glance: Glance, workers: list[Sign]) -> Iterator[Line]:
    title = _("Workers")
    if not workers:
        text = _("No worker is running: nodes are not polled, and nothing that is due happens.")
        yield Line("worker", "processes", "bad", title, text, start_again("worker"))
        return
    lacking = [queue for queue in queues() if not any(queue in sign.queues for sign in workers)]
    meaning = {
        "poll": _("No worker takes the queue poll: nodes are not polled, and what the pages show grows old."),
        "ops": _("No worker takes the queue ops: nobody hands out what is due, so nodes are not polled."),
    }
    for queue in lacking:
        other = _("No worker takes the queue %(queue)s: what is sent to it waits.") % {"queue": queue}
        text = meaning.get(queue, other)
        yield Line(f"worker:{queue}", "processes", "bad", title, text, start_again(f"worker -Q {queue}"))
    for sign in workers:
        told = {"what": where(sign), "time": lasting(sign.started_at, glance.now)}
        text = _("%(what)s has been running for %(time)s.") % told
        yield Line(f"worker:{sign.hostname}:{sign.pid}", "processes", "ok", title, text, at=sign.seen_at)
    done = [datetime.fromisoformat(at) for sign in workers if (at := sign.document.get("last_task_at"))]
    young = all(glance.now - sign.started_at < NOTHING_DONE_FOR for sign in workers)
    if (
        glance.signs.of("beat")
        and not lacking
        and not young
        and (not done or glance.now - max(done) > NOTHING_DONE_FOR)
    ):
        text = _("Workers and beat are running, but no task has ended lately: messages do not arrive.")
        mend = _("Look at the broker (CELERY_BROKER_URL), and whether all processes name the same one.")
        yield Line("messages", "processes", "bad", _("Messages"), text, mend)


def _beat(glance: Glance, beats: list[Sign]) -> Line:
    title = _("Scheduler (beat)")
    if not beats:
        text = _("The scheduler (beat) is not running: nobody looks for what is due, so nodes are not polled.")
        return Line("beat", "processes", "bad", title, text, start_again("beat"))
    newest = max(beats, key=lambda sign: sign.seen_at)
    told = {"what": where(newest), "time": lasting(newest.started_at, glance.now)}
    text = _("%(what)s has been running for %(time)s.") % told
    if len(beats) > 1:
        text = ngettext("%(n)d schedulers are running.", "%(n)d schedulers are running.", len(beats)) % {
            "n": len(beats)
        }
        text += " " + _("That does no harm: what is due is claimed once.")
    return Line("beat", "processes", "ok", title, text, at=newest.seen_at)


def same_program(glance: Glance) -> Iterator[Line]:
    """Web, workers and beat of one version, with the same keys."""
    alive = [*glance.signs.of("worker"), *glance.signs.of("beat")]
    other = [sign for sign in alive if sign.version != fleetui.__version__]
    if other:
        told = {"what": where(other[0]), "theirs": other[0].version, "ours": fleetui.__version__}
        text = _("%(what)s runs version %(theirs)s, and the pages run %(ours)s.") % told
        mend = _("End the upgrade: start all processes on the same version.")
        yield Line("versions", "processes", "warn", _("Versions"), text, mend)
    ours = {key_id(key) for key in settings.ENCRYPTION_KEYS[:1]}
    for sign in alive:
        known = set(sign.document.get("encryption_keys", []))
        lacks_key = sign.kind == "worker" and known and not ours <= known
        if lacks_key or sign.document.get("audit_key", key_id(settings.AUDIT_KEY)) != key_id(settings.AUDIT_KEY):
            text = _("%(what)s has other keys than the pages: it cannot open what they seal.") % {"what": where(sign)}
            mend = _("Give all processes the same key files, and start it again.")
            yield Line("keys:other", "trust", "bad", _("Keys"), text, mend)
            return


def keys(glance: Glance) -> Iterator[Line]:
    """Every key is there and nobody else may read it."""
    title = _("Key files")
    places: list[str] = []
    for variable, (name, _loss) in KEYS.items():
        if os.environ.get(variable):
            places.append(variable)
            continue
        path = Path(os.environ.get(f"{variable}_FILE", "") or key_folder(settings.DATA_DIR) / name)
        try:
            mode = path.stat().st_mode
        except OSError as error:
            told = {"path": path, "why": error.strerror}
            text = (
                _("The key file %(path)s cannot be read (%(why)s). FleetUI runs on, but will not start again.") % told
            )
            mend = _("Put the file back from your backup before any process is restarted.")
            yield Line(f"keys:{name}", "trust", "bad", title, text, mend)
            continue
        if not _still_holds(variable):
            text = _("The key file %(path)s no longer gives the key that FleetUI runs with.") % {"path": path}
            mend = _("Put the file back from your backup before any process is restarted.")
            yield Line(f"keys:{name}:other", "trust", "bad", title, text, mend)
            continue
        places.append(str(path))
        if mode & READ_BY_OTHERS and path.parent == key_folder(settings.DATA_DIR):
            text = _("The key file %(path)s is open to other users of this machine.") % {"path": path}
            yield Line(f"keys:{name}:mode", "trust", "warn", title, text, f"chmod 600 {path}")
    if len(places) == len(KEYS):
        text = _("All four keys are there.")
        yield Line("keys", "trust", "ok", title, text)


def _still_holds(variable: str) -> bool:
    """While keys are rotated a file holds others too, but never without the one that was newest at our start."""
    ours = getattr(settings, variable.removeprefix("FLEETUI_"))
    newest = ours if isinstance(ours, str) else next(iter(ours), "")
    try:
        return newest in read_keys(variable, settings.DATA_DIR)
    except StartError:
        return False


def keys_beside_database(glance: Glance) -> Iterator[Line]:
    """Whoever copies the folder has lock and key; said, not shouted, since the embedded mode is made so."""
    if settings.IS_SQLITE and (key_folder(settings.DATA_DIR) / "encryption_keys").exists():
        text = _("The keys lie beside the database: a copy of the data folder holds both lock and key.")
        mend = _("Back them up apart from each other (docs/deploy.md).")
        yield Line("keys:beside", "trust", "info", _("Place of the keys"), text, mend)


def disks(glance: Glance) -> Iterator[Line]:
    """The data folder of this process, and those that the other processes wrote of."""
    here = shutil.disk_usage(settings.DATA_DIR)
    places = {(platform.node()[:100], str(settings.DATA_DIR)): (here.free, here.total)}
    for sign in (*glance.signs.of("worker"), *glance.signs.of("beat")):
        if "disk_free_bytes" in sign.document:
            place = (sign.hostname, str(sign.document["data_dir"]))
            places.setdefault(place, (sign.document["disk_free_bytes"], sign.document["disk_total_bytes"]))
    for (host, folder), (free, total) in sorted(places.items()):
        level = disk_level(free, total)
        percent = round(100 * free / total) if total else 0
        told = {"folder": folder, "host": host, "free": filesizeformat(free), "percent": percent}
        if level == "ok":
            text = _("%(folder)s on %(host)s has %(free)s free (%(percent)s %%).") % told
            mend = ""
        else:
            text = _("The disk of %(folder)s on %(host)s is almost full: %(free)s free (%(percent)s %%).") % told
            mend = _("Make room, or move the folder. On a full disk polls are not stored and nobody can sign in.")
        yield Line(f"disk:{host}:{folder}", "storage", level, _("Disk"), text, mend)


def disk_level(free_bytes: int, total_bytes: int) -> str:
    """Little in itself, or little of a small disk: 5 % of a large one is still much."""
    share = free_bytes / total_bytes if total_bytes else 0.0
    if free_bytes < GIB // 4 or (share < 0.02 and free_bytes < 2 * GIB):
        return "bad"
    return "warn" if free_bytes < GIB or (share < 0.05 and free_bytes < 10 * GIB) else "ok"


def clocks(glance: Glance) -> Iterator[Line]:
    """This process and every other one against the database."""
    skews = [(_("the web process"), glance.signs.skew_s or 0.0)]
    skews += [
        (where(sign), float(sign.document.get("skew_s", 0.0)))
        for sign in (*glance.signs.of("worker"), *glance.signs.of("beat"))
    ]
    wrong = False
    for name, skew_s in skews:
        if abs(skew_s) < SKEW_SHOWN_S:
            continue
        wrong = True
        told = {"what": name, "n": round(abs(skew_s))}
        ahead = _("The clock of %(what)s is %(n)s s ahead of the database's.")
        behind = _("The clock of %(what)s is %(n)s s behind the database's.")
        text = (ahead if skew_s > 0 else behind) % told
        mend = _("Start time synchronisation there (chrony or systemd-timesyncd). Leases are compared across machines.")
        level = "bad" if abs(skew_s) >= SKEW_BAD_S else "warn"
        yield Line(f"clock:{name}", "trust", level, _("Clocks"), text, mend)
    if not wrong:
        text = _("All processes and the database agree within %(n)s\u00a0s.") % {"n": round(SKEW_SHOWN_S)}
        yield Line("clock", "trust", "ok", _("Clocks"), text)


def database(glance: Glance) -> Iterator[Line]:
    """Kind, size, how fast it answers, and whether its schema is ours."""
    title = _("Database")
    began = perf_counter()
    health.database()
    took_ms = (perf_counter() - began) * 1000
    told = {
        "kind": database_name(),
        "size": filesizeformat(_database_bytes()),
        "ms": "< 1" if took_ms < 1 else f"{took_ms:.0f}",
    }
    text = _("%(kind)s, %(size)s, answers in %(ms)s ms.") % told
    slow = took_ms > SLOW_DATABASE_MS
    mend = _("Look at the load of the database and the network between.") if slow else ""
    yield Line("database", "storage", "warn" if slow else "ok", title, text, mend)
    if waiting := health.migrations():
        mend = _("Run `manage.py migrate` with the version that runs here.")
        yield Line("migrations", "storage", "bad", title, waiting, mend)


def database_name() -> str:
    if connection.vendor == "sqlite":
        import sqlite3

        return f"SQLite {sqlite3.sqlite_version}"
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return f"PostgreSQL {str(cursor.fetchone()[0]).split(' ', 1)[0]}"


def _database_bytes() -> int:
    if connection.vendor == "sqlite":
        path = Path(str(connection.settings_dict["NAME"]))
        return sum(one.stat().st_size for one in (path, path.with_name(f"{path.name}-wal")) if one.exists())
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def broker(glance: Glance) -> Iterator[Line]:
    kind = settings.CELERY_BROKER_URL.split(":", 1)[0]
    title = _("Broker")
    try:
        failure = health.broker()
    except OSError as error:
        failure = str(error)
    if failure:
        text = _("The broker (%(kind)s) cannot be used: %(why)s") % {"kind": kind, "why": failure}
        mend = _("Start it, or mend CELERY_BROKER_URL. Nothing is lost: what is due stands in the database.")
        yield Line("broker", "storage", "bad", title, text, mend)
    else:
        yield Line("broker", "storage", "ok", title, _("%(kind)s takes messages.") % {"kind": kind})


def caches(glance: Glance) -> Iterator[Line]:
    kind = settings.CACHES["default"]["BACKEND"].rsplit(".", 1)[-1]
    title = _("Cache")
    try:
        cache.set("fleetui-health", "1", 10)
        works = cache.get("fleetui-health") == "1"
        why = "" if works else _("what was written was not there")
    except Exception as error:  # each cache has errors of its own family
        works, why = False, str(error)
    if not works:
        text = _("The cache (%(kind)s) cannot be used: %(why)s") % {"kind": kind, "why": why}
        yield Line("cache", "storage", "bad", title, text, _("Start it, or mend CACHE_URL: sign-in needs it."))
    elif not settings.IS_SQLITE and kind == "LocMemCache":
        text = _("The cache is one per process: sign-in limits and throttles count per process.")
        yield Line("cache", "storage", "warn", title, text, _("Set CACHE_URL to redis://..."))
    else:
        yield Line("cache", "storage", "ok", title, _("%(kind)s keeps what is put in.") % {"kind": kind})


def versions(glance: Glance) -> Iterator[Line]:
    try:
        stored = database_name()
    except DatabaseError as error:
        stored = str(error).strip()
    text = f"FleetUI {fleetui.__version__}, Python {platform.python_version()}, Django {django.get_version()}, {stored}"
    yield Line("versions:here", "versions", "info", _("Versions"), text)


CHEAP = (processes, same_program, keys, disks, clocks)
WHOLE = (keys_beside_database, database, broker, caches, versions)
