"""The cast, for every test of nodes."""

from __future__ import annotations

from nodes.tests.cast import cast

__all__ = ["cast"]
