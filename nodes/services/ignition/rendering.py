"""A version with the values of a pool or a node in it: what a machine is given. Its secrets are for that machine only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from fleetui.core.errors import Conflict
from nodes.ignition.variables import Declaration, VariableType
from nodes.models import IgnitionVersion, Node, Pool
from nodes.services.ignition.check import Checked, check, ignition_hash
from nodes.services.ignition.declarations import from_json
from nodes.services.ignition.fitting import misfit
from nodes.services.ignition.values import Value, values_of

#: A variable of this name and type is the name of the node, where no value is set.
NODE_NAME = "hostname"


@dataclass(frozen=True)
class Rendered:
    """`text` is for the machine alone. `shown` is the same with `[secret NAME]` for every secret, and may be shown."""

    text: str = field(repr=False)
    shown: str
    has_secrets: bool

    @property
    def sha512(self) -> str:
        """Of the text, in Ignition's own form. With secrets in it, it is as secret as they are."""
        return ignition_hash(self.text)


@dataclass(frozen=True)
class Missing:
    """A variable that has no value that can be used, and why."""

    name: str
    why: str


def render(version: IgnitionVersion, *, pool: Pool | None = None, node: Node | None = None) -> Rendered:
    """The Ignition config of a node, or of any node of a pool. Raises Conflict where a value is missing or does not fit."""
    if not version.is_valid:
        raise Conflict(
            _("Version %(number)s of %(config)s does not convert.")
            % {"number": version.number, "config": version.config.name},
            mend=_("Choose a version without errors."),
        )
    declarations = from_json(version.declarations)
    if not declarations:
        return Rendered(version.rendered, version.rendered, has_secrets=False)
    known = values_for(declarations, pool=pool, node=node)
    missing = problems_of(declarations, known)
    if missing:
        raise Conflict(
            " ".join(one.why for one in missing[:5]),
            field="values",
            value=", ".join(one.name for one in missing),
            mend=_("Set the values on the pool or on the node."),
        )
    secrets = {one.name for one in declarations if one.type is VariableType.SECRET and one.name in known}
    values = {name: value.text for name, value in known.items()}
    text = _converted(check(version.source, version.files, values))
    if not secrets:
        return Rendered(text, text, has_secrets=False)
    hidden = {name: f"[secret {name}]" if name in secrets else value for name, value in values.items()}
    return Rendered(text, _converted(check(version.source, version.files, hidden)), has_secrets=True)


def _converted(found: Checked) -> str:
    if not found.is_valid:
        first = next((one["message"] for one in found.findings if one["kind"] == "error"), found.failure)
        raise Conflict(
            _("With these values the version does not convert: %(why)s") % {"why": first},
            field="values",
            mend=_("Change the value, or the version."),
        )
    return found.rendered


def values_for(
    declarations: list[Declaration], *, pool: Pool | None = None, node: Node | None = None
) -> Mapping[str, Value]:
    """The values of what is declared: the node's own, else its pool's, else for `hostname` the node's name. No defaults."""
    names = [one.name for one in declarations]
    place = pool or (node.pool if node else None)
    found = dict(values_of(place, node, names=names)) if names else {}
    if node is not None and any(is_node_name(one) for one in declarations):
        found.setdefault(NODE_NAME, Value(NODE_NAME, node.name, is_secret=False, origin="name"))
    return found


def is_node_name(declaration: Declaration) -> bool:
    """Whether the variable stands for the node's name where it has no value."""
    return declaration.name == NODE_NAME and declaration.type is VariableType.HOSTNAME


def problems_of(declarations: list[Declaration], known: Mapping[str, Value]) -> list[Missing]:
    """What stands in the way of a rendering: values that are not there, do not fit, or are kept in the wrong way."""
    found: list[Missing] = []
    for one in declarations:
        value = known.get(one.name)
        if value is None:
            if one.default is None:
                found.append(Missing(one.name, _("%(variable)s has no value.") % {"variable": one.name}))
        elif (why := misfit(one, value.text, is_secret=value.is_secret)) is not None:
            found.append(Missing(one.name, why))
    return found
