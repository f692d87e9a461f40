"""Recordings of the real tools: what each config does can be told, and it does nothing other than itself."""

from pathlib import Path

from nodes.ignition.butane import convert
from nodes.ignition.effect import effect
from nodes.ignition.files import FilesDirectory
from nodes.ignition.sections import UnreadableDocument, sections
from nodes.tests.ignition.test_recordings import corpus


def cases(name: str, file: str) -> list[Path]:
    found = sorted(corpus(name).glob(f"*/{file}"))
    assert found
    return found


def test_butane_cases() -> None:
    read = 0
    for path in cases("butane", "input.bu"):
        conversion = convert(path.read_bytes(), files=FilesDirectory(path.parent / "files"))
        if conversion.ignition is None:
            continue
        found = sections(conversion.ignition)
        assert effect(found, conversion.output or "") == [], path
        read += 1
    assert read > 400


def test_ignition_cases() -> None:
    read = 0
    for path in cases("ignition", "input.ign"):
        try:
            found = sections(path.read_bytes())
        except UnreadableDocument:
            continue
        assert effect(found, found) == [], path
        read += 1
    assert read > 150


def test_an_upgrade_of_the_seed() -> None:
    source = (corpus("butane") / "seed-example" / "input.bu").read_text()
    other = source.replace("name: deploy", "name: deployer").replace("app:1.0", "app:1.1")
    told = [
        (one.what.code, dict(one.what.params))
        for one in effect(convert(source).output or "", convert(other).output or "")
    ]
    assert told == [
        ("user_left_out", {"user": "deploy"}),
        ("user_added_admin", {"user": "deployer"}),
        ("unit_changed", {"unit": "podman-app.service"}),
    ]
