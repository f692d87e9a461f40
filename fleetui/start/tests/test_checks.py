"""What is looked at before a start: address, port, folder, lock. One clear line each."""

from __future__ import annotations

import os
import socket
import stat
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from fleetui.core.errors import StartError
from fleetui.start import up
from fleetui.start.address import Bind, require_free
from fleetui.start.folder import ensure_data_dir, held


@pytest.mark.parametrize(
    ("text", "host", "port"), [("127.0.0.1:8000", "127.0.0.1", 8000), ("[::1]:80", "::1", 80), ("fleet:9", "fleet", 9)]
)
def test_bind_is_read_and_written_back(text: str, host: str, port: int) -> None:
    bind = Bind.parse(text)
    assert (bind.host, bind.port, str(bind)) == (host, port, text)


@pytest.mark.parametrize("text", ["8000", ":8000", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:99999", "a:b"])
def test_a_wrong_bind_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(StartError, match=r"127\.0\.0\.1:8000"):
        Bind.parse(text)


def test_a_wildcard_is_called_by_loopback() -> None:
    assert Bind.parse("0.0.0.0:8000").url == "http://127.0.0.1:8000/"
    assert Bind.parse("[::]:8000").url == "http://[::1]:8000/"


@pytest.mark.parametrize(
    ("allowed", "name"),
    [(["localhost", "fleet.example.org"], "localhost"), ([".example.org"], "example.org"), (["10.0.0.5"], "10.0.0.5")],
)
def test_it_is_asked_by_a_name_that_it_answers_to(settings: Any, allowed: list[str], name: str) -> None:
    settings.ALLOWED_HOSTS = allowed
    asked = []

    class Web(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Host"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_given: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Web) as web:
        threading.Thread(target=web.handle_request, daemon=True).start()
        assert up._answers(Bind("127.0.0.1", web.server_port))()
        assert asked == [("/healthz", f"{name}:{web.server_port}")]


def test_a_taken_port_names_the_port_and_the_mend() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        port = holder.getsockname()[1]
        with pytest.raises(StartError, match=f"Port {port} on 127.0.0.1 is taken .* BIND=127.0.0.1:{port + 1}"):
            require_free(Bind("127.0.0.1", port))
    require_free(Bind("127.0.0.1", port))


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(StartError, match=r"cannot listen on 192.0.2.1:8000"):
        require_free(Bind("192.0.2.1", 8000))


def test_a_new_data_folder_is_private(tmp_path: Path) -> None:
    ensure_data_dir(tmp_path / "a" / "var")
    assert stat.S_IMODE((tmp_path / "a" / "var").stat().st_mode) == 0o700


def test_our_own_folder_is_made_private_again(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    (folder / "keys").mkdir(parents=True)
    folder.chmod(0o755)
    ensure_data_dir(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    tmp_path.chmod(0o755)
    with pytest.raises(StartError, match=r"holds other things \(letters"):
        ensure_data_dir(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_file_instead_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "var").touch()
    with pytest.raises(StartError, match="is not a folder"):
        ensure_data_dir(tmp_path / "var")


def test_an_unwritable_folder_is_refused() -> None:
    # /proc refuses root as well, which no file mode does.
    with pytest.raises(StartError, match=r"cannot be written: .*FLEETUI_DATA_DIR"):
        ensure_data_dir(Path("/proc/fleetui"))


def test_a_second_start_is_told_where_the_first_runs(tmp_path: Path) -> None:
    told = rf"already runs .* at http://127.0.0.1:8000/ \(process {os.getpid()}\)"
    first, second = held(tmp_path, "http://127.0.0.1:8000/"), held(tmp_path, "http://127.0.0.1:8001/")
    with first, pytest.raises(StartError, match=told), second:
        pass
    with held(tmp_path, "http://127.0.0.1:8001/"):
        pass
