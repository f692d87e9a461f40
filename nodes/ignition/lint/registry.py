"""All rules, by group."""

from nodes.ignition.lint import (
    containers,
    disks,
    files,
    host,
    network,
    silences,
    size,
    sources,
    units,
    users,
    zincati,
)
from nodes.ignition.lint.model import Rule

GROUPS: dict[str, tuple[Rule, ...]] = {
    "users": users.RULES,
    "files": files.RULES,
    "disks": disks.RULES,
    "units": units.RULES,
    "containers": containers.RULES,
    "network": network.RULES,
    "zincati": zincati.RULES,
    "sources": sources.RULES,
    "size": size.RULES,
    "host": host.RULES,
    "silences": silences.RULES,
}
RULES: tuple[Rule, ...] = tuple(rule for rules in GROUPS.values() for rule in rules)
_BY_ID = {rule.id: rule for rule in RULES}


def find_rule(id_: str) -> Rule | None:
    """The rule of an id."""
    return _BY_ID.get(id_)
