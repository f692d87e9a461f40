"""Small Butane sources, made for the tests."""

import json
from textwrap import dedent
from typing import Any

from nodes.ignition.butane import Conversion, convert
from nodes.ignition.files import FilesDirectory
from nodes.ignition.paths import path_text


def butane(body: str = "", *, variant: str = "fcos", version: str = "1.5.0") -> str:
    """A source of the version with the body below its header."""
    return f"variant: {variant}\nversion: {version}\n{dedent(body)}"


def output(body: str, *, version: str = "1.5.0", variant: str = "fcos", files: FilesDirectory | None = None) -> str:
    """The Ignition config of a source that has no findings."""
    conversion = convert(butane(body, version=version, variant=variant), files=files)
    assert (conversion.error, findings(conversion)) == (None, [])
    return conversion.output or ""


def findings(conversion: Conversion) -> list[tuple[str, str, int, int, str]]:
    """Kind, path, line, column and message of each entry."""
    return [
        (str(entry.kind), path_text(entry.path), *(entry.position or (0, 0)), entry.message)
        for entry in conversion.report.entries
    ]


def messages(body: str, *, version: str = "1.5.0", variant: str = "fcos") -> list[str]:
    """`path: message` of each entry of a source."""
    conversion = convert(butane(body, version=version, variant=variant))
    return [f"{path}: {message}" for _, path, _, _, message in findings(conversion)]


def ignition(body: str, **more: Any) -> Any:
    """The Ignition document of a source."""
    return json.loads(output(body, **more))
