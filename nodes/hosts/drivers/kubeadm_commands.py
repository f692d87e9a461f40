"""kubeadm on a control-plane node: what is there, a renewal of certificates, and a restart of the static pods.

A static pod is restarted as kubeadm's documentation says: its manifest is moved away, and back when the kubelet has ended it.
The script of that puts back what it moved also when it is told to stop; where it was killed, `kubeadm_back` does.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nodes.certificates import Certificate, HostAnswer, command, read_all
from nodes.certificates.places import BLOCKS
from nodes.hosts.drivers.base import Command, CommandRefused

_SUDO = ("sudo", "-n")
ROOT: Final = "/etc/kubernetes"
#: Where a manifest lies while its pod is to end. Not in /run: the way back outlives a restart of the host.
AWAY: Final = f"{ROOT}/fleetui-restart"
#: The static pods of a control plane, in the order of their restart: as in an upgrade by kubeadm.
PODS: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
ALL: Final = "all"


@dataclass(frozen=True)
class Kept:
    """A certificate that kubeadm renews: the file it lies in, which authority signs it, and the pods that hold it in memory."""

    path: str
    authority: str
    pods: tuple[str, ...] = ()


#: By the names that `kubeadm certs renew` has for them. kubelets renew their own.
CERTIFICATES: Final[Mapping[str, Kept]] = {
    "admin.conf": Kept("admin.conf", "ca"),
    "super-admin.conf": Kept("super-admin.conf", "ca"),
    "controller-manager.conf": Kept("controller-manager.conf", "ca", ("kube-controller-manager",)),
    "scheduler.conf": Kept("scheduler.conf", "ca", ("kube-scheduler",)),
    "apiserver": Kept("pki/apiserver.crt", "ca", ("kube-apiserver",)),
    "apiserver-kubelet-client": Kept("pki/apiserver-kubelet-client.crt", "ca", ("kube-apiserver",)),
    "apiserver-etcd-client": Kept("pki/apiserver-etcd-client.crt", "etcd/ca", ("kube-apiserver",)),
    "front-proxy-client": Kept("pki/front-proxy-client.crt", "front-proxy-ca", ("kube-apiserver",)),
    "etcd-server": Kept("pki/etcd/server.crt", "etcd/ca", ("etcd",)),
    "etcd-peer": Kept("pki/etcd/peer.crt", "etcd/ca", ("etcd",)),
    "etcd-healthcheck-client": Kept("pki/etcd/healthcheck-client.crt", "etcd/ca"),
}
#: Which of them a pod serves, where that is seen by a handshake.
SERVES: Final[Mapping[str, str]] = {"kube-apiserver": "apiserver", "etcd": "etcd-server"}

# The processes of a static pod, as PID.START apart by commas: others of the same name, such as those of a cluster within
# this one, do not have a path of this one among their words. The kernel keeps 15 characters of a name.
_IDS: Final = r"""
K=@ROOT@ A=@AWAY@
LC_ALL=C; export LC_ALL
ids() {
  ids=
  short=$(printf %.15s "$1")
  for p in /proc/[0-9]*; do
    { read -r name <"$p/comm"; } 2>/dev/null || continue
    [ "$name" = "$short" ] || continue
    tr '\0' '\n' 2>/dev/null <"$p/cmdline" | grep -qF "=$K/" || continue
    { read -r stat <"$p/stat"; } 2>/dev/null || continue
    ids="$ids${ids:+,}${p#/proc/}.$(printf %s "${stat##*) }" | cut -d ' ' -f 20)"
  done
}
"""
_SHOWN: Final = r"""
arg() { sed -n "s/^ *- *--$2=//p" "$K/manifests/$1.yaml" 2>/dev/null | tr -d "\"'" | head -n 1; }
blocks() {
  @BLOCKS@
}
probe() {
  name=$1 url=$2; shift 2
  said=$(curl -sk --noproxy '*' --max-time 3 -o /dev/null -w '%{http_code}\n%{certs}' "$@" "$url" 2>/dev/null)
  printf 'health %s %s\n' "$name" "$(printf '%s\n' "$said" | head -n 1)"
  printf 'served %s %s\n' "$name" "$(printf '%s\n' "$said" | blocks | base64 -w 0)"
}
if command -v kubeadm >/dev/null 2>&1; then printf 'kubeadm %s\n' "$(kubeadm version -o short 2>/dev/null | head -n 1)"; fi
printf 'kubelet %s\n' "$(systemctl is-active kubelet.service 2>/dev/null)"
for c in ca etcd/ca front-proxy-ca; do if [ -s "$K/pki/$c.key" ]; then printf 'key %s\n' "$c"; fi; done
for f in "$A"/*.yaml; do [ -e "$f" ] && printf 'away %s\n' "${f##*/}"; done
for n in @PODS@; do
  [ -e "$K/manifests/$n.yaml" ] || continue
  ids "$n"
  printf 'pod %s %s\n' "$n" "$ids"
  case "$n" in
    etcd) url=$(arg etcd listen-client-urls)
      h=$K/pki/etcd/healthcheck-client
      probe etcd "${url%%,*}/health" --cert "$h.crt" --key "$h.key" ;;
    kube-apiserver) host=$(arg "$n" advertise-address) port=$(arg "$n" secure-port)
      case "$host" in *:*) host="[$host]" ;; esac
      probe "$n" "https://${host:-127.0.0.1}:${port:-6443}/readyz" ;;
    *) port=$(arg "$n" secure-port)
      [ -n "$port" ] || { port=10257; [ "$n" = kube-scheduler ] && port=10259; }
      probe "$n" "https://127.0.0.1:$port/healthz" ;;
  esac
done
echo end
"""
_BACK: Final = r"""
back() {
  for f in "$A"/*.yaml; do
    [ -e "$f" ] || continue
    if [ -e "$K/manifests/${f##*/}" ]; then echo "error: $K/manifests/${f##*/} is there already, and $f is left"; continue; fi
    mv "$f" "$K/manifests/" && echo "$K/manifests/${f##*/} is back"
  done
  rmdir "$A" 2>/dev/null || :
}
"""
_RESTART: Final = r"""
ENDS=120 STARTS=180
trap back EXIT
trap 'exit 143' TERM INT HUP
for n do
  [ -e "$K/manifests/$n.yaml" ] || { echo "error: $K/manifests/$n.yaml is not there"; exit 1; }
  mkdir -p "$A" && mv "$K/manifests/$n.yaml" "$A/" || exit 1
  echo "$K/manifests/$n.yaml is away, so that the kubelet ends $n"
  i=0
  while ids "$n" && [ -n "$ids" ] && [ "$i" -lt "$ENDS" ]; do sleep 1; i=$((i + 1)); done
  back
  [ -z "$ids" ] || { echo "error: the kubelet did not end $n within $ENDS s"; exit 1; }
  i=0
  while ids "$n" && [ -z "$ids" ] && [ "$i" -lt "$STARTS" ]; do sleep 1; i=$((i + 1)); done
  [ -n "$ids" ] || { echo "error: the kubelet did not start $n again within $STARTS s"; exit 1; }
  echo "$n runs anew"
done
"""


def read_shown(output: bytes) -> dict[str, Any] | None:
    """What `kubeadm_shown` printed, by what each line begins with; None for an answer that is not whole."""
    found: dict[str, Any] = {
        "kubeadm": "",
        "kubelet": "",
        "keys": [],
        "away": [],
        "pods": {},
        "health": {},
        "served": {},
    }
    lines = output.decode("utf-8", "replace").splitlines()
    if not lines or lines[-1] != "end":
        return None
    for line in lines[:-1]:
        word, _space, rest = line.partition(" ")
        name, _space, value = rest.partition(" ")
        if word in ("kubeadm", "kubelet"):
            found[word] = rest.strip()[:100] or "?"
        elif word in ("key", "away"):
            found["keys" if word == "key" else "away"].append(rest[:200])
        elif word == "pod" and name in PODS:
            found["pods"][name] = value[:200]
        elif word == "health" and name in PODS:
            found["health"][name] = value[:10]
        elif word == "served" and name in SERVES:
            found["served"][name] = _fingerprint(value)
    return found


def _fingerprint(text: str) -> str:
    try:
        blocks = base64.b64decode(text, validate=True)
    except binascii.Error:
        return ""
    return next((one.fingerprint for one in read_all(blocks) if isinstance(one, Certificate)), "")


def kept_on(answer: HostAnswer) -> tuple[dict[str, Certificate], dict[str, Certificate]]:
    """Of all certificates of a host those that kubeadm renews, by its names, and the authorities that sign them."""
    leaves: dict[str, Certificate] = {}
    authorities: dict[str, Certificate] = {}
    by_path = {f"{ROOT}/{one.path}": name for name, one in CERTIFICATES.items()}
    by_authority = {f"{ROOT}/pki/{name}.crt": name for name in {one.authority for one in CERTIFICATES.values()}}
    for found in answer.found:
        # A kubeconfig holds the authority too.
        if found.place in by_path and not found.certificate.is_ca:
            leaves.setdefault(by_path[found.place], found.certificate)
        elif found.place in by_authority:
            authorities.setdefault(by_authority[found.place], found.certificate)
    return leaves, authorities


def _script(*parts: str) -> str:
    """With the root filled in last, so that tests can have another."""
    filled = {"@BLOCKS@": BLOCKS, "@PODS@": " ".join(PODS), "@AWAY@": AWAY, "@ROOT@": ROOT}
    text = "".join(parts)
    for mark, value in filled.items():
        text = text.replace(mark, value)
    return text


def _shown(_params: dict[str, object]) -> Command:
    argv = (*_SUDO, "sh", "-c", _script(_IDS, _SHOWN), "fleetui-kubeadm")
    return Command(argv, changes=False)


def _certificates(_params: dict[str, object]) -> Command:
    """The same as for the inventory: whole certificates, and no key."""
    return Command(command(as_root=True), changes=False)


def _renew(params: dict[str, object]) -> Command:
    """Whether it is due or not: kubeadm renews unconditionally."""
    name = params.pop("certificate", ALL)
    if name != ALL and name not in CERTIFICATES:
        raise CommandRefused("The parameter certificate is all, or one that kubeadm renews.")
    return Command((*_SUDO, "kubeadm", "certs", "renew", str(name)), long=True)


def _restart(params: dict[str, object]) -> Command:
    pods = params.pop("pods", ())
    if not isinstance(pods, list | tuple) or not pods or not set(pods) <= set(PODS):
        raise CommandRefused("The parameter pods names static pods of a control plane.")
    words = [name for name in PODS if name in pods]
    return Command((*_SUDO, "sh", "-c", _script(_IDS, _BACK, _RESTART), "fleetui-kubeadm-restart", *words), long=True)


def _back(_params: dict[str, object]) -> Command:
    return Command((*_SUDO, "sh", "-c", _script(_IDS, _BACK, "back\n"), "fleetui-kubeadm-back"))


MAKERS: Mapping[str, Callable[[dict[str, object]], Command]] = {
    "kubeadm_shown": _shown,
    "kubeadm_certificates": _certificates,
    "kubeadm_renew": _renew,
    "kubeadm_restart": _restart,
    "kubeadm_back": _back,
}
