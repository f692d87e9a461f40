"""Every code has a sentence that fills with the parameters it comes with."""

import re
from pathlib import Path

import pytest

from nodes.ignition import effect, network, sections, variables
from nodes.ignition.butane import convert
from nodes.ignition.effect import Weight
from nodes.ignition.said import Said
from nodes.ignition.sections.purposes import PURPOSES
from nodes.ignition.variables import Declaration, VariableProblem, VariablesRefused, VariableType, substitute
from nodes.tests.ignition.test_effect import test_effects as effects_test
from nodes.tests.ignition.test_recordings import corpus
from nodes.wording import configs
from nodes.wording.configs.effects import EFFECTS, WEIGHT_SENTENCES, WEIGHTS
from nodes.wording.configs.sections import LINES
from nodes.wording.configs.variables import PROBLEMS, REASONS, TYPES

NOTHING = "Nothing more is known."
# Codes that are put together.
LINE_PARTS = {f"{kind}_{way}" for kind in ("merge", "replace", "authority") for way in ("fetched", "inline")}
LINE_PARTS |= {f"interface_{kind}" for kind in ("bond", "bridge", "team", "wireguard")}
LINE_PARTS |= {f"interface_{method}" for method in ("dhcp", "auto", "link_local", "shared", "disabled")}
LINE_PARTS |= {"timeout_total", "timeout_headers"}
LINE_PARTS |= {f"luks_{way}" for way in ("tpm2", "tang", "cex", "key_file", "pin")}
LINE_PARTS |= {f"purpose_{purpose}" for purpose in PURPOSES}
EFFECT_PARTS = {f"{kind}_{what}" for kind in ("merge", "replace", "authority") for what in ("added", "left_out")}
EFFECT_PARTS |= {f"{kind}_{what}" for kind in ("file", "directory", "link") for what in ("added", "left_out")}
EFFECT_PARTS |= {f"unit_now_{state}" for state in ("masked", "enabled", "disabled", "unset")}


def quoted(package: str, prefix: str) -> set[str]:
    """Words in quotes on lines and in calls that begin with the prefix."""
    texts = [path.read_text() for path in Path(package).parent.glob("*.py")]
    return {word for text in texts for call in re.findall(prefix, text) for word in re.findall(r'"([a-z_]+)"', call)}


def test_every_line_has_a_sentence() -> None:
    prefix = r"said\(\s*\"[^,)]*|said\(\s*code|code = [^\n]*"
    said = quoted(sections.__file__, prefix) | quoted(network.__file__, prefix) | LINE_PARTS
    assert said - LINES.keys() == set()
    assert LINES.keys() - said == set()


def test_every_effect_has_a_sentence() -> None:
    used = {code for mark in effects_test.pytestmark for _, _, found in mark.args[1] for _, code in found}  # type: ignore[attr-defined]
    text = "".join(path.read_text() for path in Path(effect.__file__).parent.glob("*.py"))
    assert used | EFFECT_PARTS <= EFFECTS.keys()
    assert {code for code in EFFECTS if code not in EFFECT_PARTS and f'"{code}"' not in text} == set()
    assert WEIGHT_SENTENCES.keys() == set(Weight) == WEIGHTS.keys()


def test_every_problem_of_variables_has_a_sentence() -> None:
    said = quoted(variables.__file__, r"VariableProblem\(\s*\"[a-z_]+\"")
    assert said == PROBLEMS.keys()
    assert set(variables.REASONS) == REASONS.keys()
    assert TYPES.keys() == set(VariableType)


def test_sentences_of_variables() -> None:
    problem = VariableProblem("value_invalid", {"variable": "ip", "type": "address", "reason": "no_prefix"})
    assert configs.variable_sentence(problem) == (
        "The value of ip does not fit its type. Write the prefix too, as in 192.0.2.10/24."
    )
    with pytest.raises(VariablesRefused) as refused:
        substitute("a: ${fleetui:Nope}", [Declaration("v")], {})
    assert configs.variable_sentence(refused.value.problems[0]).startswith("“${fleetui:Nope}” is no reference.")


def test_sentences_of_recorded_configs() -> None:
    told: set[str] = set()
    before = None
    for path in sorted(corpus("butane").glob("*/input.bu")):
        conversion = convert(path.read_bytes())
        if conversion.ignition is None:
            continue
        found = sections.sections(conversion.ignition)
        parts = (found.users, found.groups, found.files, found.disks, found.filesystems, found.raids, found.luks)
        lines = [line for part in (*parts, found.units) for one in part for line in one.lines]
        lines += [line for one in found.network.interfaces for line in one.lines]
        told |= {configs.line_sentence(line) for line in (*lines, *found.kernel.lines, *found.rest.lines)}
        if before is not None:
            told |= {configs.effect_sentence(one.what) for one in effect.effect(before, found)}
        before = found
    assert len(told) > 500
    assert [sentence for sentence in told if NOTHING in sentence or sentence.startswith("(") or "%(" in sentence] == []


def test_a_code_without_words_is_shown() -> None:
    assert configs.line_sentence(Said("unheard_of")) == "(unheard_of)"
