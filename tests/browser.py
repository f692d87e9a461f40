"""How Chromium is started in tests, and what a page may not do there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import ConsoleMessage, Page

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or "/usr/bin/chromium"
#: It looks nothing up and fetches nothing by itself: a test must not depend on a network.
FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
)


def launch_args() -> dict[str, object]:
    sandbox = ["--no-sandbox"] if os.getuid() == 0 else []
    return {"executable_path": PROGRAM, "args": [*FLAGS, *sandbox], "headless": not os.environ.get("FLEETUI_HEADED")}


class PageFaults:
    """What went wrong in a page. `allow` names a part of a message that a test provokes on purpose."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self._allowed: list[str] = []

    def allow(self, part: str) -> None:
        self._allowed.append(part)

    @property
    def unexpected(self) -> list[str]:
        return [message for message in self.messages if not any(part in message for part in self._allowed)]

    def on_console(self, message: ConsoleMessage) -> None:
        # Content-Security-Policy violations and failed loads arrive as console errors as well.
        if message.type == "error":
            self.messages.append(f"{message.text} ({message.location.get('url', '')})")


@contextmanager
def watched(page: Page) -> Iterator[PageFaults]:
    """Collect console errors and uncaught exceptions of a page; raise at the end when there are any."""
    faults = PageFaults()
    page.on("console", faults.on_console)
    page.on("pageerror", lambda error: faults.messages.append(str(error)))
    yield faults
    if faults.unexpected:
        raise AssertionError("The page reported errors: " + "; ".join(faults.unexpected))
