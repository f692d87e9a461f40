"""FleetUI as docs/deploy starts it: the commands of the units, over PostgreSQL and Redis, behind nginx with TLS."""

from __future__ import annotations

import contextlib
import http.client
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.fleet import ROOT
from tests.installation import end_all, environment
from tests.services import free_port

DEPLOY = ROOT / "docs" / "deploy"
UNITS = DEPLOY / "systemd"
PYTHON = "/opt/fleetui/.venv/bin/python"
HOST = "fleet.example.org"


def commands(unit: str, instance: str = "") -> list[list[str]]:
    """What the unit starts, as systemd would: specifiers in place, and the interpreter of this test run."""
    text = (UNITS / unit).read_text().replace("\\\n", " ")
    lines = re.findall(r"^ExecStart=(.+)$", text, flags=re.MULTILINE)
    words = [shlex.split(line.replace("%i", instance).replace("%%", "%")) for line in lines]
    return [[sys.executable if word == PYTHON else word for word in line] for line in words]


class Deployment:
    """The processes of one machine. `start` runs a unit in the background, `run` one that ends."""

    def __init__(self, folder: Path, *, database_url: str, redis_url: str, **over: str) -> None:
        self.folder, self.port, self.tls_port = folder, free_port(), free_port()
        keys = {
            f"FLEETUI_{name}": digit * 64
            for name, digit in {
                "SECRET_KEY": "1",
                "ENCRYPTION_KEYS": "2",
                "TOKEN_PEPPERS": "3",
                "AUDIT_KEY": "4",
            }.items()
        }
        self.over = {
            **keys,
            "DATABASE_URL": database_url,
            "CELERY_BROKER_URL": f"{redis_url}/8",
            "CACHE_URL": f"{redis_url}/9",
            "FLEETUI_ALLOWED_HOSTS": HOST,
            "FLEETUI_BEHIND_TLS": "true",
            "TRUSTED_PROXIES": "127.0.0.1",
            **over,
        }
        self.password = ""
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def told(self) -> dict[str, str]:
        return environment(self.folder, **self.over)

    def run(self, unit: str) -> str:
        said = ""
        for command in commands(unit):
            done = subprocess.run(
                command, cwd=ROOT, env=self.told, capture_output=True, text=True, check=False, timeout=180
            )
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
            said += done.stdout
        return said

    def start(self, unit: str, instance: str = "") -> subprocess.Popen[bytes]:
        ((program, *words),) = commands(unit, instance)
        words = [word.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}") for word in words]
        name = f"{unit.partition('.')[0]}{instance}"
        with (self.folder / f"{name}.log").open("ab") as log:
            argv = ["setpriv", "--pdeathsig", "KILL", "--", program, *words]
            process = subprocess.Popen(argv, cwd=ROOT, env=self.told, stdout=log, stderr=log)
        self.processes[name] = process
        return process

    def start_nginx(self, program: str) -> None:
        """The proxy of the docs, with the ports and files of this test."""
        tls = self.folder / "tls"
        tls.mkdir()
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        made += ["-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
        made += ["-keyout", str(tls / "privkey.pem"), "-out", str(tls / "fullchain.pem")]
        subprocess.run(made, check=True, capture_output=True)
        text = (DEPLOY / "proxy" / "nginx.conf").read_text()
        text = re.sub(r"^ +listen \[::\].*\n", "", text, flags=re.MULTILINE)
        text = text.replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
        text = text.replace("listen 443 ", f"listen 127.0.0.1:{self.tls_port} ")
        text = text.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}").replace("/etc/ssl/fleetui", str(tls))
        text = text.replace("/var/log/nginx", str(self.folder))
        temporary = "".join(
            f"{kind}_temp_path {self.folder}/nginx-{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = self.folder / "nginx.conf"
        config.write_text(
            f"daemon off;\nmaster_process off;\npid {self.folder}/nginx.pid;\nerror_log {self.folder}/nginx.log;\n"
            f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{text}}}\n"
        )
        with (self.folder / "nginx-out.log").open("ab") as log:
            self.processes["nginx"] = subprocess.Popen(
                [
                    "setpriv",
                    "--pdeathsig",
                    "KILL",
                    "--",
                    program,
                    "-c",
                    str(config),
                    "-e",
                    str(self.folder / "nginx.log"),
                ],
                stdout=log,
                stderr=log,
            )

    def connection(self, source: str = "127.0.0.2") -> http.client.HTTPSConnection:
        """A client somewhere else than the proxy, that checks the certificate."""
        trusted = ssl.create_default_context(cafile=str(self.folder / "tls" / "fullchain.pem"))
        found = http.client.HTTPSConnection(
            "127.0.0.1", self.tls_port, timeout=20, context=trusted, source_address=(source, 0)
        )
        # The name in the certificate is not the address that is called.
        trusted.check_hostname = False
        return found

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                client = self.connection()
                client.request("GET", "/readyz", headers={"Host": HOST})
                if client.getresponse().status == http.client.OK:
                    return
            logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(self.folder.glob("*.log")))
            assert time.monotonic() < deadline, logs
            time.sleep(0.2)

    def stop(self) -> None:
        end_all(self.processes)


@contextlib.contextmanager
def deployed(folder: Path, *, database_url: str, redis_url: str, **over: str) -> Iterator[Deployment]:
    """All units of docs/deploy/systemd but PostgreSQL's and Redis' own, and the proxy."""
    made = Deployment(folder, database_url=database_url, redis_url=redis_url, **over)
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    try:
        made.run("fleetui-prepare.service")
        made.start("fleetui-web.service")
        for queue in ("poll", "ops", "stream"):
            made.start("fleetui-worker@.service", queue)
        made.start("fleetui-beat.service")
        made.start_nginx(nginx)
        made.wait_ready()
        yield made
    finally:
        made.stop()
