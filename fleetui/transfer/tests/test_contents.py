"""What is no backup is refused by what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetui.transfer.contents import opened
from fleetui.transfer.errors import TransferRefused


@pytest.mark.parametrize(
    ("content", "said", "mend"),
    [
        (b"age-encryption.org/v1\n-> X25519 abc\n", "is encrypted with age", "age --decrypt -i KEYFILE"),
        (b"PK\x03\x04 and no more", "is damaged", ""),
        (b"", "is damaged", ""),
        (None, "There is no file", ""),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, content: bytes | None, said: str, mend: str) -> None:
    path = tmp_path / "backup.zip"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TransferRefused, match=said) as caught, opened(path):
        pass
    assert mend in caught.value.mend
