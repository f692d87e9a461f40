"""The embedded broker: kombu's folder of message files, with files that appear whole.

kombu writes a message into the file under its final name, so a worker that looks in between moves a half-written file away
and ends with a JSON error. Here the file is written under another name first and then renamed.

It takes a message by moving the file into a folder of its own, which is a copy where that lies on another file system: two
workers could take the same one. Here it belongs to the one that deletes the file.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from time import monotonic_ns
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.transport.virtual import Empty


class Channel(filesystem.Channel):
    """kombu's channel with an atomic `_put`. Names sort by time, as kombu's do.

    A folder that was deleted is made again: what was in it were nudges, and a worker that ends for the lack of it
    would take FleetUI with it.
    """

    def _folder(self, option: str) -> Path:
        folder = Path(self.transport_options[option])
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    @property
    def data_folder_in(self) -> str:
        return str(self._folder("data_folder_in"))

    @property
    def data_folder_out(self) -> str:
        return str(self._folder("data_folder_out"))

    @property
    def control_folder(self) -> Path:
        return self._folder("control_folder")

    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]  # as kombu itself does
        name = f"{monotonic_ns() // 1_000_000}_{uuid.uuid4()}"
        folder = Path(self.data_folder_out)
        half = folder / f"{name}.half"
        try:
            half.write_text(json.dumps(payload))
            half.replace(folder / f"{name}.{queue}.msg")
        except OSError as error:
            raise ChannelError(f"A message cannot be written into {folder}: {error.strerror}.") from error

    def _get(self, queue: str) -> Any:  # type: ignore[override]  # as kombu itself does
        """The oldest message of a queue."""
        there = Path(self.data_folder_in).iterdir()
        for path in sorted(path for path in there if path.name.partition(".")[2] == f"{queue}.msg"):
            try:
                text = path.read_bytes()
                path.unlink()
            except FileNotFoundError:
                # Another worker was faster.
                continue
            except OSError as error:
                raise ChannelError(f"The message {path} cannot be read: {error.strerror}.") from error
            return json.loads(text)
        raise Empty


class Transport(filesystem.Transport):
    Channel = Channel


def use() -> None:
    """Let `filesystem://` mean this transport."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"
