"""Where certificates lie on a host, what those of a place are for, and the script that prints them without any private key."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nodes.certificates.reading import Unreadable, read_all
from nodes.certificates.record import Found, Unread, Use

MOST_FILES = 400
MOST_ON_A_HOST = 600
MOST_OUTPUT_BYTES = 4 * 1024 * 1024
#: What the host may take for it; it must not be felt by what runs there.
TIMEOUT_S = 60
_CALM: Final = ("nice", "-n19", "timeout", str(TIMEOUT_S))

#: Whole blocks of certificates, and nothing of what stands before, between or after them, or is no base64. With `w` in the
#: shell also a line for each block that is none (#damaged), and for what was cut (#too_large); 1: without any block too.
BLOCKS: Final = r"""awk -v w="$w" 'function bad() {if (w != "") print "#damaged"}
    {size += length($0) + 1}
    /^-----BEGIN (X509 )?CERTIFICATE-----[ \t\r]*$/ {if (on) bad(); on=1; seen=1; text=$0 "\n"; next}
    /^-----END (X509 )?CERTIFICATE-----[ \t\r]*$/ {if (on) printf "%s%s\n", text, $0; on=0; next}
    /-----BEGIN ([A-Z0-9]+ )?CERTIFICATE-----/ {bad(); on=0; seen=1; next}
    /-----BEGIN / {seen=1}
    on {if ($0 ~ /^[A-Za-z0-9+\/=]*[ \t\r]*$/) text=text $0 "\n"; else {bad(); on=0}}
    END {if (w != "" && size > 262145) print "#too_large"; else if (on || (w == 1 && !seen)) bad()}'"""
#: Prints label, path and base64, each ended by NUL, and at the end "end". Only whole blocks of certificates leave the host:
#: whatever stands before, between or after them in a file, such as a private key, is dropped there.
_SCRIPT: Final = r"""
LC_ALL=C; export LC_ALL
n=0
w=0
blocks() {
  @BLOCKS@
}
# The length of a certificate in DER, as it says itself, where the first bytes are those of one: version 2 or 3, never a key.
der() {
  h=$(head -c 16 -- "$1" | od -An -tx1 | tr -d ' \n')
  case $h in
    3082????3082????a003020102*|3082????3081??a003020102*) h=${h#3082}; echo $((0x${h%"${h#????}"} + 4)) ;;
    3081??3081??a003020102*|3081??30??a003020102*) h=${h#3081}; echo $((0x${h%"${h#??}"} + 3)) ;;
  esac
}
put() {
  printf '%s\0%s\0' "$1" "$2"
  base64 -w 0
  printf '\0'
}
one() {
  [ -e "$2" ] || { [ "$3" = must ] && printf '%s\0%s\0missing\0' "$1" "$2"; return 0; }
  [ -f "$2" ] || return 0
  [ -r "$2" ] || { printf '%s\0%s\0denied\0' "$1" "$2"; return 0; }
  n=$((n + 1))
  [ "$n" -le @MOST@ ] || return 0
  size=$(der "$2")
  [ -z "$size" ] || { head -c "$size" -- "$2" | put "$1" "$2"; return 0; }
  case "$1 $2" in nginx*|*.crt|*.cert|*.cer|*.der|*.pem) w=1 ;; *) w=0 ;; esac
  head -c 262146 -- "$2" | blocks | put "$1" "$2"
}
each() { label=$1; shift; for f do one "$label" "$f"; done; }
config() {
  [ -f "$2" ] || return 0
  [ -r "$2" ] || { printf '%s\0%s\0denied\0' "$1" "$2"; return 0; }
  w=1
  head -c 262144 -- "$2" |
    sed -n -e 's/^ *-\{0,1\} *client-certificate-data: *//p' -e 's/^ *-\{0,1\} *certificate-authority-data: *//p' |
    tr -d "\"'" | while read -r v; do printf '%s' "$v" | base64 -d 2>/dev/null | blocks; done | put "$1" "$2"
}
signed() {
  [ -f "$2" ] || return 0
  [ -r "$2" ] || { printf '%s\0%s\0denied\0' "$1" "$2"; return 0; }
  head -c 65536 -- "$2" | sed -n 's/^\([a-z0-9-]*-cert-v01@openssh\.com [A-Za-z0-9+/=]*\).*/\1/p' | put "$1" "$2"
}
each k8s /etc/kubernetes/pki/*.crt /etc/kubernetes/pki/etcd/*.crt
for f in /etc/kubernetes/*.conf; do config kubeconfig "$f"; done
each kubelet /var/lib/kubelet/pki/kubelet-client-current.pem /var/lib/kubelet/pki/kubelet-server-current.pem \
  /var/lib/kubelet/pki/kubelet.crt
each etcd /etc/etcd/*.crt /etc/etcd/*.pem /etc/etcd/*/*.crt /etc/etcd/*/*.pem /etc/ssl/etcd/*.crt /etc/ssl/etcd/*.pem \
  /etc/ssl/etcd/*/*.crt /etc/ssl/etcd/*/*.pem
each certbot /etc/letsencrypt/live/*/fullchain.pem
for d in /etc/containers /etc/docker /etc/containerd; do
  each registry "$d"/certs.d/*/*.crt "$d"/certs.d/*/*.cert "$d"/certs.d/*/*.pem
done
cat /etc/haproxy/*.cfg /etc/haproxy/*/*.cfg 2>/dev/null |
  awk '/^[ \t]*#/ {next} $1 == "crt-base" {base=$2 "/"} {for (i=1; i<NF; i++)
    if ($i == "crt" || $i == "ca-file") {p=$(i+1); print (p ~ /^[\/@]/ ? p : base p)}}' | sort -u | head -n @MOST@ |
  while read -r p; do
    if [ -d "$p" ]; then find "$p" -maxdepth 1 -type f | sort | head -n @MOST@; elif [ -n "${p%%@*}" ]; then echo "$p"; fi
  done | while read -r p; do one haproxy "$p" must; done
cat /etc/nginx/*.conf /etc/nginx/*/*.conf /etc/nginx/sites-enabled/* 2>/dev/null | sed 's/#.*//' | tr ';{}' '\n\n\n' |
  awk '$1 ~ /^(ssl_certificate|ssl_client_certificate|ssl_trusted_certificate|proxy_ssl_certificate)$/ {
    p=$2; gsub(/["'\'']/, "", p); if (p !~ /\$|^data:/) print (p ~ /^\// ? p : "/etc/nginx/" p)}' | sort -u |
  head -n @MOST@ | while read -r p; do one nginx "$p" must; done
each anchor /etc/pki/ca-trust/source/anchors/* /usr/local/share/ca-certificates/*.crt
for f in /etc/ssh/*-cert.pub; do signed ssh "$f"; done
printf 'end\0%s\0\0' "$(id -u)"
"""

_PKI: Final[Mapping[str, Use]] = {
    "ca.crt": Use.KUBE_CA,
    "apiserver.crt": Use.KUBE_APISERVER,
    "apiserver-kubelet-client.crt": Use.KUBE_APISERVER_KUBELET,
    "apiserver-etcd-client.crt": Use.KUBE_APISERVER_ETCD,
    "front-proxy-ca.crt": Use.FRONT_PROXY_CA,
    "front-proxy-client.crt": Use.FRONT_PROXY,
    "etcd/ca.crt": Use.ETCD_CA,
    "etcd/server.crt": Use.ETCD_SERVER,
    "etcd/peer.crt": Use.ETCD_PEER,
    "etcd/healthcheck-client.crt": Use.ETCD_CLIENT,
}
_LABELS: Final[Mapping[str, Use]] = {
    "kubeconfig": Use.KUBECONFIG,
    "certbot": Use.CERTBOT,
    "registry": Use.REGISTRY,
    "haproxy": Use.HAPROXY,
    "nginx": Use.NGINX,
    "anchor": Use.TRUST_ANCHOR,
    "ssh": Use.SSH_HOST,
}
_ETCD: Final = (
    (re.compile(r"(^|[-_.])ca([-_.]|$)"), Use.ETCD_CA),
    (re.compile(r"peer"), Use.ETCD_PEER),
    (re.compile(r"client"), Use.ETCD_CLIENT),
)
#: What the script says of a file beside the certificates in it.
_MARK: Final = re.compile(rb"^#(damaged|too_large)$", re.M)


class NotUnderstood(ValueError):
    """What the host printed does not read as it should."""


@dataclass(frozen=True)
class HostAnswer:
    """What was found on a host. `as_root` False: places that only root reads are not in it."""

    found: tuple[Found, ...]
    unread: tuple[Unread, ...]
    as_root: bool


def command(*, as_root: bool) -> tuple[str, ...]:
    """The words to run on the host."""
    return (*(("sudo", "-n") if as_root else ()), *_CALM, "sh", "-c", script(), "fleetui-certificates")


def script() -> str:
    return _SCRIPT.replace("@MOST@", str(MOST_FILES)).replace("@BLOCKS@", BLOCKS)


def use_of(label: str, path: str) -> Use:
    """What a certificate is for, from where it lies."""
    name = path.rpartition("/")[2]
    if label == "k8s":
        return _PKI.get(path.removeprefix("/etc/kubernetes/pki/"), Use.OTHER)
    if label == "kubelet":
        return Use.KUBELET_CLIENT if "client" in name else Use.KUBELET_SERVER
    if label == "etcd":
        return next((use for pattern, use in _ETCD if pattern.search(name)), Use.ETCD_SERVER)
    return _LABELS.get(label, Use.OTHER)


def read_answer(output: bytes) -> HostAnswer:
    """Read what the script printed. Raises NotUnderstood for what is cut or no answer at all."""
    parts = output.split(b"\0")
    if len(parts) % 3 != 1 or parts[-1] or len(parts) < 4 or parts[-4] != b"end":
        raise NotUnderstood("The list of certificates ends before its end.")
    found: list[Found] = []
    unread: list[Unread] = []
    seen: set[str] = set()
    files = [parts[start : start + 3] for start in range(0, len(parts) - 4, 3)]
    for label, raw, body in files:
        path = raw.decode("utf-8", "replace")[:500]
        if path in seen:
            continue
        seen.add(path)
        if body in (b"missing", b"denied"):
            unread.append(Unread(path, body.decode()))
            continue
        _take(label.decode("ascii", "replace"), path, body, found, unread)
    if len(files) >= MOST_FILES or len(found) > MOST_ON_A_HOST:
        # First, since of many not all are kept.
        unread.insert(0, Unread("", "too_many"))
    return HostAnswer(tuple(found[:MOST_ON_A_HOST]), tuple(unread), parts[-3] == b"0")


def _take(label: str, path: str, body: bytes, found: list[Found], unread: list[Unread]) -> None:
    try:
        text = base64.b64decode(body, validate=True)
    except binascii.Error:
        raise NotUnderstood("The list of certificates is damaged.") from None
    use = use_of(label, path)
    known: set[str] = set()
    bad = [] if text[:1] == b"\x30" else [mark.decode() for mark in _MARK.findall(text)]
    for position, one in enumerate(read_all(text)):
        if isinstance(one, Unreadable):
            bad.append("damaged")
        elif one.fingerprint not in known:
            known.add(one.fingerprint)
            found.append(Found(path, position, use, one))
    if use is Use.SSH_HOST and not known:
        bad.append("damaged")
    unread.extend(Unread(path, why) for why in sorted(set(bad)))
