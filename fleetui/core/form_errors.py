"""An error of a service, shown at the field of the form that it is about."""

from __future__ import annotations

from django import forms

from fleetui.core.errors import FleetError, StaleEdit


def take_error(form: forms.BaseForm, error: FleetError, **fields: str) -> int:
    """Put the error on its field (`fields` renames service fields to form fields); returns the status of the answer."""
    name = fields.get(error.field, error.field)
    form.add_error(name if name in form.fields else None, sentence(error))
    return error.status if isinstance(error, StaleEdit) else 422


def sentence(error: FleetError) -> str:
    """What is wrong and the mend, each said once."""
    if not error.mend or error.message.endswith(error.mend):
        return error.mend or error.message
    return f"{error.message} {error.mend}"
