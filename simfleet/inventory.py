"""The fleet as other tools know it: an Ansible inventory and a known_hosts file, to try imports with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INVENTORY = "hosts.ini"
KNOWN_HOSTS = "known_hosts"


def ansible(manifest: Mapping[str, Any]) -> str:
    """An INI inventory: a group for each pool, and one above for each cluster."""
    members: dict[str, list[str]] = {}
    for host in manifest["hosts"]:
        line = f"{host['name']} ansible_host={host['address']} ansible_port={host['port']}"
        members.setdefault(_group(host["pool"]), []).append(line)
    clusters: dict[str, list[str]] = {}
    for pool in manifest["pools"]:
        if pool["cluster"] and _group(pool["name"]) in members:
            clusters.setdefault(_group(pool["cluster"]), []).append(_group(pool["name"]))
    sections = [(f"[{name}]", lines) for name, lines in members.items()]
    sections += [(f"[{name}:children]", pools) for name, pools in clusters.items()]
    users = sorted({host["username"] for host in manifest["hosts"]})
    sections += [("[all:vars]", [f"ansible_user={users[0]}"])] if users else []
    return "\n\n".join("\n".join([heading, *lines]) for heading, lines in sections) + "\n"


def _group(name: str) -> str:
    """Ansible wants no hyphens in the names of groups."""
    return name.replace("-", "_")


def known_hosts(manifest: Mapping[str, Any]) -> str:
    """The keys of all hosts."""
    return "".join(f"{_place(host)} {host['host_key']}\n" for host in manifest["hosts"])


def _place(host: Mapping[str, Any]) -> str:
    return str(host["address"]) if host["port"] == 22 else f"[{host['address']}]:{host['port']}"
