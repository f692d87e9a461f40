"""What every test stands on, wherever it lives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.utils import translation


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    """A request leaves its language in its thread, which tests share: each begins in English."""
    with translation.override("en"):
        yield
