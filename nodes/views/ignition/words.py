"""What pages say of a version: its state, its findings, and who wrote it."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from nodes.models import IgnitionVersion
from nodes.wording.ignition import STATE_LEVELS, STATE_SENTENCES, STATE_WORDS

#: Worst first.
FINDING_LEVELS = {"error": "bad", "warning": "warn", "advice": "info", "info": "info"}


def state_of(version: IgnitionVersion) -> dict[str, Any]:
    """{level, word, sentence}: a draft that does not convert says so."""
    if version.state == "draft" and not version.is_valid:
        return {
            "level": "bad",
            "word": _("Does not convert"),
            "sentence": _("It can be neither reviewed nor approved."),
        }
    return {
        "level": STATE_LEVELS[version.state],
        "word": STATE_WORDS[version.state],
        "sentence": STATE_SENTENCES[version.state],
    }


def author_of(version: IgnitionVersion) -> str:
    """The person, without the kind of actor; of a commit its name."""
    kind, _colon, name = version.author.partition(":")
    if kind in ("user", "token", "system") and name:
        return name
    return version.author.partition(" <")[0]
