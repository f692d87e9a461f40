"""The folder broker never shows half a message."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from kombu.connection import Connection
from kombu.transport.virtual import Empty

from fleetui.core import broker

WAITS = 400


def connection(folder: Path) -> Connection:
    broker.use()
    folder.mkdir(exist_ok=True)
    options = {"data_folder_in": str(folder), "data_folder_out": str(folder), "control_folder": str(folder / "control")}
    return Connection("filesystem://", transport_options=options)


def test_filesystem_means_our_transport(tmp_path: Path) -> None:
    assert isinstance(connection(tmp_path).transport, broker.Transport)


def test_a_reader_beside_a_writer_only_sees_whole_messages(tmp_path: Path) -> None:
    writer, reader = connection(tmp_path / "box").channel(), connection(tmp_path / "box").channel()
    body = {"body": "x" * 200_000}

    def write() -> None:
        for _number in range(WAITS):
            writer._put("ops", body)

    thread = threading.Thread(target=write)
    thread.start()
    seen = 0
    while seen < WAITS:
        try:
            message = reader._get("ops")
        except Empty:
            continue
        assert message == body
        seen += 1
    thread.join()
    assert not list((tmp_path / "box").glob("*.half"))


def test_several_workers_never_take_the_same_message(tmp_path: Path) -> None:
    writer = connection(tmp_path / "box").channel()
    for number in range(WAITS):
        writer._put("poll", {"n": number})
    taken: list[int] = []

    def take() -> None:
        channel = connection(tmp_path / "box").channel()
        while True:
            try:
                taken.append(channel._get("poll")["n"])
            except Empty:
                return

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(WAITS))
    assert not list((tmp_path / "box").glob("*.msg"))


def test_a_queue_whose_name_ends_like_another_is_another(tmp_path: Path) -> None:
    channel = connection(tmp_path / "box").channel()
    channel._put("slow.poll", {"n": 1})
    with pytest.raises(Empty):
        channel._get("poll")
    assert channel._get("slow.poll") == {"n": 1}


def test_order_and_queues_are_kept(tmp_path: Path) -> None:
    channel = connection(tmp_path / "box").channel()
    channel._put("poll", {"n": 1})
    names = [path.name for path in (tmp_path / "box").iterdir() if path.is_file()]
    assert len(names) == 1
    assert names[0].endswith(".poll.msg")
    assert json.loads((tmp_path / "box" / names[0]).read_text()) == {"n": 1}


def test_a_folder_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    channel = connection(tmp_path / "box").channel()

    def lost() -> None:
        shutil.rmtree(tmp_path / "box")

    lost()
    assert channel._size("ops") == 0
    lost()
    with pytest.raises(Empty):
        channel._get("ops")
    lost()
    channel._put("ops", {"n": 1})
    assert channel._get("ops") == {"n": 1}
    lost()
    # A name of its own: what was declared is kept for the process, and a worker in it declares `ops` another way.
    channel.exchange_declare("lost", "direct")
    channel.queue_declare("lost")
    channel.queue_bind("lost", "lost", "lost")
    assert [row.queue for row in channel.get_table("lost")] == ["lost"]


def test_the_web_process_sends_to_the_broker_of_the_settings() -> None:
    program = "import fleetui.wsgi, celery; print(celery.current_app.main, celery.current_app.conf.broker_url)"
    told = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}
    ran = subprocess.run([sys.executable, "-c", program], env=told, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["fleetui", "redis://127.0.0.1:1/0"]
