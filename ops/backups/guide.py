"""The steps of ops.backups.restoring as FleetUI carries them out, host by host: what is run there, and when a person is asked. Pure.

Each host has a private folder with the backup, and beside it what was begun and what is done, so that whoever comes next sees
it. What is begun holds a lock there until it ends, also when nobody listens any more: nothing is done twice at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

from ops.backups.age import SUFFIX
from ops.backups.restoring import Host, Lies, Step, asked_of_etcd, leavings, steps_on_hosts, way_back

#: Kinds that FleetUI brings back. Its own state is not there to do it with, and of others it has no file.
KINDS: Final = ("path", "volume", "postgresql", "etcd")
BY_HAND: Final = frozenset({"restore_open", "restore_volume_users", "restore_volume_start"})
#: Looks that stand before anything is sent.
_FIRST: Final = frozenset(
    {"restore_members", "restore_look_pods", "restore_look_unit", "restore_look_container", "restore_look_database"}
)
#: They go on when etcd says nothing: it may be what is broken.
MAY_FAIL: Final = frozenset({"restore_members"})
#: Looked at again for a while before it counts as failed.
PATIENT: Final = frozenset({"restore_well", "restore_well_pods"})
LONG: Final = frozenset({"restore_unpack", "restore_volume_unpack", "restore_member", "restore_load", "restore_list"})
LIMIT_S, LONG_LIMIT_S = 600, 12 * 3600
BUSY_STATUS, NOT_NOW_STATUS, LATE_STATUS, NO_FOLDER_STATUS = 77, 78, 124, 70
MOST_SHOWN_BYTES = 100_000
_FOLDERS = "/var/tmp/fleetui-restore-"  # noqa: S108  (made by its user alone, and it has to be)
_SHELL = 'set -eu\nsudo() { command sudo -n "$@"; }\n[ ! -e vars ] || . ./vars\n'
#: What a look found out is known to the steps after it.
_KEEP = (
    'for name in DATA_DIR IMAGE TOOL BUMP UNIT; do [ -z "${!name+x}" ] || printf "%s=%q\\n" "$name" "${!name}"; done '
    ">vars.new\nmv vars.new vars\n"
)

_MAKE = """umask 077
[ -d "$1" ] || mkdir -m 700 -- "$1" || exit 70
cd -P -- "$1" && [ -O . ] && [ ! -L "$1" ] || { echo "$1 is not this user's own" >&2; exit 70; }
free=$(df -P -B1 . | awk 'NR == 2 { print $4 }')
[ -e "$3" ] || [ "$free" -ge "$2" ] || { echo "$1 has $free bytes free, and the backup has $2" >&2; exit 71; }
for program in bash flock timeout sha256sum sudo; do
    command -v "$program" >/dev/null || { echo "$program is not on this host" >&2; exit 71; }
done
sudo -n true || exit 71
"""
_TAKE = """umask 077
cd -P -- "$1" && [ -O . ] || exit 70
exec 9>lock
flock -n 9 || exit 77
if [ -e "$2" ] && printf '%s  %s\\n' "$3" "$2" | sha256sum --check --status; then echo there; exit 0; fi
echo send
trap 'rm -f -- "$2.part"' EXIT
trap 'exit 143' HUP INT TERM PIPE
head -c "$4" >"$2.part"
printf '%s  %s\\n' "$3" "$2.part" | sha256sum --check --status || exit 79
mv -- "$2.part" "$2"
echo there
"""
_CARRY_OUT = """umask 077
folder=$1 step=$2 limit_s=$3 once=$4 holds=$5 is_done=$6 again=$7 lines=$8
cd -P -- "$folder" && [ -O . ] || { echo "$folder is not there any more" >&2; exit 70; }
exec 9>lock
flock -n 9 || { echo "what was begun before is still at work on this host" >&2; exit 77; }
status=0
if [ "$once" = no ] || [ ! -e "done.$step" ]; then
    if [ -n "$is_done" ] && bash -c "$is_done" >/dev/null 2>&1; then
        : >"done.$step"
        echo "it was done already" >"out.$step"
    else
        if [ -n "$holds" ]; then bash -c "$holds" || exit 78; fi
        if [ -n "$again" ] && [ -e "began.$step" ]; then bash -c "$again" >&2 || exit 78; fi
        : >"began.$step"
        # A service that is started must not keep the lock.
        case $step in restore_start|back_restore) exec 9>&- ;; esac
        timeout --kill-after=30 "$limit_s" bash -c "$lines" >"out.$step" 2>&1 </dev/null
        status=$?
        [ "$status" != 0 ] || : >"done.$step"
    fi
fi
[ ! -e "out.$step" ] || head -c 100000 "out.$step"
exit "$status"
"""
_STANDS = """cd -P -- "$1" || exit 70
sudo() { command sudo -n "$@"; }
[ ! -e vars ] || . ./vars
[ -z "${DATA_DIR-}" ] || { echo "data $DATA_DIR"; ! sudo test -d "$DATA_DIR.before" || echo "before $DATA_DIR.before"; }
for step in done.*; do [ ! -e "$step" ] || echo "did ${step#done.}"; done
"""
#: With the folder goes what it needs to be found again: only what lies in it for certain.
_LEAVE = """case $1 in /var/tmp/fleetui-restore-*) ;; *) exit 70 ;; esac
[ -d "$1" ] && [ ! -L "$1" ] || exit 0
cd -P -- "$1" && [ -O . ] || exit 70
exec 9>lock
flock -n 9 || exit 77
[ -z "$2" ] || bash -c "$2" >&2 || exit 72
rm -rf -- "$1"
"""


@dataclass(frozen=True)
class Guide:
    """What an operation keeps of what it brings back: frozen when it was asked for."""

    lies: Lies
    size_bytes: int
    hosts: tuple[Host, ...]
    #: The id of each host's node, with the generation of its machine then.
    nodes: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        nodes = {name: list(one) for name, one in self.nodes.items()}
        hosts = [{**asdict(host), "jumps": list(host.jumps)} for host in self.hosts]
        return {"lies": asdict(self.lies), "size_bytes": self.size_bytes, "hosts": hosts, "nodes": nodes}

    @classmethod
    def of(cls, kept: Mapping[str, Any], members: Mapping[str, Mapping[str, str]] | None = None) -> Guide:
        """With what etcd itself calls its members, where that was found out since."""
        known = members or {}
        hosts = [Host(**{**one, "jumps": tuple(one["jumps"]), **known.get(one["name"], {})}) for one in kept["hosts"]]
        nodes = {name: (str(pk), int(generation)) for name, (pk, generation) in kept["nodes"].items()}
        return cls(Lies(**kept["lies"]), int(kept["size_bytes"]), tuple(hosts), nodes)

    @property
    def stored(self) -> str:
        """The name of the file as it comes from the target."""
        return PurePosixPath(self.lies.key).name

    @property
    def name(self) -> str:
        return self.stored.removesuffix(SUFFIX)

    def host(self, name: str) -> Host:
        return next(one for one in self.hosts if one.name == name)

    def folder(self, operation: str, name: str) -> str:
        number = [one.name for one in self.hosts].index(name)
        return f"{_FOLDERS}{operation}-{number}"

    def tasks(self) -> dict[str, list[Step]]:
        """By code, in their order. One that goes to several hosts in different words has a step for each."""
        steps = steps_on_hosts(self.lies, self.hosts)
        on = tuple(one.name for one in self.hosts)
        looks = [Step("restore_check", on=on, reads=True), *(one for one in steps if one.code in _FIRST)]
        sends = [Step("restore_send", on=on)]
        if self.stored != self.name:
            line = f"age --decrypt -i backups.key -o {self.name} {self.stored}"
            sends.append(Step("restore_open", (line,), on))
        found: dict[str, list[Step]] = {}
        for one in [*looks, *sends, *(one for one in steps if one.code not in _FIRST)]:
            found.setdefault(one.code, []).append(one)
        return found

    @property
    def order(self) -> list[str]:
        return list(self.tasks())

    def step(self, code: str, host: str) -> Step | None:
        """What a task is on one host; None where it has nothing to do there."""
        found = [self.back] if code == "back_restore" and self.back else self.tasks().get(code, [])
        return next((one for one in found if host in one.on), None)

    def places(self, code: str) -> list[str]:
        """The hosts of a task. One that is done nowhere is a person's alone."""
        found = [self.back] if code == "back_restore" and self.back else self.tasks().get(code, [])
        return [host.name for host in self.hosts if any(host.name in one.on for one in found)]

    @property
    def back(self) -> Step | None:
        return way_back(self.lies, self.hosts)


def made(folder: str, guide: Guide) -> tuple[str, ...]:
    """The private folder, and whether there is room for the backup and what it takes to bring it back."""
    return ("bash", "-c", _MAKE, "fleetui-restore", folder, str(guide.size_bytes + 1024 * 1024), guide.stored)


def taken(folder: str, guide: Guide) -> tuple[str, ...]:
    """Takes the backup from its input, unless it is there. It counts once its SHA-256 is that of the ledger."""
    sha256, size = guide.lies.sha256, str(guide.size_bytes)
    return ("bash", "-c", _TAKE, "fleetui-restore", folder, guide.stored, sha256, size)


def carried_out(folder: str, step: Step) -> tuple[str, ...]:
    """The lines of a step, once: what is done already is not done again, and its output is printed again."""
    limit_s = str(LONG_LIMIT_S if step.code in LONG else LIMIT_S)
    tests = [_SHELL + one if one else "" for one in (step.holds, step.is_done, "\n".join(step.again))]
    lines = _SHELL + "\n".join((*step.lines, *step.then)) + "\n" + (_KEEP if step.code in _FIRST else "")
    once = "no" if step.reads else "yes"
    return ("bash", "-c", _CARRY_OUT, "fleetui-restore", folder, step.code, limit_s, once, *tests, lines)


def opened(folder: str, guide: Guide) -> tuple[str, ...]:
    """Whether a person has put the opened file there."""
    return ("bash", "-c", 'test -s "$1/$2"', "fleetui-restore", folder, guide.name)


def looked(folder: str, lines: str) -> tuple[str, ...]:
    """Lines that change nothing, with what the steps before found out."""
    return ("bash", "-c", 'cd -P -- "$1" || exit 70\n' + _SHELL + lines, "fleetui-restore", folder)


def stands(folder: str) -> tuple[str, ...]:
    return ("bash", "-c", _STANDS, "fleetui-restore", folder)


def left(folder: str, guide: Guide) -> tuple[str, ...]:
    lines = leavings(guide.lies)
    return ("bash", "-c", _LEAVE, "fleetui-restore", folder, _SHELL + "\n".join(lines) if lines else "")


def read_stand(text: str) -> dict[str, Any]:
    """What `stands` printed: where the data lies, what lies aside, and which steps are done there."""
    rows = [line.partition(" ")[::2] for line in text.splitlines()]
    known = {word: value for word, value in rows if word in ("data", "before")}
    return {**known, "did": [value for word, value in rows if word == "did"]}


def etcd_asked(guide: Guide) -> tuple[str, ...]:
    """A member, asked for itself and for all that it knows; what does not answer prints nothing."""
    lines = [asked_of_etcd(guide.lies.settings, *words) for words in (("endpoint", "status"), ("member", "list"))]
    quick = [f"{line} --write-out=json --command-timeout=8s 2>/dev/null || true\necho" for line in lines]
    return ("bash", "-c", _SHELL.replace("set -eu\n", "") + "\n".join(quick))


def etcd_compared(guide: Guide, *, at_revision: bool) -> str:
    """Revisions of all members, and how many keys are alive, now or at the revision of the snapshot."""
    settings, revision = guide.lies.settings, guide.lies.checks.get("revision")
    status = asked_of_etcd(settings, "endpoint", "status", "--cluster", "--write-out=json")
    at = [f"--rev={revision}"] if at_revision and revision else []
    words = ("get", "", "--prefix", "--keys-only", "--limit=1", *at, "--write-out=json")
    return f"{status}\n{asked_of_etcd(settings, *words)}"


class NotTheMembers(Exception):
    """The hosts are not what etcd consists of; `code` is worded where it is shown."""

    def __init__(self, code: str, **params: object) -> None:
        super().__init__(code)
        self.code, self.params = code, params


def members_of(hosts: Sequence[Host], answers: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What etcd calls the member of each host, by its answers to `etcd_asked`; empty where none of them answers.

    A host that is silent is known by its address. Raises NotTheMembers when a member is on none of the hosts, or a host has none.
    """
    own, listed = {}, {}
    for name, text in answers.items():
        for line in text.splitlines():
            found = _json(line)
            if isinstance(found, list) and found:
                own[name] = found[0].get("Status", {}).get("header", {}).get("member_id")
            elif isinstance(found, dict) and found.get("members"):
                listed = {one["ID"]: one for one in found["members"] if isinstance(one, dict) and "ID" in one}
    if not listed:
        return {}
    by: dict[str, Any] = {}
    for host in hosts:
        by[host.name] = own.get(host.name) or next(
            (pk for pk, one in listed.items() if _is_at(one, host.address)), None
        )
        if by[host.name] not in listed:
            raise NotTheMembers("restore_no_member", name=host.name)
    if others := [one for pk, one in listed.items() if pk not in by.values()]:
        raise NotTheMembers("restore_member_elsewhere", member=others[0].get("name") or f"{others[0]['ID']:x}")
    return {
        name: {"member": str(listed[pk].get("name") or name), "peer": str((listed[pk].get("peerURLs") or [""])[0])}
        for name, pk in by.items()
    }


def _is_at(member: Mapping[str, Any], address: str) -> bool:
    return any(urlsplit(str(url)).hostname == address.lower() for url in member.get("peerURLs") or ())


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def differs(guide: Guide, text: str, *, at_revision: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the members say now, and in what that is not the snapshot: `which`, `seen`, `expected`."""
    checks = guide.lies.checks
    lines = [found for found in map(_json, text.splitlines()) if found is not None]
    status = next((one for one in lines if isinstance(one, list)), [])
    got = next((one for one in lines if isinstance(one, dict)), {})
    revisions = [int(one.get("Status", {}).get("header", {}).get("revision", 0)) for one in status]
    told = {"members": len(revisions), "revision": min(revisions, default=0), "live_keys": int(got.get("count", 0))}
    wrong: dict[str, Any] = {}
    if told["members"] != len(guide.hosts):
        wrong = {"which": "members", "seen": told["members"], "expected": len(guide.hosts)}
    elif told["revision"] < int(checks.get("revision") or 0):
        wrong = {"which": "revision", "seen": told["revision"], "expected": checks["revision"]}
    elif at_revision and "live_keys" in checks and told["live_keys"] != checks["live_keys"]:
        wrong = {"which": "live_keys", "seen": told["live_keys"], "expected": checks["live_keys"]}
    return told, wrong
