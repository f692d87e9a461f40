"""Filters by facts: a wrong path, kernel or number is told with its mend."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from fleetui.core.filters import ListField, ListFilter, TextFilter, UnusableValue
from nodes.facts.kernel import kernel_order
from nodes.facts.query import MAX_QUESTION_CHARS, NotAQuestion, number_of, parse

#: Each is a subquery of the statement.
MAX_QUESTIONS = 10
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class FactField(ListField):
    """Questions about facts."""

    def clean(self, value: Any) -> list[str]:
        questions = super().clean(value)
        if len(questions) > MAX_QUESTIONS:
            raise UnusableValue(
                _("More than %(limit)s questions about facts.") % {"limit": MAX_QUESTIONS},
                mend=_("Give at most %(limit)s.") % {"limit": MAX_QUESTIONS},
            )
        for question in questions:
            try:
                parse(question)
            except NotAQuestion as error:
                raise UnusableValue(error.message, mend=error.mend) from error
        return questions


class NumberField(forms.CharField):
    """A number, perhaps with a unit."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            number = number_of(text)
        except NotAQuestion as error:
            raise UnusableValue(error.message, mend=error.mend) from error
        if number < 0:
            raise UnusableValue(
                _("%(value)r is less than nothing.") % {"value": text}, mend=_("Give a number from 0 on.")
            )
        return number


class KernelField(forms.CharField):
    """A kernel release."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if text and not kernel_order(text):
            raise UnusableValue(
                _("%(value)r is not a kernel release.") % {"value": text},
                mend=_("Write it like 6.11 or 6.11.5-300."),
            )
        return text


class MacField(ListField):
    """MAC addresses, with colons or hyphens; gives them as facts have them."""

    def clean(self, value: Any) -> list[str]:
        addresses = [address.lower().replace("-", ":") for address in super().clean(value)]
        for address in addresses:
            if not _MAC.fullmatch(address):
                raise UnusableValue(
                    _("%(value)r is not a MAC address.") % {"value": address},
                    mend=_("Write it like 52:54:00:12:34:56."),
                )
        return addresses


class AddressField(ListField):
    """IP addresses; gives them as facts have them."""

    def clean(self, value: Any) -> list[str]:
        return [_whole_address(address) for address in super().clean(value)]


def _whole_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise UnusableValue(
            _("%(value)r is not an IP address.") % {"value": text},
            mend=_("Write one whole address, like 10.0.0.7 or fd00::7."),
        ) from error


class FactFilter(ListFilter):
    field_class = FactField

    def __init__(self, narrow: Any, *, help_text: str) -> None:
        super().__init__(narrow=narrow, help_text=help_text, commas=False)
        items = {"type": "string", "maxLength": MAX_QUESTION_CHARS}
        self.api_schema = {"type": "array", "items": items, "maxItems": MAX_QUESTIONS}


class NumberFilter(TextFilter):
    field_class = NumberField


class KernelFilter(TextFilter):
    field_class = KernelField


class MacFilter(ListFilter):
    field_class = MacField


class AddressFilter(ListFilter):
    field_class = AddressField
