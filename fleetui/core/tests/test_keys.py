"""Key files: made once, and a gone, empty or spoilt one is refused in a sentence."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from fleetui.core.errors import StartError
from fleetui.core.keys import KEYS, ensure_keys, read_keys


@pytest.fixture(autouse=True)
def none_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in KEYS:
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(f"{variable}_FILE", raising=False)


def test_a_first_start_makes_all_and_a_second_none(tmp_path: Path) -> None:
    ensure_keys(tmp_path, database_exists=False)
    made = {path.name: path.read_text() for path in (tmp_path / "keys").iterdir()}
    assert len(made) == len(KEYS)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()} == {0o600}
    ensure_keys(tmp_path, database_exists=True)
    assert {path.name: path.read_text() for path in (tmp_path / "keys").iterdir()} == made


def test_a_key_that_others_may_read_is_made_private_again(tmp_path: Path) -> None:
    ensure_keys(tmp_path, database_exists=False)
    key = tmp_path / "keys" / "encryption_keys"
    key.chmod(0o644)
    ensure_keys(tmp_path, database_exists=True)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_an_empty_file_beside_a_database_is_refused_as_a_gone_one_is(tmp_path: Path) -> None:
    ensure_keys(tmp_path, database_exists=False)
    key = tmp_path / "keys" / "encryption_keys"
    key.write_text(" \n")
    with pytest.raises(StartError, match=r"encryption_keys is empty, and with it the sealed SSH keys"):
        ensure_keys(tmp_path, database_exists=True)
    key.unlink()
    with pytest.raises(StartError, match=r"encryption_keys is gone, and with it the sealed SSH keys"):
        ensure_keys(tmp_path, database_exists=True)


def test_an_empty_file_of_a_first_start_that_failed_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "audit_key").touch()
    ensure_keys(tmp_path, database_exists=False)
    assert len(read_keys("FLEETUI_AUDIT_KEY", tmp_path)) == 1


def test_a_named_file_that_is_gone_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETUI_AUDIT_KEY_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(StartError, match=r"nowhere is gone"):
        ensure_keys(tmp_path, database_exists=False)


@pytest.mark.parametrize("text", ["garbage", "aa" * 31, f"{'aa' * 32} {'bb' * 32}", "zz" * 32])
def test_what_is_not_a_key_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "encryption_keys").write_text(text)
    with pytest.raises(StartError, match=r"keys/encryption_keys holds something that is not a key") as refused:
        read_keys("FLEETUI_ENCRYPTION_KEYS", tmp_path)
    assert text not in str(refused.value)


@pytest.mark.parametrize("text", ["hello world", f"{'aa' * 32},short"])
def test_a_short_secret_key_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "secret_key").write_text(text)
    with pytest.raises(StartError, match=r"keys/secret_key holds something that is not a key") as refused:
        read_keys("FLEETUI_SECRET_KEY", tmp_path)
    assert text not in str(refused.value)
    assert "signs in again" in str(refused.value.mend)


def test_several_keys_are_read_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETUI_ENCRYPTION_KEYS", f"{'bb' * 32}, {'AA' * 32}")
    assert read_keys("FLEETUI_ENCRYPTION_KEYS", tmp_path) == ["bb" * 32, "AA" * 32]
    monkeypatch.setenv("FLEETUI_SECRET_KEY", "any text that Django takes if it is long")
    assert read_keys("FLEETUI_SECRET_KEY", tmp_path) == ["any text that Django takes if it is long"]
