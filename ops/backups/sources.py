"""What is run on a host so that it prints a backup, and how the end of it is read. Pure.

Scripts get their values as arguments, never inside their text. What a script puts on the host it takes away itself, also
when nobody listens any more: then its output breaks, which ends it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Final

RUNS_IN: Final = ("host", "kubeadm", "podman", "docker")
LONGEST_HEADER_BYTES = 4096
MOST_PATHS = 50
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.$-]{0,62}")
_HOST = re.compile(r"[A-Za-z0-9_.:-]{1,253}|/[A-Za-z0-9_./-]{1,200}")
#: NAMESPACE/CLAIM, with * and ? for what may stand there.
_CLAIM = re.compile(r"[a-z0-9*?]([a-z0-9.*?-]{0,251}[a-z0-9*?])?/[a-z0-9*?]([a-z0-9.*?-]{0,251}[a-z0-9*?])?")
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9_.\[\]:-]{1,253}:\d{1,5}")

#: Where kubeadm puts them; docs: kubernetes.io, "Operating etcd clusters".
KUBEADM_ETCD: Final[Mapping[str, str]] = {
    "endpoint": "https://127.0.0.1:2379",
    "ca": "/etc/kubernetes/pki/etcd/ca.crt",
    "cert": "/etc/kubernetes/pki/etcd/server.crt",
    "key": "/etc/kubernetes/pki/etcd/server.key",
    "folder": "/var/lib/etcd",
}

ETCD_SCRIPT: Final = """set -eu
umask 077
file=$1 endpoint=$2 ca=$3 cert=$4 key=$5 where=$6 name=$7
trap 'rm -f "$file" "$file.part"' EXIT
trap 'exit 143' HUP INT TERM PIPE
export ETCDCTL_API=3
# What earlier ones left whose host restarted in the middle.
find "${file%/*}" -maxdepth 1 -type f -name 'fleetui-backup-*.db*' -mmin +1440 -delete
case $where in
    kubeadm)
        command -v crictl >/dev/null || { echo "crictl, which finds the static pod of etcd, is not on this host" >&2; exit 70; }
        id=$(crictl ps --quiet --state Running --name '^etcd$' | head -n 1)
        [ -n "$id" ] || { echo "no running container is named etcd" >&2; exit 70; }
        there() { crictl exec "$id" "$@"; } ;;
    podman|docker) there() { "$where" exec "$name" "$@"; } ;;
    *) there() { "$@"; } ;;
esac
set -- --endpoints="$endpoint"
[ -z "$ca" ] || set -- "$@" --cacert="$ca"
[ -z "$cert" ] || set -- "$@" --cert="$cert"
[ -z "$key" ] || set -- "$@" --key="$key"
shown=$(there etcdctl "$@" endpoint status --write-out=json)
needs=$(printf '%s' "$shown" | sed -n 's/.*"dbSize":\\([0-9]*\\).*/\\1/p')
folder=${file%/*}
free=$(df -P -B1 "$folder" | awk 'NR == 2 { print $4 }')
if [ -n "$needs" ] && [ "$free" -lt $((needs + needs / 2 + 67108864)) ]; then
    echo "$folder has $free bytes free, and a snapshot of $needs bytes would fill it" >&2
    exit 71
fi
there etcdctl "$@" snapshot save "$file" >&2
status=$(there etcdutl snapshot status "$file" --write-out=json 2>/dev/null) ||
    status=$(there etcdctl snapshot status "$file" --write-out=json)
# How many keys are alive in it: what a restored one is compared with.
revision=$(printf '%s' "$status" | sed -n 's/.*"revision":\\([0-9]*\\).*/\\1/p')
live=$(there etcdctl "$@" get '' --prefix --keys-only --limit=1 --rev="$revision" --write-out=json 2>/dev/null |
    sed -n 's/.*"count":\\([0-9]*\\).*/\\1/p') || live=
sum=$(sha256sum "$file" | cut -d ' ' -f 1)
printf '%s %s %s %s\\n' "$sum" "$(stat -c %s "$file")" "${live:--}" "$status"
cat "$file"
"""


class SettingRefused(ValueError):
    """A setting of a source that cannot be used; `code` is worded where it is shown."""

    def __init__(self, name: str, code: str, value: object = "") -> None:
        super().__init__(f"{name}: {code}")
        self.name, self.code, self.value = name, code, value


@dataclass(frozen=True)
class Header:
    """What stands before the bytes: their SHA-256 and size as the host has them, and what was found in them."""

    sha256: str
    size_bytes: int
    found: Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """A command whose output is the backup. `leaves` is what it may leave on the host when that is cut off; `found` what
    the ledger keeps of what is read."""

    argv: Sequence[str]
    suffix: str
    read_header: Callable[[bytes], Header] | None = None
    begins_with: bytes = b""
    leaves: Sequence[str] = ()
    #: Statuses that mean that all was read, although something changed meanwhile.
    changed_statuses: frozenset[int] = field(default_factory=frozenset)
    found: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where the volume of a claim lies on a node."""

    claim: str
    path: str
    is_file: bool = False


def checked(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a source as they are stored; raises SettingRefused."""
    known = {
        "path": _path_settings,
        "volume": _volume_settings,
        "postgresql": _postgresql_settings,
        "etcd": _etcd_settings,
    }
    read = known.get(kind, _none)
    found = read(given)
    if unknown := sorted(set(given) - set(found)):
        raise SettingRefused(unknown[0], "unknown", given[unknown[0]])
    return found


def source_of(kind: str, settings: Mapping[str, Any], operation: str) -> Source:
    """What is run on the host; of FleetUI itself nothing is. `operation` is part of the names of what lies there meanwhile."""
    return {"path": _path, "postgresql": _postgresql, "etcd": _etcd, "fleetui": _fleetui}[kind](settings, operation)


def chosen_claims(settings: Mapping[str, Any], claims: Iterable[str]) -> list[str]:
    """Those of the claims, NAMESPACE/NAME, that the settings name, in order."""
    return sorted(one for one in set(claims) if any(fnmatchcase(one, wanted) for wanted in settings["claims"]))


def volume_source(settings: Mapping[str, Any], places: Sequence[Place]) -> Source:
    """What is run on the node on which the volumes lie. What stands at such a path may be a link: it is what lies behind it
    that is read."""
    paths = [one.path.rstrip("/") if one.is_file else f"{one.path.rstrip('/')}/." for one in places]
    given = {"paths": paths, "exclude": settings["exclude"], "one_file_system": True}
    found = {"volumes": {one.claim: one.path for one in places}}
    return replace(_path(given, ""), found=found)


def removal(paths: Sequence[str]) -> tuple[str, ...]:
    """What takes away what a cut-off source left."""
    return ("sudo", "-n", "rm", "-f", "--", *paths)


def read_etcd_header(line: bytes) -> Header:
    """`SHA256 SIZE LIVE {"hash":…,"revision":…,"totalKey":…,"totalSize":…}`; LIVE is `-` where it is not known. Raises ValueError."""
    sha256, size, live, status = line.decode("ascii").split(" ", 3)
    found = json.loads(status)
    numbers = {name: int(found[name]) for name in ("hash", "revision", "totalKey", "totalSize")}
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise ValueError("no SHA-256")
    return Header(
        sha256,
        int(size),
        {
            "revision": numbers["revision"],
            "keys": numbers["totalKey"],
            "hash": f"{numbers['hash']:08x}",
            **({"live_keys": int(live)} if live.isdigit() else {}),
        },
    )


def _none(_given: Mapping[str, Any]) -> dict[str, Any]:
    return {}


def _path_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    paths = [_absolute("paths", one) for one in _texts("paths", given.get("paths"))]
    if not 1 <= len(paths) <= MOST_PATHS:
        raise SettingRefused("paths", "no_paths")
    exclude = _texts("exclude", given.get("exclude"))
    return {"paths": paths, "exclude": exclude, "one_file_system": bool(given.get("one_file_system", True))}


def _volume_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    claims = _texts("claims", given.get("claims"))
    if not claims:
        raise SettingRefused("claims", "no_claims")
    for one in claims:
        if not _CLAIM.fullmatch(one):
            raise SettingRefused("claims", "no_claim", one)
    return {"claims": claims, "exclude": _texts("exclude", given.get("exclude"))}


def _postgresql_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    runs_in = _choice("runs_in", given.get("runs_in") or "host", ("host", "podman", "docker"))
    port = given.get("port") or 5432
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65_535:
        raise SettingRefused("port", "no_port", port)
    return {
        "database": _matched("database", given.get("database"), _NAME),
        "user": _matched("user", given.get("user") or "postgres", _NAME),
        "host": _matched("host", given["host"], _HOST) if given.get("host") else "",
        "port": port,
        "run_as": _matched("run_as", given["run_as"], _NAME) if given.get("run_as") else "",
        "runs_in": runs_in,
        "container": _container(given, runs_in),
    }


def _etcd_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    runs_in = _choice("runs_in", given.get("runs_in") or "host", RUNS_IN)
    usual = KUBEADM_ETCD if runs_in == "kubeadm" else {"endpoint": "http://127.0.0.1:2379", "folder": "/var/tmp"}  # noqa: S108
    endpoint = str(given.get("endpoint") or usual["endpoint"]).strip()
    if not _ENDPOINT.fullmatch(endpoint):
        raise SettingRefused("endpoint", "no_endpoint", endpoint)
    files = {name: str(given.get(name) or usual.get(name, "")).strip() for name in ("ca", "cert", "key")}
    if bool(files["cert"]) != bool(files["key"]):
        raise SettingRefused("key" if files["cert"] else "cert", "half_a_pair")
    return {
        "runs_in": runs_in,
        "container": _container(given, runs_in),
        "endpoint": endpoint,
        **{name: _absolute(name, path) if path else "" for name, path in files.items()},
        "folder": _absolute("folder", given.get("folder") or usual["folder"]),
    }


def _container(given: Mapping[str, Any], runs_in: str) -> str:
    if runs_in not in ("podman", "docker"):
        return ""
    return _matched("container", given.get("container"), _CONTAINER)


def _texts(name: str, value: object) -> list[str]:
    given = value if isinstance(value, list) else [] if value is None else [value]
    found = [one.strip() for one in given if isinstance(one, str) and one.strip().isprintable()]
    if len(found) != len(given) or len(found) > MOST_PATHS:
        raise SettingRefused(name, "no_list", value)
    return [one for one in found if one]


def _absolute(name: str, value: object) -> str:
    path = value.strip() if isinstance(value, str) else ""
    if not path.startswith("/") or ".." in path.split("/") or not path.isprintable() or len(path) > 500:
        raise SettingRefused(name, "no_path", value)
    return path.rstrip("/") or "/"


def _choice(name: str, value: object, known: Sequence[str]) -> str:
    if value not in known:
        raise SettingRefused(name, "no_choice", value)
    return str(value)


def _matched(name: str, value: object, form: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not form.fullmatch(value.strip()):
        raise SettingRefused(name, "no_name", value)
    return value.strip()


def _fleetui(_settings: Mapping[str, Any], _operation: str) -> Source:
    return Source((), ".zip", begins_with=b"PK\x03\x04")


#: Capabilities of programs, access lists and labels too; holes stay holes. A tar that cannot do one of them says so, and goes on.
_AS_IT_WAS: Final = ("--numeric-owner", "--sparse", "--xattrs", "--acls", "--selinux")


def _path(settings: Mapping[str, Any], _operation: str) -> Source:
    options = [f"--exclude={pattern}" for pattern in settings["exclude"]]
    options += ["--one-file-system"] if settings["one_file_system"] else []
    below = [path.lstrip("/") or "." for path in settings["paths"]]
    argv = ("sudo", "-n", "tar", "--create", "--gzip", *_AS_IT_WAS, *options, "--directory=/", "--", *below)
    return Source(argv, ".tar.gz", begins_with=b"\x1f\x8b", changed_statuses=frozenset({1}))


def _postgresql(settings: Mapping[str, Any], _operation: str) -> Source:
    where, run_as = settings["runs_in"], settings["run_as"]
    if where == "host":
        before = ("sudo", "-n", *(("-u", run_as) if run_as else ()))
    else:
        before = ("sudo", "-n", where, "exec", *(("--user", run_as) if run_as else ()), settings["container"])
    options = [f"--username={settings['user']}", f"--port={settings['port']}", f"--dbname={settings['database']}"]
    options += [f"--host={settings['host']}"] if settings["host"] else []
    argv = (*before, "pg_dump", "--format=custom", "--no-password", *options)
    return Source(argv, ".pgdump", begins_with=b"PGDMP")


def _etcd(settings: Mapping[str, Any], operation: str) -> Source:
    file = f"{settings['folder']}/fleetui-backup-{operation}.db"
    given = [settings[name] for name in ("endpoint", "ca", "cert", "key", "runs_in", "container")]
    argv = ("sudo", "-n", "sh", "-c", ETCD_SCRIPT, "fleetui-etcd", file, *given)
    return Source(argv, ".db", read_header=read_etcd_header, leaves=(file, f"{file}.part"))
