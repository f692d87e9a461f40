"""What identifies an item of a list, where items may repeat, and which lists share their keys."""

from nodes.ignition.record import Item, Record
from nodes.ignition.schema import RecordType

_KEY_FIELDS = {
    "Disk": "device",
    "Directory": "path",
    "File": "path",
    "Link": "path",
    "Filesystem": "device",
    "Luks": "name",
    "Raid": "name",
    "PasswdUser": "name",
    "PasswdGroup": "name",
    "Unit": "name",
    "Dropin": "name",
    "HTTPHeader": "name",
    "Tang": "url",
    "Resource": "source",
    "ConfigReference": "source",
    "CaReference": "source",
}
_MAY_REPEAT = {
    "File": frozenset(("append",)),
    "Filesystem": frozenset(("options", "mountOptions")),
    "Luks": frozenset(("options",)),
    "Raid": frozenset(("options",)),
}
_SHARED = {
    "Storage": {"directories": "node", "files": "node", "links": "node"},
    "KernelArguments": {"shouldExist": "argument", "shouldNotExist": "argument"},
}


def key_of(item: Item) -> str:
    """The identity of an item in its list."""
    if not isinstance(item, Record):
        return str(item)
    if item.type.name == "Partition":
        number, label = item.number("number"), item.text("label")
        if number:
            return f"number:{number}"
        return "" if label is None else f"label:{label}"
    return item.string(_KEY_FIELDS[item.type.name])


def may_repeat(type_: RecordType, key: str) -> bool:
    """Whether the list may hold equal items."""
    return key in _MAY_REPEAT.get(type_.name, ())


def key_space(type_: RecordType, key: str) -> str:
    """The name under which lists share their keys."""
    return _SHARED.get(type_.name, {}).get(key, key)
