"""The cast, for every test of nodes."""

from nodes.tests.cast import cast

__all__ = ["cast"]
