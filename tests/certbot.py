"""Debian's certbot as a tree that hosts without packages can run in Podman, and pebble, an authority for tests."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Where the tree lies on the host.
ROOT = "/var/lib/certbot-root"
#: Whom the certbot in it trusts.
TRUSTED = f"{ROOT}/etc/ssl/certs/ca-certificates.crt"
#: How an immutable host comes by a certbot: a script on the path that runs a container.
WRAPPER = f"""\
#!/bin/sh
mkdir -p /etc/letsencrypt /var/lib/letsencrypt /var/log/letsencrypt
exec podman run --rm --network host -v /etc/letsencrypt:/etc/letsencrypt -v /var/lib/letsencrypt:/var/lib/letsencrypt \\
  -v /var/log/letsencrypt:/var/log/letsencrypt --rootfs {ROOT} /usr/bin/python3 /usr/bin/certbot "$@"
"""
_LEFT_OUT = (
    "/usr/share/doc/",
    "/usr/share/man/",
    "/usr/share/locale/",
    "/usr/share/lintian/",
    "/usr/share/perl",
    "/usr/lib/x86_64-linux-gnu/perl",
)


class Missing(RuntimeError):
    """A program is not installed; the sentence says which."""


def needed() -> str:
    """The path of pebble. Raises Missing."""
    for name in ("certbot", "pebble"):
        if not (shutil.which(name) and Path("/usr/bin/certbot").exists()):
            raise Missing(f"{name} is not installed. Install it: apt-get install certbot pebble")
    return str(shutil.which("pebble"))


def _dpkg(*words: str) -> str:
    return subprocess.run(["dpkg-query", *words], capture_output=True, text=True, check=False).stdout


def packages(name: str) -> set[str]:
    """A package and all that it depends on, as they are installed."""
    known, waiting = set(), [name]
    while waiting:
        one = waiting.pop()
        if one in known or not _dpkg("-W", "-f", "${db:Status-Abbrev}", one).startswith("ii"):
            continue
        known.add(one)
        depends = _dpkg("-W", "-f", "${Depends}, ${Pre-Depends}", one)
        waiting += re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]+)", depends)
    return known


def archive() -> bytes:
    """The files of certbot's packages as a tar, with the links that make /usr whole."""
    listed: set[str] = set()
    # The second one is depended on by a name that it only provides.
    for package in packages("certbot") | packages("python3-cffi-backend"):
        listed.update(_dpkg("-L", package).splitlines())
    known = [Path(path) for path in listed if os.path.lexists(path) and not path.startswith(_LEFT_OUT)]
    # Debian lists /lib and /bin, which are links into /usr.
    whole = {path.parent.resolve() / path.name for path in known}
    files = sorted(str(path) for path in whole if path.is_symlink() or not path.is_dir())
    links = [path for path in ("/bin", "/lib", "/lib64", "/sbin") if Path(path).is_symlink()]
    done = subprocess.run(
        ["tar", "-c", "--ignore-failed-read", "--no-recursion", "-T", "-"],
        input="\n".join(dict.fromkeys([*links, *files])).encode(),
        capture_output=True,
        check=False,
    )
    assert done.stdout, done.stderr[-500:]
    return done.stdout


@contextmanager
def pebble(folder: Path, address: str, *, days: int) -> Iterator[tuple[str, str]]:
    """The authority, whose certificates live for `days`; gives the address of its directory, and its own certificate.

    It believes every name.
    """
    program = needed()
    folder.mkdir(parents=True, exist_ok=True)
    key, chain = folder / "key.pem", folder / "chain.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += [
        "-keyout",
        str(key),
        "-out",
        str(chain),
        "-days",
        "2",
        "-subj",
        "/CN=pebble",
        "-addext",
        f"subjectAltName=IP:{address}",
    ]
    subprocess.run(made, check=True, capture_output=True)
    with socket.create_server((address, 0)) as free:
        port = free.getsockname()[1]
    told = {
        "listenAddress": f"{address}:{port}",
        "managementListenAddress": "127.0.0.1:0",
        "certificate": str(chain),
        "privateKey": str(key),
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
        "certificateValidityPeriod": days * 86_400,
    }
    config = folder / "pebble.json"
    config.write_text(json.dumps({"pebble": told}))
    environment = {**os.environ, "PEBBLE_VA_ALWAYS_VALID": "1", "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    with (folder / "pebble.log").open("wb") as log:
        running = subprocess.Popen([program, "-config", str(config)], env=environment, stdout=log, stderr=log)
    try:
        for _ in range(100):
            with socket.socket() as sock:
                if sock.connect_ex((address, port)) == 0:
                    break
            assert running.poll() is None, (folder / "pebble.log").read_text()
            time.sleep(0.1)
        yield f"https://{address}:{port}/dir", chain.read_text()
    finally:
        running.terminate()
        running.wait(10)
