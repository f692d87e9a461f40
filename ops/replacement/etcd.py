"""The etcd of a cluster, as one of its control planes tells of it: its members, who of them is well, and who may go. Pure.

What a host says is read in its answer alone; nothing here opens a connection. Paths are those of kubeadm, as for snapshots
(ops.backups.sources).
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from fleetui.core.text import clean
from nodes.axes.reading import flag, objects, text
from nodes.hosts.drivers.base import Command
from ops.backups.sources import KUBEADM_ETCD

ROOT: Final = "/etc/kubernetes"
#: The member is not what it was when its removal was decided.
CHANGED_STATUS: Final = 72
SAID_CHARS = 300
MOST_MEMBERS = 50
_LOCAL = ("localhost", "127.0.0.1", "::1")

# Whether etcd is a static pod of this host, and how etcdctl is run: in its container, as kubeadm's hosts have no other.
_BEGIN: Final = r"""
K=@ROOT@
LC_ALL=C; export LC_ALL
ETCDCTL_API=3; export ETCDCTL_API
arg() { sed -n "s/^ *- *--$2=//p" "$K/manifests/$1.yaml" 2>/dev/null | tr -d "\"'" | head -n 1; }
id=
if command -v crictl >/dev/null 2>&1; then id=$(crictl ps --quiet --state Running --name '^etcd$' 2>/dev/null | head -n 1); fi
there() { if [ -n "$id" ]; then crictl exec "$id" etcdctl "$@"; else etcdctl "$@"; fi; }
url=$(arg etcd listen-client-urls); url=${url%%,*}
ctl() {
  there --endpoints="${url:-@ENDPOINT@}" --cacert="@CA@" --cert="@CERT@" --key="@KEY@" --command-timeout=4s "$@"
}
"""
# Health first: a member that has answered it has seen whatever was decided before, so that its list is not an old one.
_LOOK: Final = r"""
read -r boot </proc/sys/kernel/random/boot_id
printf 'boot %s\n' "$boot"
if [ ! -e "$K/manifests/etcd.yaml" ]; then
  if [ -e "$K/manifests/kube-apiserver.yaml" ]; then
    printf 'etcd away\nservers %s\nend\n' "$(arg kube-apiserver etcd-servers)"
  else
    printf 'etcd none\nend\n'
  fi
  exit 0
fi
printf 'etcd stacked\n'
if [ -z "$id" ] && ! command -v etcdctl >/dev/null 2>&1; then
  printf 'said no running container is named etcd, and etcdctl is not on this host\nend\n'
  exit 0
fi
one() { word=$1; shift; printf '%s %s\n' "$word" "$(ctl "$@" --write-out=json 2>/dev/null | tr -d '\n')"; }
status=$(one status endpoint status)
printf '%s\n' "$status"
case "$status" in *member_id*) ;; *) printf 'said its own etcd does not answer\nend\n'; exit 0 ;; esac
all=$(ctl endpoint health --cluster --write-out=json 2>&1)
printf 'health %s\n' "$(printf '%s\n' "$all" | grep '^\[' | head -n 1)"
printf 'said %s\n' "$(printf '%s\n' "$all" | grep -v '^[[{]' | tail -n 1)"
one members member list
echo end
"""
_REMOVE: Final = r"""
line=$(ctl member list | grep "^$1, ") || line=
if [ -z "$line" ]; then
  ctl member list >/dev/null || exit 1
  echo "there is no member $1"
  exit 0
fi
peers=$(printf '%s\n' "$line" | awk -F ', ' '{ print $4 }')
[ "$peers" = "$2" ] || { echo "the member $1 has the peer addresses $peers, and not $2" >&2; exit @CHANGED@; }
ctl member remove "$1"
"""


@dataclass(frozen=True)
class Member:
    """`id` as etcdctl writes it. One that never started has no name; a learner has no vote."""

    id: str
    name: str
    peers: tuple[str, ...]
    is_learner: bool = False
    is_healthy: bool = False

    @property
    def is_started(self) -> bool:
        return bool(self.name)

    @property
    def title(self) -> str:
        """Its name, or where it was to be."""
        return self.name or next(iter(self.peers), "") or self.id

    @property
    def state(self) -> str:
        """In one word: unstarted, learner, unhealthy or healthy."""
        if not self.is_started:
            return "unstarted"
        if self.is_learner:
            return "learner"
        return "healthy" if self.is_healthy else "unhealthy"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "peers": list(self.peers), "state": self.state}


@dataclass(frozen=True)
class Etcd:
    """What one control plane said. `kind`: stacked (a static pod of that host), away (somewhere else), or none that is known.

    `servers` is what its API server asks; `own` the id of the member of that host.
    """

    kind: str
    boot_id: str = ""
    servers: tuple[str, ...] = ()
    own: str = ""
    members: tuple[Member, ...] = ()
    said: str = ""

    @property
    def is_sure(self) -> bool:
        """Whether what it says of the members counts: its own one is well, and so is not behind."""
        return self.kind == "stacked" and any(one.id == self.own and one.is_healthy for one in self.members)

    def by_id(self, wanted: str) -> Member | None:
        return next((one for one in self.members if one.id == wanted), None)


@dataclass(frozen=True)
class Identity:
    """By what the member of a node is known: names and addresses."""

    names: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()

    @classmethod
    def of(cls, names: Iterable[str], addresses: Iterable[str]) -> Identity:
        return cls(
            frozenset(one.lower() for one in names if one),
            frozenset(_plain(one) for one in addresses if one and _plain(one) not in _LOCAL),
        )

    def is_at(self, url: str) -> bool:
        host = _host(url)
        return host in self.addresses or host in self.names

    def owns(self, member: Member) -> bool:
        return member.name.lower() in self.names or any(self.is_at(url) for url in member.peers)


class Unclear(Exception):
    """More than one member may be that of a node."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__(", ".join(one.title for one in members))
        self.members = members


@dataclass(frozen=True)
class Votes:
    """So many members have a vote, so many of them are well, and so many are needed for a quorum."""

    voters: int
    healthy: int

    @property
    def needed(self) -> int:
        return self.voters // 2 + 1

    @property
    def is_quorum(self) -> bool:
        return self.voters > 0 and self.healthy >= self.needed

    @property
    def spare(self) -> int:
        """How many more may fail."""
        return max(self.healthy - self.needed, 0)

    def as_json(self) -> dict[str, int]:
        return {"voters": self.voters, "healthy": self.healthy, "needed": self.needed, "spare": self.spare}


def votes(members: Iterable[Member], *, without: str = "") -> Votes:
    """Of the members, without the one of that id. One that never started has a vote and is not well; a learner has none."""
    counted = [one for one in members if one.id != without and not one.is_learner]
    return Votes(len(counted), sum(one.is_started and one.is_healthy for one in counted))


def member_of(members: Sequence[Member], identity: Identity) -> Member | None:
    """The member of a node: by name and by peer address; raises Unclear where these are not of one member."""
    by_name = [one for one in members if one.name and one.name.lower() in identity.names]
    by_place = [one for one in members if any(identity.is_at(url) for url in one.peers)]
    both = [one for one in by_name if one in by_place]
    found = both or ([*by_name, *by_place] if not (by_name and by_place) else [])
    if len(found) > 1 or (not found and by_name):
        raise Unclear([*by_name, *(one for one in by_place if one not in by_name)])
    return found[0] if found else None


def look_command(root: str = ROOT) -> Command:
    return Command(("sudo", "-n", "sh", "-c", _script(root, _LOOK), "fleetui-etcd-members"), changes=False)


def remove_command(member: Member, root: str = ROOT) -> Command:
    """It looks at the member once more on the host: one that is gone already is no failure, and another one stays."""
    words = ("sudo", "-n", "sh", "-c", _script(root, _REMOVE), "fleetui-etcd-remove", member.id, ",".join(member.peers))
    return Command(words)


def _script(root: str, body: str) -> str:
    filled = {f"@{name.upper()}@": KUBEADM_ETCD[name].replace(ROOT, root) for name in ("endpoint", "ca", "cert", "key")}
    script = _BEGIN + body
    for mark, value in {**filled, "@ROOT@": root, "@CHANGED@": str(CHANGED_STATUS)}.items():
        script = script.replace(mark, value)
    return script


def read(output: bytes) -> Etcd | None:
    """What the look printed; None for an answer that is not whole."""
    lines = clean(output.decode("utf-8", "replace")).splitlines()
    if not lines or lines[-1] != "end":
        return None
    found: dict[str, str] = {}
    for line in lines[:-1]:
        word, _space, rest = line.partition(" ")
        found.setdefault(word, rest.strip())
    kind = found.get("etcd", "")
    if kind not in ("stacked", "away", "none"):
        return None
    servers = tuple(one for one in found.get("servers", "").split(",") if one)
    told = {"boot_id": found.get("boot", ""), "servers": servers, "said": found.get("said", "")[:SAID_CHARS]}
    if kind != "stacked":
        return Etcd(kind, **told)  # type: ignore[arg-type]
    healthy = {_plain_url(text(one, "endpoint")) for one in _documents(found, "health") if flag(one, "health")}
    listed = objects(_document(found, "members"), "members")[:MOST_MEMBERS]
    known = [_member(one, healthy) for one in listed if _hex(one.get("ID"))]
    own = next(iter(objects(_document(found, "status"))), {})
    header = (own.get("Status") or {}).get("header") if isinstance(own.get("Status"), Mapping) else None
    return Etcd(
        kind,
        own=_hex((header or {}).get("member_id")),
        members=tuple(sorted(known, key=lambda one: (one.title, one.id))),
        **told,  # type: ignore[arg-type]
    )


def _member(one: Mapping[str, Any], healthy: set[str]) -> Member:
    clients = {_plain_url(url) for url in _texts(one, "clientURLs")}
    return Member(
        id=_hex(one.get("ID")),
        name=clean(text(one, "name")),
        peers=tuple(clean(url) for url in _texts(one, "peerURLs")),
        is_learner=flag(one, "isLearner"),
        is_healthy=bool(clients & healthy),
    )


def _document(found: Mapping[str, str], word: str) -> Any:
    try:
        return json.loads(found.get(word, ""))
    except ValueError:
        return None


def _documents(found: Mapping[str, str], word: str) -> list[Mapping[str, Any]]:
    return objects(_document(found, word))


def _texts(one: Mapping[str, Any], name: str) -> list[str]:
    given = one.get(name)
    return [str(each) for each in given if isinstance(each, str)] if isinstance(given, list) else []


def _hex(value: object) -> str:
    return f"{value:x}" if isinstance(value, int) and not isinstance(value, bool) and value > 0 else ""


def _plain_url(url: str) -> str:
    return url.rstrip("/").lower()


def _host(url: str) -> str:
    try:
        return _plain(urlsplit(url).hostname or "")
    except ValueError:
        return ""


def _plain(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address.partition("%")[0].partition("/")[0]))
    except ValueError:
        return address.lower()


def is_elsewhere(etcd: Etcd) -> bool:
    """Whether the servers that the API server asks are on other hosts. A manifest that lies aside for a moment is no such."""
    hosts = [_host(url) for url in etcd.servers]
    return etcd.kind == "away" and bool(hosts) and not any(host in _LOCAL or not host for host in hosts)
