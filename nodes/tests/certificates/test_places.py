"""The script runs in a real shell, over files as hosts have them."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from nodes.certificates import HostAnswer, NotUnderstood, Use, places, read_answer, script
from nodes.tests.certificates.making import Made, ca, kubeconfig, make, ssh_certificate


def put(root: Path, path: str, text: bytes) -> None:
    there = root / path.lstrip("/")
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_bytes(text)


def run(root: Path, shell: str = "sh") -> tuple[HostAnswer, bytes]:
    here = re.sub(r"(?<![\w$\"*.})])/(?=(etc|var|usr)/)", f"{root}/", script()).replace('"/etc/', f'"{root}/etc/')
    done = subprocess.run([shell, "-c", here], capture_output=True, check=True)
    return read_answer(done.stdout.replace(str(root).encode(), b"")), done.stdout


@pytest.fixture
def pki() -> dict[str, Made]:
    root = ca("kubernetes")
    return {"ca": root, "apiserver": make("kube-apiserver", issuer=root), "client": make("admin", issuer=root)}


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_host_with_everything(tmp_path: Path, pki: dict[str, Made], shell: str) -> None:
    both = pki["apiserver"].pem + pki["apiserver"].key_pem + pki["ca"].pem
    for path in ("/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/etcd/ca.crt"):
        put(tmp_path, path, pki["ca"].pem)
    put(tmp_path, "/etc/kubernetes/pki/apiserver.crt", pki["apiserver"].pem)
    put(tmp_path, "/etc/kubernetes/pki/apiserver.key", pki["apiserver"].key_pem)
    put(tmp_path, "/etc/kubernetes/admin.conf", kubeconfig(pki["ca"], pki["client"]))
    put(tmp_path, "/var/lib/kubelet/pki/kubelet-client-2025-01-01-00-00-00.pem", both)
    put(tmp_path, "/var/lib/kubelet/pki/kubelet-client-current.pem", both)
    put(tmp_path, "/etc/etcd/pki/peer.crt", pki["client"].pem)
    put(tmp_path, "/etc/letsencrypt/live/web.example.org/fullchain.pem", pki["client"].pem + pki["ca"].pem)
    put(tmp_path, "/etc/letsencrypt/live/web.example.org/privkey.pem", pki["client"].key_pem)
    put(tmp_path, "/etc/containers/certs.d/registry:5000/ca.crt", pki["ca"].pem)
    put(tmp_path, "/etc/haproxy/haproxy.cfg", b"global\n crt-base certs\n# bind :1 ssl crt none.pem\n"
        + f" bind :443 ssl crt {tmp_path}/etc/haproxy/certs/ alpn h2\n".encode())  # fmt: skip
    put(tmp_path, "/etc/haproxy/certs/site.pem", both)
    put(tmp_path, "/etc/nginx/conf.d/a.conf", b"server { listen 443 ssl; ssl_certificate tls/a.pem; #ssl_certificate b;\n"
        b"ssl_certificate_key tls/a.key; ssl_certificate $other; ssl_certificate gone.pem; }")  # fmt: skip
    put(tmp_path, "/etc/nginx/tls/a.pem", pki["client"].pem)
    put(tmp_path, "/etc/ssh/ssh_host_ed25519_key-cert.pub", ssh_certificate("web-1"))
    answer, printed = run(tmp_path, shell)
    seen = {(one.place, one.position): (one.use, one.certificate.subject) for one in answer.found}
    assert seen == {
        ("/etc/kubernetes/pki/ca.crt", 0): (Use.KUBE_CA, "CN=kubernetes"),
        ("/etc/kubernetes/pki/etcd/ca.crt", 0): (Use.ETCD_CA, "CN=kubernetes"),
        ("/etc/kubernetes/pki/apiserver.crt", 0): (Use.KUBE_APISERVER, "CN=kube-apiserver"),
        ("/etc/kubernetes/admin.conf", 0): (Use.KUBECONFIG, "CN=kubernetes"),
        ("/etc/kubernetes/admin.conf", 1): (Use.KUBECONFIG, "CN=admin"),
        ("/var/lib/kubelet/pki/kubelet-client-current.pem", 0): (Use.KUBELET_CLIENT, "CN=kube-apiserver"),
        ("/var/lib/kubelet/pki/kubelet-client-current.pem", 1): (Use.KUBELET_CLIENT, "CN=kubernetes"),
        ("/etc/etcd/pki/peer.crt", 0): (Use.ETCD_PEER, "CN=admin"),
        ("/etc/letsencrypt/live/web.example.org/fullchain.pem", 0): (Use.CERTBOT, "CN=admin"),
        ("/etc/letsencrypt/live/web.example.org/fullchain.pem", 1): (Use.CERTBOT, "CN=kubernetes"),
        ("/etc/containers/certs.d/registry:5000/ca.crt", 0): (Use.REGISTRY, "CN=kubernetes"),
        ("/etc/haproxy/certs/site.pem", 0): (Use.HAPROXY, "CN=kube-apiserver"),
        ("/etc/haproxy/certs/site.pem", 1): (Use.HAPROXY, "CN=kubernetes"),
        ("/etc/nginx/tls/a.pem", 0): (Use.NGINX, "CN=admin"),
        ("/etc/ssh/ssh_host_ed25519_key-cert.pub", 0): (Use.SSH_HOST, "web-1 2026"),
    }
    assert [(one.place, one.why) for one in answer.unread] == [("/etc/nginx/gone.pem", "missing")]
    assert answer.as_root is (os.getuid() == 0)
    assert b"PRIVATE" not in printed


def test_no_private_key_leaves_the_host_however_it_lies_in_the_file(tmp_path: Path, pki: dict[str, Made]) -> None:
    key, good = pki["client"].key_pem, pki["client"].pem
    half = good.splitlines(keepends=True)
    put(tmp_path, "/etc/letsencrypt/live/a/fullchain.pem", b"".join(half[:3]) + key + good)
    put(tmp_path, "/etc/letsencrypt/live/b/fullchain.pem", b"".join(half[:3]) + key + half[-1])
    put(tmp_path, "/etc/letsencrypt/live/c/fullchain.pem", key.replace(b"-----BEGIN PRIVATE KEY-----", half[0]))
    put(tmp_path, "/etc/letsencrypt/live/d/fullchain.pem", good.replace(b"\n", b"\r\n"))
    put(tmp_path, "/etc/ssh/ssh_host_rsa_key-cert.pub", key)
    answer, printed = run(tmp_path)
    assert [(one.place[22:23], one.certificate.subject) for one in answer.found] == [
        ("a", "CN=admin"),
        ("d", "CN=admin"),
    ]
    body = key.splitlines()[1]
    for part in printed.split(b"\0"):
        assert body not in part
        try:
            assert body not in base64.b64decode(part)
        except ValueError:
            continue


def test_what_cannot_be_read_is_told(tmp_path: Path, pki: dict[str, Made]) -> None:
    good, key = pki["apiserver"].pem, pki["apiserver"].key
    lines = good.splitlines(keepends=True)
    der_key = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    files = {
        "cut": b"".join(lines[:4]),
        "cut-then-good": b"".join(lines[:4]) + good,
        "broken": lines[0] + b"!" + b"".join(lines[1:]),
        "no-base64": lines[0] + lines[1] + lines[-1],
        "bom": b"\xef\xbb\xbf" + good,
        "trusted": good.replace(b" CERT", b" TRUSTED CERT"),
        "empty": b"",
        "text": b"see the wiki\n",
        "der-cut": pki["apiserver"].der[:200],
        "der-key": der_key,
        "large": good + b"#" * 300_000,
        "key": pki["apiserver"].key_pem,
        "spaces": good.replace(b"\n", b" \n"),
        "der": pki["apiserver"].der,
        "der-and-key": pki["apiserver"].der + der_key,
    }
    for name, text in files.items():
        put(tmp_path, f"/etc/etcd/{name}.pem", text)
    put(tmp_path, "/etc/pki/ca-trust/source/anchors/README", b"empty but for this\n")
    put(tmp_path, "/etc/ssh/ssh_host_rsa_key-cert.pub", b"ssh-rsa-cert-v01@openssh.com !\n")
    put(tmp_path, "/etc/kubernetes/admin.conf", b"    client-certificate-data: bm8=\n")
    answer, printed = run(tmp_path)
    unread = {one.place.rpartition("/")[2].removesuffix(".pem"): one.why for one in answer.unread}
    good_ones = {"key", "spaces", "der", "der-and-key"}
    told = {name: "damaged" for name in files.keys() - good_ones} | {"large": "too_large"}
    assert unread == told | {"ssh_host_rsa_key-cert.pub": "damaged", "admin.conf": "damaged"}
    found = {one.place.rpartition("/")[2].removesuffix(".pem") for one in answer.found}
    assert found == {"cut-then-good", "large", "spaces", "der", "der-and-key"}
    assert all(der_key not in base64.b64decode(part) for part in printed.split(b"\0")[2::3])


def test_more_than_are_kept_is_told(monkeypatch: pytest.MonkeyPatch, pki: dict[str, Made], tmp_path: Path) -> None:
    monkeypatch.setattr(places, "MOST_ON_A_HOST", 1)
    put(tmp_path, "/etc/etcd/a.pem", pki["apiserver"].pem + pki["ca"].pem)
    answer, _printed = run(tmp_path)
    assert (len(answer.found), [one.why for one in answer.unread]) == (1, ["too_many"])


def test_a_host_without_any(tmp_path: Path) -> None:
    answer, _printed = run(tmp_path)
    assert not answer.found
    assert not answer.unread


@pytest.mark.parametrize("output", [b"", b"end", b"k8s\0/p\0QUJD\0", b"k8s\0/p\0Q\0end\x000\0\0", b"x\0end\x000\0\0"])
def test_what_is_cut_or_damaged_is_no_answer(output: bytes) -> None:
    with pytest.raises(NotUnderstood):
        read_answer(output)
