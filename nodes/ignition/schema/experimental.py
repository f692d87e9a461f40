"""Tables of the experimental versions: what they add to the newest stable one."""

from collections.abc import Callable
from typing import Any

Table = dict[str, Any]

_QUADLET: list[Table] = [
    {"key": "contents", "type": "string", "optional": True, "go_type": "*string"},
    {"key": "contents_local", "type": "string", "optional": True, "go_type": "*string"},
    {"key": "name", "type": "string", "go_type": "string"},
    {"key": "rootful", "type": "bool", "go_type": "bool"},
    {"key": "dropins", "type": "Dropin", "list": True, "go_type": "[]v0_8_exp.Dropin"},
]
_QUADLETS: Table = {"key": "quadlets", "type": "Quadlet", "list": True, "go_type": "[]v0_8_exp.Quadlet"}
_FCOS_ONLY = ("boot_device", "grub")


def _renamed(go_type: str) -> str:
    return go_type.replace("v0_7.", "v0_8_exp.").replace("v1_7.", "v1_8_exp.")


def _fcos(tables: dict[str, Table]) -> Table:
    stable = tables["fcos 1.7.0"]
    types: dict[str, list[Table]] = {
        name: [{**row, "go_type": _renamed(row["go_type"])} for row in rows] for name, rows in stable["types"].items()
    }
    types["Systemd"] = [*types["Systemd"], _QUADLETS]
    types["Quadlet"] = _QUADLET
    return {"root": stable["root"], "types": types}


def _flatcar(tables: dict[str, Table]) -> Table:
    table = _fcos(tables)
    root = [row for row in table["types"][table["root"]] if row["key"] not in _FCOS_ONLY]
    return {"root": table["root"], "types": {**table["types"], table["root"]: root}}


def _ignition(tables: dict[str, Table]) -> Table:
    return tables["3.6.0"]


TABLES_OF_EXPERIMENTS: tuple[tuple[str, str, Callable[[dict[str, Table]], Table]], ...] = (
    ("butane", "fcos 1.8.0-experimental", _fcos),
    ("butane", "flatcar 1.2.0-experimental", _flatcar),
    ("ignition", "3.7.0-experimental", _ignition),
)
