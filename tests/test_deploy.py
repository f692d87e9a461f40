"""docs/deploy: units that systemd accepts, commands and variables that exist, and the whole of it started and signed in to."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import psycopg
import pytest
from django.core.management import get_commands

import fleetui
from tests.conftest import missing
from tests.deployed import DEPLOY, HOST, PYTHON, UNITS, Deployment, commands, deployed
from tests.fleet import ROOT
from tests.installation import manage
from tests.test_docs import settings_variables

FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
#: Python's own, and those of the images of PostgreSQL.
OTHERS = {"PYTHONUNBUFFERED", "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD_FILE"}
NOTHING: Mapping[str, str] = {}
QUADLET_KEYS = {
    "ContainerName", "Image", "Network", "Volume", "EnvironmentFile", "Environment", "Secret", "ReadOnly", "NoNewPrivileges",
    "DropCapability", "Exec", "PublishPort", "HealthCmd", "HealthStartupCmd", "HealthStartupInterval", "Notify", "RunInit",
    "StopTimeout", "LogDriver", "NetworkName", "VolumeName", "HostName",
}  # fmt: skip


def settings_of(text: str) -> list[tuple[str, str]]:
    """key=value lines of a unit."""
    return re.findall(r"^([A-Za-z]+)=(.*)$", text, flags=re.MULTILINE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_commands_and_variables_exist(path: Path) -> None:
    text = path.read_text()
    for command in re.findall(r"manage\.py ([a-z_]+)", text):
        assert command in get_commands(), command
    known = settings_variables()
    known |= {f"{name}_FILE" for name in known} | OTHERS
    pairs = settings_of(text)
    named = {
        variable.partition("=")[0]
        for key, value in pairs
        if key in ("Environment", "ENV")
        for variable in value.split()
    }
    if path.suffix == ".env":
        named = set(re.findall(r"^([A-Z_]+)=", text, flags=re.MULTILINE))
        assert len(named) > 5
    named |= set(re.findall(r"\b(FLEETUI_[A-Z_]+)\b", text))
    assert named - known == set()


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name == "quadlet"], ids=lambda path: path.name)
def test_quadlets_are_whole(path: Path) -> None:
    text = path.read_text()
    sections = re.split(r"^\[(\w+)\]$", text, flags=re.MULTILINE)
    own = dict(zip(sections[1::2], sections[2::2], strict=True))
    kind = {"container": "Container", "network": "Network", "volume": "Volume"}[path.suffix[1:]]
    used = settings_of(own[kind])
    assert used
    assert {key for key, _ in used} <= QUADLET_KEYS
    names = {one.name for one in FILES}
    for key, value in used:
        target = value.partition(":")[0]
        if key in ("Network", "Volume") and target.startswith("fleetui"):
            assert target in names
        # Podman 5.4 leaves out everything from an empty word on.
        assert key != "Exec" or all(shlex.split(value))


def test_a_quadlet_runs_what_the_unit_runs() -> None:
    for name in ("fleetui-web", "fleetui-worker@", "fleetui-beat"):
        ((_python, *unit),) = commands(f"{name}.service", "%i")
        (container,) = (
            value for key, value in settings_of((DEPLOY / "quadlet" / f"{name}.container").read_text()) if key == "Exec"
        )
        words = container.replace("%%", "%").split()[1:]
        same = [word for word in unit if not word.startswith(("--max-requests", "2000", "127.0.0.1"))]
        assert [word for word in words if word != "0.0.0.0:8000"] == same


@pytest.mark.parametrize("path", sorted((DEPLOY / "quadlet").glob("*.container")), ids=lambda path: path.name)
def test_a_container_is_given_the_time_to_end(path: Path) -> None:
    """Podman kills after StopTimeout, 10 s by default, and must be done with it before systemd kills Podman."""
    given = dict(settings_of(path.read_text()))
    if "TimeoutStopSec" in given:
        assert 10 < int(given["StopTimeout"]) < int(given["TimeoutStopSec"])
    if given["Image"] == "localhost/fleetui":
        assert given["RunInit"] == "true"


def test_containers_have_a_name_that_people_know() -> None:
    """The page Health names them; of its own, Podman gives another row of digits at every start."""
    names = {}
    for name in ("fleetui-web", "fleetui-worker@", "fleetui-beat"):
        given = dict(settings_of((DEPLOY / "quadlet" / f"{name}.container").read_text()))
        names[name] = given.get("HostName")
    assert names == {"fleetui-web": "%l-web", "fleetui-worker@": "%l-%i", "fleetui-beat": "%l-beat"}


def test_the_image_runs_the_python_that_the_tests_run() -> None:
    (version,) = re.findall(r"^FROM \S+/python:(\d+\.\d+)-", (DEPLOY / "Containerfile").read_text(), flags=re.MULTILINE)
    assert f'python_version = "{version}"' in (ROOT / "pyproject.toml").read_text()


def test_the_image_holds_the_program() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    copied = set(re.findall(r"^COPY (\S+)", text, flags=re.MULTILINE))
    assert all((ROOT / name).exists() for name in copied)
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert packages <= copied


def test_the_version_is_the_one_that_the_package_names() -> None:
    assert f'version = "{fleetui.__version__}"' in (ROOT / "pyproject.toml").read_text()


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if not program:
        missing("systemd-analyze is not installed. Install it: apt-get install systemd")
    for path in UNITS.iterdir():
        text = path.read_text().replace(PYTHON, sys.executable)
        (tmp_path / path.name).write_text(text.replace("/opt/fleetui", str(ROOT)))
    shutil.copy(tmp_path / "fleetui-worker@.service", tmp_path / "fleetui-worker@poll.service")
    names = [str(path) for path in sorted(tmp_path.iterdir()) if "@." not in path.name]
    done = subprocess.run(
        [str(program), "verify", "--man=no", *names], capture_output=True, text=True, check=False, timeout=60
    )
    ours = [line for line in done.stderr.splitlines() if "fleetui" in line and "Cannot add dependency" not in line]
    assert ours == []


def test_an_upgrade_brings_the_units_that_an_installation_brought() -> None:
    """A new program under the old units lacks what changed in them, and nobody is told."""
    sections = re.split(r"^## (.+)$", (ROOT / "docs" / "deploy.md").read_text(), flags=re.MULTILINE)
    text = dict(zip(sections[1::2], sections[2::2], strict=True))
    for name in ("Under systemd", "Under Podman"):
        brought = re.findall(r"install -m 644 docs/deploy/\S+ /etc/\S+", text[name])
        assert brought
        assert [line for line in brought if line not in text["Upgrade"]] == []
    assert text["Upgrade"].count("systemctl daemon-reload") == 2


def test_every_service_is_hardened() -> None:
    services = [path for path in UNITS.iterdir() if path.suffix == ".service"]
    assert len(services) == 4
    for path in services:
        given = settings_of(path.read_text())
        assert {("NoNewPrivileges", "yes"), ("ProtectSystem", "strict"), ("UMask", "0077")} <= set(given)
        assert ("User", "fleetui") in given


def test_haproxy_accepts_its_configuration(tmp_path: Path) -> None:
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if not program:
        missing("HAProxy is not installed. Install it: apt-get install haproxy")
    pem = tmp_path / "haproxy.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(
        [*made, "-subj", "/CN=x", "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "cert")],
        check=True,
        capture_output=True,
    )
    pem.write_text((tmp_path / "cert").read_text() + (tmp_path / "key").read_text())
    config = tmp_path / "haproxy.cfg"
    config.write_text((DEPLOY / "proxy" / "haproxy.cfg").read_text().replace("/etc/ssl/fleetui/haproxy.pem", str(pem)))
    done = subprocess.run([str(program), "-c", "-f", str(config)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nginx_writes_no_token_of_a_machine_down_when_fleetui_is_away(tmp_path: Path) -> None:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not program:
        missing("nginx is not installed. Install it: apt-get install nginx-light")
    made = Deployment(tmp_path, database_url="sqlite:///:memory:", redis_url="redis://127.0.0.1:1")
    made.start_nginx(str(program))

    def told(path: str) -> int:
        deadline = time.monotonic() + 20
        while True:
            connection = made.connection()
            try:
                connection.request("GET", path, headers={"Host": HOST})
                return connection.getresponse().status
            except ConnectionRefusedError:
                # nginx has only just been started.
                assert time.monotonic() < deadline
                time.sleep(0.1)
            finally:
                connection.close()

    try:
        assert told("/nodes/web-1/") == 502
        assert told("/ignition/fleetui-ignition_0123456789ab_SECRET") == 502
        assert told("/ignition/fleetui-pool_0123456789ab_SECRET?id=web-1") == 502
    finally:
        made.stop()
    logs = {path.name: path.read_text() for path in tmp_path.glob("*.log")}
    assert "/nodes/web-1/" in logs["nginx.log"], "other addresses are logged"
    assert "/nodes/web-1/" in logs["access.log"]
    assert not [name for name, text in logs.items() if "SECRET" in text]


def test_gunicorn_tells_systemd_that_it_is_ready(tmp_path: Path) -> None:
    """Type=notify stands in the unit of the web process."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(path))
        told.settimeout(30)
        made = Deployment(
            tmp_path, database_url="sqlite:///:memory:", redis_url="redis://127.0.0.1:1", NOTIFY_SOCKET=str(path)
        )
        try:
            made.start("fleetui-web.service")
            assert told.recv(1000).startswith(b"READY=1")
        finally:
            made.stop()


@pytest.fixture(scope="module")
def site(postgresql_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    if not (shutil.which("nginx") or Path("/usr/sbin/nginx").exists()):
        missing("nginx is not installed. Install it: apt-get install nginx-light")
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE deployed")
    url = postgresql_url.rpartition("/")[0] + "/deployed"
    folder = tmp_path_factory.mktemp("site")
    with deployed(folder, database_url=url, redis_url=redis_url, FLEETUI_METRICS_NETWORKS="127.0.0.3") as made:
        added = manage(folder, "user", "add", "anna", "--role", "admin", **made.over)
        assert added.returncode == 0, added.stdout + added.stderr
        made.password = added.stdout.strip()
        yield made


@pytest.mark.e2e
def test_a_database_that_was_not_migrated_is_a_sentence(postgresql_url: str, tmp_path: Path) -> None:
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE not_migrated")
    url = postgresql_url.rpartition("/")[0] + "/not_migrated"
    done = manage(tmp_path, "audit", "verify", DATABASE_URL=url)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("Run `manage.py migrate`.")
    assert "Traceback" not in done.stderr


def test_a_wrong_network_is_named(tmp_path: Path) -> None:
    done = manage(tmp_path, "check", FLEETUI_METRICS_NETWORKS="10.0.0.0/8,prometheus")
    assert done.returncode == 3
    assert "'prometheus' is neither an address nor a network." in done.stderr


def test_a_wrong_proxy_and_a_wrong_time_zone_are_named_together(tmp_path: Path) -> None:
    done = manage(tmp_path, "check", TRUSTED_PROXIES="10.0.0.5,proxy", FLEETUI_TIME_ZONE="Mars/Olympus")
    assert done.returncode == 3
    assert "TRUSTED_PROXIES" in done.stderr
    assert "'proxy' is neither an address nor a network." in done.stderr
    assert "FLEETUI_TIME_ZONE ('Mars/Olympus'): There is no such time zone." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_number_and_a_wrong_log_level_are_named_together(tmp_path: Path) -> None:
    wrong = {
        "FLEETUI_DEBUG": "maybe",
        "FLEETUI_LOG_LEVEL": "LOUD",
        "FLEETUI_POLL_INTERVAL_S": "-5",
        "FLEETUI_POLL_THREADS": "0",
    }
    done = manage(tmp_path, "check", **wrong)
    assert done.returncode == 3
    assert "FLEETUI_LOG_LEVEL ('LOUD'): Use one of DEBUG, INFO, WARNING, ERROR." in done.stderr
    assert "FLEETUI_DEBUG ('maybe'): Not a valid boolean. Use true or false." in done.stderr
    assert "FLEETUI_POLL_INTERVAL_S ('-5'): Give a whole number from 1." in done.stderr
    assert "FLEETUI_POLL_THREADS ('0'): Give a whole number from 1." in done.stderr


def test_lists_may_have_spaces_behind_their_commas(tmp_path: Path) -> None:
    shown = "from django.conf import settings as s; print(s.ALLOWED_HOSTS, s.TRUSTED_PROXIES, s.METRICS_NETWORKS)"
    networks = "10.0.0.5, 10.0.1.0/24,"
    done = manage(
        tmp_path,
        "shell",
        "--no-imports",
        "-c",
        shown,
        FLEETUI_ALLOWED_HOSTS="fleet.example.org, fleet.lab",
        TRUSTED_PROXIES=networks,
        FLEETUI_METRICS_NETWORKS=networks,
    )
    listed = ["10.0.0.5", "10.0.1.0/24"]
    assert done.stdout.splitlines()[-1] == f"{['fleet.example.org', 'fleet.lab']} {listed} {listed}", done.stderr


class Browser:
    """Keeps cookies, follows nothing."""

    def __init__(self, site: Deployment, source: str = "127.0.0.2") -> None:
        self._site, self._source, self.cookies = site, source, SimpleCookie()

    def ask(
        self, method: str, path: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] = NOTHING
    ) -> tuple[int, str]:
        client = self._site.connection(self._source)
        # As browsers name a port that is not 443.
        host = f"{HOST}:{self._site.tls_port}"
        given = {"Host": host, **headers}
        if self.cookies:
            given["Cookie"] = "; ".join(f"{name}={morsel.value}" for name, morsel in self.cookies.items())
        body = None
        if form is not None:
            given |= {"Content-Type": "application/x-www-form-urlencoded", "Referer": f"https://{host}{path}"}
            body = urlencode({**form, "csrfmiddlewaretoken": self.cookies["csrftoken"].value})
        client.request(method, path, body, given)
        answer = client.getresponse()
        for line in answer.headers.get_all("Set-Cookie", []):
            assert "Secure" in line, line
            self.cookies.load(line)
        return answer.status, answer.read().decode()

    def sign_in(self, headers: Mapping[str, str] = NOTHING) -> None:
        assert self.ask("GET", "/accounts/login/")[0] == 200
        status, page = self.ask("POST", "/accounts/login/", {"login": "anna", "password": self._site.password}, headers)
        assert status == 302, page


@pytest.mark.e2e
def test_sign_in_through_the_proxy_and_forged_addresses_have_no_effect(site: Deployment) -> None:
    Browser(site).sign_in()
    Browser(site, "127.0.0.4").sign_in({"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"})
    browser = Browser(site)
    browser.sign_in()
    status, text = browser.ask("GET", "/api/v1/audit/?limit=20")
    assert status == 200
    addresses = {event["source_address"] for event in json.loads(text)["results"]} - {None}
    assert addresses == {"127.0.0.2", "127.0.0.4"}


@pytest.mark.e2e
def test_an_allowed_network_is_the_clients_own(site: Deployment) -> None:
    assert Browser(site).ask("GET", "/metrics")[0] == 401
    assert Browser(site).ask("GET", "/metrics", headers={"X-Forwarded-For": "127.0.0.3"})[0] == 401
    status, text = Browser(site, "127.0.0.3").ask("GET", "/metrics")
    assert status == 200
    assert "fleetui_build_info" in text


@pytest.mark.e2e
def test_all_processes_are_at_work(site: Deployment) -> None:
    browser = Browser(site)
    browser.sign_in()
    deadline = time.monotonic() + 60
    while True:
        lines = {line["key"]: line for line in json.loads(browser.ask("GET", "/api/v1/health/")[1])["lines"]}
        wrong = {key: line["text"] for key, line in lines.items() if line["level"] == "bad"}
        if not wrong and any("(ops)" in line["text"] for line in lines.values()):
            break
        assert time.monotonic() < deadline, wrong
        time.sleep(0.5)
    assert any("(poll)" in line["text"] for line in lines.values())
    assert lines["broker"]["text"] == "redis takes messages."


@pytest.mark.e2e
def test_processes_stop_in_the_order_of_an_upgrade(site: Deployment) -> None:
    """beat first, then the workers; both end by themselves, and the database may be migrated under the pages."""
    for name in ("fleetui-beat", "fleetui-worker@poll", "fleetui-worker@ops", "fleetui-worker@stream"):
        process = site.processes.pop(name)
        process.terminate()
        assert process.wait(60) in (0, -15)
    with psycopg.connect(site.over["DATABASE_URL"], autocommit=True) as connection:
        rows = connection.execute("SELECT count(*) FROM core_heartbeat WHERE kind <> 'job'").fetchone()
    assert rows == (0,)
    done = manage(site.folder, "migrate", "--no-input", **site.over)
    assert done.returncode == 0, done.stderr
