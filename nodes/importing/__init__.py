"""Inventories of other tools as rows of nodes. No Django: text in, rows and problems out."""

from nodes.importing.read import SOURCES, detect, read
from nodes.importing.rows import Inventory, Problem, Refused, Row

__all__ = ["SOURCES", "Inventory", "Problem", "Refused", "Row", "detect", "read"]
