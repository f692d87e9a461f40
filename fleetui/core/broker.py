"""The embedded broker: kombu's folder of message files, with files that appear whole.

kombu writes a message into the file under its final name, so a worker that looks in between moves a half-written file away
and ends with a JSON error. Here the file is written under another name first and then renamed.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from time import monotonic_ns
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem


class Channel(filesystem.Channel):
    """kombu's channel with an atomic `_put`. Names sort by time, as kombu's do."""

    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]  # as kombu itself does
        name = f"{monotonic_ns() // 1_000_000}_{uuid.uuid4()}"
        folder = Path(self.data_folder_out)
        half = folder / f"{name}.half"
        try:
            half.write_text(json.dumps(payload))
            half.replace(folder / f"{name}.{queue}.msg")
        except OSError as error:
            raise ChannelError(f"A message cannot be written into {folder}: {error.strerror}.") from error


class Transport(filesystem.Transport):
    Channel = Channel


def use() -> None:
    """Let `filesystem://` mean this transport."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"
