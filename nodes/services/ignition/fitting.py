"""Whether a value fits what versions declare of its variable."""

from __future__ import annotations

from django.utils.translation import gettext as _

from fleetui.core.errors import InvalidInput
from nodes.ignition.variables import Declaration, VariableType, value_problem
from nodes.models import IgnitionVersion, Node, Pool
from nodes.models.ignition import ReviewState
from nodes.services.ignition.declarations import from_json
from nodes.wording.configs import variable_reason


def misfit(declaration: Declaration, text: str, *, is_secret: bool) -> str | None:
    """Why a value cannot be used for a variable, as a sentence; None when it can."""
    named = {"variable": declaration.name, "type": str(declaration.type)}
    if is_secret != (declaration.type is VariableType.SECRET):
        said = (
            _("%(variable)s is kept as a secret, and declared as %(type)s.")
            if is_secret
            else _("%(variable)s is a secret, and its value is not kept as one.")
        )
        return said % named
    if (reason := value_problem(declaration.type, text)) is not None:
        why = {**named, "why": variable_reason(reason)}
        return _("The value of %(variable)s does not fit: %(why)s") % why
    return None


def check_fits(place: Pool | Node, *, name: str, text: str, is_secret: bool) -> None:
    """Refuse a value that no machine of the place could be given. A variable that nothing declares takes any.

    What the pool intends counts, and what it may choose next, approved or in review: so a value can be set before that.
    """
    wrong: list[str] = []
    for one in _declared(place, name):
        problem = misfit(one, text, is_secret=is_secret)
        if problem is None:
            return
        wrong.append(problem)
    if wrong:
        mend = _("Give a value of the type that the version declares, a secret as a secret and all else not.")
        # Never the value: it may be a secret that somebody forgot to mark as one.
        raise InvalidInput(wrong[0], field="value", mend=mend)


def _declared(place: Pool | Node, name: str) -> list[Declaration]:
    """What is declared under this name, by the version that the pool intends first."""
    pool = place if isinstance(place, Pool) else place.pool
    if pool is None:
        return []
    states = (ReviewState.APPROVED, ReviewState.IN_REVIEW)
    likely = IgnitionVersion.objects.filter(config__pools=pool, state__in=states)
    kept = dict(likely.order_by("-number").values_list("pk", "declarations"))
    if pool.intended_version_id is not None and pool.intended_version_id in kept:
        kept = {pool.intended_version_id: kept[pool.intended_version_id], **kept}
    return [one for rows in kept.values() for one in from_json(rows) if one.name == name]
