"""Sealed values open in their place, with their key, unchanged; and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetui.core.crypto import seal, sealed_with_newest, unseal
from fleetui.core.errors import SealBroken, StartError

OLD, NEW = "aa" * 32, "bb" * 32


@given(st.text(max_size=200))
def test_what_is_sealed_opens(text: str) -> None:
    assert unseal(seal(text, place="t.c:1"), place="t.c:1") == text


def test_a_value_does_not_open_in_another_row() -> None:
    with pytest.raises(SealBroken, match="row"):
        unseal(seal("secret", place="t.c:1"), place="t.c:2")


@pytest.mark.parametrize("broken", ["", "v1", "v1:aa", "v1:aaaaaaaa:bm9wZQ==", "v9:x:y"])
def test_broken_values_are_said_to_be_broken(broken: str) -> None:
    with pytest.raises(SealBroken):
        unseal(broken, place="t.c:1")


def test_a_changed_byte_is_found() -> None:
    sealed = seal("secret", place="p")
    flipped = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]
    with pytest.raises(SealBroken):
        unseal(flipped, place="p")


def test_rotation(settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [OLD]
    sealed = seal("secret", place="p")
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert not sealed_with_newest(sealed)
    assert unseal(sealed, place="p") == "secret"
    again = seal("secret", place="p")
    assert sealed_with_newest(again)
    settings.ENCRYPTION_KEYS = [NEW]
    assert unseal(again, place="p") == "secret"
    with pytest.raises(SealBroken, match="not among"):
        unseal(sealed, place="p")


def test_a_key_that_was_added_while_the_process_runs_is_found(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ENCRYPTION_KEYS = [NEW]
    sealed = seal("secret", place="p")
    settings.ENCRYPTION_KEYS = [OLD]
    monkeypatch.setenv("FLEETUI_ENCRYPTION_KEYS", f"{NEW},{OLD}")
    assert unseal(sealed, place="p") == "secret"


def test_nothing_is_sealed_with_a_key_that_dies_with_the_process(settings: Any) -> None:
    settings.MISSING_KEYS = ["FLEETUI_ENCRYPTION_KEYS"]
    with pytest.raises(StartError, match="encryption keys"):
        seal("secret", place="p")
