"""Stand-ins for kubeadm and a kubelet with its static pods, where neither can be installed: both do what they say, in small.

`KUBEADM` makes and renews a whole pki with openssl, with the names, authorities and fallbacks of kubeadm. `KUBELET` runs a
process for each manifest, by the name of the component, which serves TLS with the certificate of that moment; etcd lets in
those who have a certificate of its authority.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = "/etc/kubernetes"
KUBEADM: Final = r"""#!/bin/sh
# A stand-in for kubeadm: version, init phase certs all, certs renew NAME.
K=/etc/kubernetes P=/etc/kubernetes/pki
EC="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
authority() {
  openssl req -x509 $EC -keyout "$P/$1.key" -out "$P/$1.crt" -days "${CA_DAYS:-3650}" -subj "/CN=$2" 2>/dev/null
}
sign() { # FILE AUTHORITY SUBJECT [NAMES]
  printf '%s\n' "basicConstraints=critical,CA:false" ${4:+"subjectAltName=$4"} >"$P/ext"
  openssl req -new $EC -keyout "$P/$1.key.new" -subj "$3" -out "$P/csr" 2>/dev/null &&
    openssl x509 -req -in "$P/csr" -CA "$P/$2.crt" -CAkey "$P/$2.key" -days "${DAYS:-365}" -extfile "$P/ext" \
      -set_serial "0x$(openssl rand -hex 8)" -out "$P/$1.crt.new" 2>/dev/null &&
    mv "$P/$1.key.new" "$P/$1.key" && mv "$P/$1.crt.new" "$P/$1.crt"
}
config() { # NAME SUBJECT
  sign "$1" ca "$2" || return 1
  data() { base64 -w 0 <"$1"; }
  cat >"$K/$1.conf.new" <<END
apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority-data: $(data "$P/ca.crt")
    server: https://127.0.0.1:@API@
  name: kubernetes
users:
- name: $1
  user:
    client-certificate-data: $(data "$P/$1.crt")
    client-key-data: $(data "$P/$1.key")
END
  rm "$P/$1.crt" "$P/$1.key" && mv "$K/$1.conf.new" "$K/$1.conf"
}
make() {
  case "$1" in
    apiserver) sign apiserver ca /CN=kube-apiserver DNS:kubernetes,DNS:localhost,IP:127.0.0.1 ;;
    apiserver-kubelet-client) sign "$1" ca /O=kubeadm:cluster-admins/CN=kube-apiserver-kubelet-client ;;
    apiserver-etcd-client) sign "$1" etcd/ca /CN=kube-apiserver-etcd-client ;;
    front-proxy-client) sign "$1" front-proxy-ca /CN=front-proxy-client ;;
    etcd-server) sign etcd/server etcd/ca /CN=node DNS:localhost,IP:127.0.0.1 ;;
    etcd-peer) sign etcd/peer etcd/ca /CN=node DNS:localhost,IP:127.0.0.1 ;;
    etcd-healthcheck-client) sign etcd/healthcheck-client etcd/ca /CN=kube-etcd-healthcheck-client ;;
    admin.conf) config admin /O=kubeadm:cluster-admins/CN=kubernetes-admin ;;
    super-admin.conf) config super-admin /O=system:masters/CN=kubernetes-super-admin ;;
    controller-manager.conf) config controller-manager /CN=system:kube-controller-manager ;;
    scheduler.conf) config scheduler /CN=system:kube-scheduler ;;
    *) echo "error: unknown certificate $1" >&2; return 1 ;;
  esac
}
CA_OF() { case "$1" in etcd-*|apiserver-etcd-client) echo etcd/ca ;; front-*) echo front-proxy-ca ;; *) echo ca ;; esac; }
ALL="admin.conf apiserver apiserver-etcd-client apiserver-kubelet-client controller-manager.conf etcd-healthcheck-client
  etcd-peer etcd-server front-proxy-client scheduler.conf super-admin.conf"
case "$1 $2" in
  "version "*) echo v1.36.2 ;;
  "init phase")
    mkdir -p "$P/etcd" "$K/manifests"
    authority ca kubernetes; authority etcd/ca etcd-ca; authority front-proxy-ca front-proxy-ca
    for name in $ALL; do make "$name" || exit 1; done ;;
  "certs renew")
    echo '[renew] Reading configuration from the "kubeadm-config" ConfigMap in namespace "kube-system"...'
    names=$3; [ "$3" = all ] && names=$ALL
    for name in $names; do
      if ! [ -e "$P/$(CA_OF "$name").key" ]; then echo "Detected external $(CA_OF "$name"), $name can't be renewed"; continue; fi
      make "$name" || exit 1
      echo "certificate $name renewed"
    done
    rm -f "$P/csr" "$P/ext"
    printf '\nDone renewing certificates. You must restart the kube-apiserver, kube-controller-manager, kube-scheduler and '
    echo 'etcd, so that they can use the new certificates.' ;;
  *) echo "error: unknown command" >&2; exit 1 ;;
esac
"""
#: Run with `--root=/etc/kubernetes/`: that its children have these words too is how they are told from others of their name.
KUBELET: Final = r"""
import http.server, os, pathlib, re, signal, ssl, sys, time
root = pathlib.Path(sys.argv[1].removeprefix("--root="))

class Well(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *given): pass

def serve(name, text):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    pathlib.Path("/proc/self/comm").write_text(name)
    port = int(re.search(r"--(?:secure-port=|listen-client-urls=https://127.0.0.1:)(\d+)", text)[1])
    pair = {"etcd": "pki/etcd/server", "kube-apiserver": "pki/apiserver"}.get(name, "own")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{root}/{pair}.crt", f"{root}/{pair}.key")
    if name == "etcd":
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(f"{root}/pki/etcd/ca.crt")
    server = http.server.HTTPServer(("127.0.0.1", port), Well)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()

runs = {}
def end(*given):
    for pid in runs.values():
        os.kill(pid, signal.SIGTERM)
    os._exit(0)
signal.signal(signal.SIGTERM, end)
while True:
    there = {one.stem: one for one in root.glob("manifests/[!.]*.yaml")}
    for name in list(runs):
        if name not in there:
            os.kill(runs[name], signal.SIGTERM)
        if name not in there or os.waitpid(runs[name], os.WNOHANG)[0]:
            try: os.waitpid(runs.pop(name), 0)
            except ChildProcessError: pass
    for name, path in there.items():
        if name not in runs:
            try: text = path.read_text()
            except OSError: continue
            pid = os.fork()
            if not pid:
                try: serve(name, text)
                finally: os._exit(1)
            runs[name] = pid
    time.sleep(0.05)
"""
_ARGUMENTS: Final = {
    "etcd": "--listen-client-urls=https://127.0.0.1:{port},https://127.0.0.9:{port}",
    "kube-apiserver": "--advertise-address=127.0.0.1\n    - --secure-port={port}",
    "kube-controller-manager": "--secure-port={port}",
    "kube-scheduler": "--secure-port={port}",
}


def manifests(ports: dict[str, int]) -> dict[str, str]:
    """The manifest of each static pod, as far as its words are read, by the name of its file."""
    head = (
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\nspec:\n  containers:\n  - command:\n    - {name}\n    - "
    )
    return {
        f"{name}.yaml": head.format(name=name) + words.format(port=ports[name]) + "\n"
        for name, words in _ARGUMENTS.items()
    }


def at(text: str, root: Path) -> str:
    """The same for another root than /etc/kubernetes."""
    return text.replace(ROOT, str(root))
