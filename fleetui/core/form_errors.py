"""An error of a service, shown at the field of the form that it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from fleetui.core.errors import FleetError, StaleEdit


def take_error(form: forms.BaseForm, error: FleetError, **fields: str) -> int:
    """Put the error on its field (`fields` renames service fields to form fields); returns the status of the answer."""
    name = fields.get(error.field, error.field)
    form.add_error(name if name in form.fields else None, sentence(error))
    return error.status if isinstance(error, StaleEdit) else 422


def submitted(
    request: HttpRequest, form: forms.BaseForm, act: Callable[[dict[str, Any]], HttpResponse], **fields: str
) -> tuple[HttpResponse | None, int]:
    """Do what the form asks for, if it was sent and is valid; `act` gets its cleaned data and returns the answer.

    Without an answer the form is drawn (again), with the status that is returned: 200, or 422 or 412 with its errors.
    """
    if request.method != "POST":
        return None, 200
    if not form.is_valid():
        return None, 422
    try:
        return act(form.cleaned_data), 200
    except FleetError as error:
        return None, take_error(form, error, **fields)


def sentence(error: FleetError) -> str:
    """What is wrong and the mend, each said once. What ends with words of another program has not always a full stop."""
    if not error.mend or error.message.endswith(error.mend):
        return error.mend or error.message
    said = error.message if error.message[-1:] in ".!?:;" else _("%(sentence)s.") % {"sentence": error.message}
    return f"{said} {error.mend}"
