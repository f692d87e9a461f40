"""The tree of what a version puts on the disk: its files, directories and links, and the units that systemd reads there."""

from __future__ import annotations

from typing import Any

from nodes.ignition.sections import Sections
from nodes.views.ignition.parts import shown_text

UNITS = "/etc/systemd/system"


def tree_of(sections: Sections) -> list[dict[str, Any]]:
    """Folders first opened by their names: {name, kind, children, ...}; folders that lead to one folder only are joined."""
    root: dict[str, Any] = {"children": {}}
    for node in sections.files:
        _put(
            root,
            node.path,
            {
                "kind": node.kind,
                "mode": node.mode_text,
                "owner": "" if (node.owner, node.group) == ("root", "root") else f"{node.owner}:{node.group}",
                "size": node.content.size_bytes if node.content else None,
                "target": node.target or "",
                "url": node.content.url if node.content and node.content.is_remote else "",
                "is_secret": node.is_secret,
                "text": "" if node.is_secret else shown_text(node.content),
            },
        )
    for unit in sections.units:
        path = f"{UNITS}/{unit.name}"
        if unit.is_masked:
            _put(root, path, {"kind": "link", "target": "/dev/null"})
        elif unit.contents:
            _put(root, path, _written(unit.contents))
        for dropin in unit.dropins:
            _put(root, f"{path}.d/{dropin.name}", _written(dropin.contents))
    return _listed(root, "/")


def _written(text: str) -> dict[str, Any]:
    return {"kind": "file", "mode": "0644", "size": len(text.encode()), "text": text}


def _put(root: dict[str, Any], path: str, leaf: dict[str, Any]) -> None:
    place = root
    for step in path.strip("/").split("/"):
        place = place["children"].setdefault(step, {"kind": "folder", "children": {}})
    place.update(leaf)


def _listed(place: dict[str, Any], prefix: str = "") -> list[dict[str, Any]]:
    found = []
    for name in sorted(place["children"]):
        node = place["children"][name]
        name = f"{prefix}{name}"
        while node["kind"] == "folder" and len(node["children"]) == 1:
            ((further, node),) = node["children"].items()
            name = f"{name}/{further}"
        children = _listed(node) if node["children"] else []
        is_folder = bool(children) or node["kind"] in ("folder", "directory")
        found.append({**node, "name": f"{name}/" if is_folder else name, "children": children, "is_folder": is_folder})
    return found
