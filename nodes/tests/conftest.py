"""The cast, for every test of nodes, and an empty cache for those that ask for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from nodes.tests.cast import cast

__all__ = ["cast"]


@pytest.fixture
def no_counts() -> Iterator[None]:
    """Throttles and the bound of recorded refusals live in the cache."""
    cache.clear()
    yield
    cache.clear()
