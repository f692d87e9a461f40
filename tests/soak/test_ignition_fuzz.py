"""Hours of hostile configs: hypothesis with many examples, and atheris, which follows the code, where it is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.butane import CONFIGS
from nodes.ignition.butane import convert
from nodes.ignition.dialects import dialects
from nodes.tests.ignition import test_fuzz

pytestmark = pytest.mark.soak
EXAMPLES = 20_000
SECONDS = 600
LONGEST = 4096
FUZZER = """
import sys
import atheris
with atheris.instrument_imports(include=["nodes.ignition"]):
    from nodes.ignition.butane import convert
    from nodes.ignition.ignition import validate_document
HEADERS = (b"", b"variant: fcos\\nversion: 1.7.0\\n", b"variant: flatcar\\nversion: 1.1.0\\n")
def one(raw):
    source = HEADERS[raw[0] % 3] + raw[1:] if raw else raw
    conversion = convert(source)
    assert (conversion.error is None) is (conversion.output is not None)
    validate_document(source)
atheris.Setup(sys.argv, one)
atheris.Fuzz()
"""


@pytest.mark.parametrize(
    "fuzz",
    [
        test_fuzz.test_any_text_is_answered,
        test_fuzz.test_any_yaml_below_a_header_is_answered,
        test_fuzz.test_configs_of_every_dialect,
        test_fuzz.test_documents_of_every_version,
        test_fuzz.test_units_are_parsed_or_refused,
        test_fuzz.test_urls_are_parsed_or_refused,
    ],
)
def test_many_examples(fuzz: object) -> None:
    many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    assert callable(fuzz)
    many(fuzz)()


def test_against_the_real_butane() -> None:
    """The same output, findings and exit code as the real tool, where it is installed."""
    binary = shutil.which("butane")
    if binary is None:
        pytest.skip(
            "the real butane is not on the PATH: with it, its answers to made-up configs are compared with ours"
        )
    reference: str = binary

    @settings(max_examples=EXAMPLES // 10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def compare(data: st.DataObject) -> None:
        dialect = data.draw(st.sampled_from(dialects()))
        config = data.draw(test_fuzz.configs(dialect.schema))
        source = json.dumps(config | {"variant": dialect.variant, "version": dialect.version}, indent=1).encode()
        real = subprocess.run([reference, "--raw-errors"], input=source, capture_output=True, check=False)
        ours = convert(source)
        told = ours.report.as_text() + (f"Error translating config: {ours.error}\n" if ours.error else "")
        assert real.returncode == ours.exit_code(strict=False)
        assert real.stdout.decode() == (f"{ours.output}\n" if ours.output else "")
        # Unused keys of one mapping come in random order.
        assert sorted(real.stderr.decode("utf-8", "surrogateescape").split("\n")) == sorted(told.split("\n"))

    compare()


def seeds() -> list[bytes]:
    """Small sources that are converted, and those of the recordings where they are at hand."""
    found = [source.encode() for source in CONFIGS.values()]
    corpus = os.environ.get("FLEETUI_CORPUS")
    if corpus:
        found += [path.read_bytes() for path in sorted(Path(corpus).glob("*/*/input.*"))]
    return [source for source in found if len(source) < LONGEST]


def test_following_the_code(tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip(
            "atheris is not installed: it has no wheels for every Python; `pip install atheris` adds this proof"
        )
    script = tmp_path / "fuzzer.py"
    script.write_text(FUZZER)
    # From nothing it does not find its way behind the header: the seeds lead to three times as much of the code.
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    for number, seed in enumerate(seeds()):
        (inputs / f"seed-{number}").write_bytes(b"\0" + seed)
    ended = subprocess.run(
        [sys.executable, script, f"-max_total_time={SECONDS}", f"-max_len={LONGEST}", str(inputs)],
        capture_output=True,
        check=False,
        env={"PYTHONPATH": str(Path.cwd())},
    )
    assert ended.returncode == 0, ended.stderr[-4000:].decode(errors="replace")
