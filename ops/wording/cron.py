"""Why a text is no schedule, in a sentence."""

from __future__ import annotations

from django.utils.translation import gettext as _

from ops.schedules.cron import CronRefused


def cron_problem(error: CronRefused) -> tuple[str, str]:
    """What is wrong, and the mend."""
    told = {"part": error.part, **error.params}
    if error.code == "fields":
        return (
            _("This is not a time: it has %(found)s fields and not five.") % told,
            _("Write minute, hour, day of month, month and day of week, such as 0 2 * * sat, or @daily."),
        )
    if error.code == "long":
        return _("This text is too long."), _("Give at most %(most)s characters.") % told
    field = str(error.params.get("field", ""))
    words = {
        "minute": _("minute"),
        "hour": _("hour"),
        "day of month": _("day of month"),
        "month": _("month"),
        "day of week": _("day of week"),
    }
    told["field"] = words.get(field, field)
    if error.code == "range":
        return (
            _("%(part)s is not in the field %(field)s.") % told,
            _("It goes from %(least)s to %(most)s.") % told,
        )
    if error.code == "step":
        return _("The step in %(part)s is nothing.") % told, _("Give a step of 1 or more, such as */15.")
    if error.code == "long step":
        return (
            _("The step in %(part)s is longer than the field %(field)s.") % told,
            _("Give a step of at most %(most)s: each field begins anew.") % told,
        )
    if error.code == "backwards":
        return _("%(part)s runs backwards.") % told, _("Name the smaller value first, or two ranges.")
    if error.code == "never":
        return _("This day never comes."), _("Look at day of month and month.")
    return (
        _("%(part)s cannot be read in the field %(field)s.") % told,
        _("Use numbers, names such as mon or jan, ranges, lists and steps."),
    )
