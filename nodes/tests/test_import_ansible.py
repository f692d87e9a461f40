"""Ansible inventories are read as Ansible reads them: what is expected here was said by ansible-inventory 2.19."""

from __future__ import annotations

import json
import time

import pytest

from nodes import importing
from nodes.importing import yaml_inventory

Host = tuple[str, int | None, str]
INI: dict[str, tuple[str, dict[str, Host]]] = {
    "ranges": (
        "[web]\nm[001:003:2]-[a:b]\nn[1:9:4].x\n[x]\nh[08:10]\nq[:1]\ns[y:B]\n",
        {
            **{f"m{n}-{c}": (f"m{n}-{c}", None, "web") for n in ("001", "003") for c in "ab"},
            **{f"n{n}.x": (f"n{n}.x", None, "web") for n in (1, 5, 9)},
            **{name: (name, None, "x") for name in ("h08", "h09", "h10", "q0", "q1", "sy", "sz", "sA", "sB")},
        },
    ),
    "quotes and comments": (
        "[web]\na ansible_host=\"10.0.0.1\" ansible_port='2222'\nb ansible_host=10.0.0.2 # ansible_port=9\n"
        "c foo=\"a b\" bar='x=y' ansible_port=23\n; d\n",
        {"a": ("10.0.0.1", 2222, "web"), "b": ("10.0.0.2", None, "web"), "c": ("c", 23, "web")},
    ),
    "comments behind the variables of a group": (
        '[g]\nh\n[g:vars]\nansible_host = "q.example" # ours\nansible_port = 5 # theirs\n',
        {"h": ("q.example", 5, "g")},
    ),
    "a hash inside a bare value": ("[g]\nh\n[g:vars]\nansible_host=foo#bar\n", {"h": ("foo#bar", None, "g")}),
    "the deeper group wins": (
        "[alpha]\nh\n[beta]\nh\n[alpha:vars]\nansible_port=100\n[beta:vars]\nansible_port=200\n[top:children]\nbeta\n"
        "[top:vars]\nansible_port=300\n",
        {"h": ("h", 200, "alpha beta top")},
    ),
    "the longest way counts": (
        "[shallow]\nh\n[deep]\nh\n[p1:children]\np2\n[p2:children]\ndeep\n[shallow:vars]\nansible_port=1\n"
        "[deep:vars]\nansible_port=2\n[p1:vars]\nansible_host=p1\n[p2:vars]\nansible_host=p2\n",
        {"h": ("p2", 2, "deep p1 p2 shallow")},
    ),
    "of equally deep groups the later name": (
        "[zeta]\nh\n[alpha]\nh\n[alpha:vars]\nansible_port=100\n[zeta:vars]\nansible_port=200\n",
        {"h": ("h", 200, "alpha zeta")},
    ),
    "a priority": (
        "[zeta]\nh\n[alpha]\nh\n[alpha:vars]\nansible_port=100\nansible_group_priority=10\n[zeta:vars]\nansible_port=200\n",
        {"h": ("h", 100, "alpha zeta")},
    ),
    "a diamond": (
        "[d]\nh\n[b:children]\nd\n[c:children]\nb\n[a:children]\nd\nc\n[a:vars]\nansible_port=1\n[c:vars]\nansible_port=2\n"
        "[b:vars]\nansible_port=3\n",
        {"h": ("h", 3, "a b c d")},
    ),
    "ungrouped": (
        "lone\n[all:vars]\nansible_port=1\n[ungrouped:vars]\nansible_port=2\n[g]\ni\n",
        {"lone": ("lone", 2, ""), "i": ("i", 1, "g")},
    ),
    "IPv6": (
        "[v6]\nfd00::1\n[fd00::2]:2222\nh6 ansible_host=fd00::3\n2001:db8::[1:2]\n",
        {
            "fd00::1": ("fd00::1", None, "v6"),
            "fd00::2": ("fd00::2", 2222, "v6"),
            "h6": ("fd00::3", None, "v6"),
            "2001:db8::1": ("2001:db8::1", None, "v6"),
            "2001:db8::2": ("2001:db8::2", None, "v6"),
        },
    ),
    "ports": (
        "[a]\nb.example.com:5309\nw[1:2]:2200\nx:22 ansible_port=23\n",
        {
            "b.example.com": ("b.example.com", 5309, "a"),
            "w1": ("w1", 2200, "a"),
            "w2": ("w2", 2200, "a"),
            "x": ("x", 23, "a"),
        },
    ),
    "a host named again": (
        "[a]\nh ansible_host=1.1.1.1\nh ansible_port=5\n[b]\nh ansible_host=2.2.2.2\n[a]\ni\n",
        {"h": ("2.2.2.2", 5, "a b"), "i": ("i", None, "a")},
    ),
    "of two names for one thing the older": (
        "h ansible_host=1.1.1.1 ansible_ssh_host=2.2.2.2 ansible_port=1 ansible_ssh_port=2\n",
        {"h": ("2.2.2.2", 2, "")},
    ),
    "an empty value": ("[g]\nh ansible_port= ansible_host=\n[g:vars]\nansible_port=5\n", {"h": ("h", None, "g")}),
    "carriage returns and tabs": (
        "[g]\r\nh\tansible_host=1.2.3.4\r\n[g:vars]\r\nansible_port=5\r\n",
        {"h": ("1.2.3.4", 5, "g")},
    ),
    "a section of hosts": ("[g:hosts]\nh\n", {"h": ("h", None, "g")}),
}
YAML: dict[str, tuple[str, dict[str, Host]]] = {
    "merges": (
        "all:\n  vars: &d {ansible_port: 2022}\n  children:\n    a:\n      hosts:\n"
        "        x: {<<: *d, ansible_host: 1.1.1.1}\n        y: *d\n",
        {"x": ("1.1.1.1", 2022, "a"), "y": ("y", 2022, "a")},
    ),
    "nested groups": (
        "all:\n  children:\n    usa:\n      children:\n        atlanta: {hosts: {h1: , h2: }, vars: {ansible_port: 11}}\n"
        "        raleigh: {hosts: {h2: }}\n      vars: {ansible_port: 10}\n",
        {"h1": ("h1", 11, "atlanta usa"), "h2": ("h2", 11, "atlanta raleigh usa")},
    ),
    "ports and IPv6": (
        'web:\n  hosts:\n    "h:99":\n    "fd00::1":\n    "[fd00::5]:2200":\n    "w[1:2]":\n',
        {
            "h": ("h", 99, "web"),
            "fd00::1": ("fd00::1", None, "web"),
            "fd00::5": ("fd00::5", 2200, "web"),
            "w1": ("w1", None, "web"),
            "w2": ("w2", None, "web"),
        },
    ),
    "several groups": (
        "all: {hosts: {a: {ansible_host: 1.1.1.1}}}\ng1: {hosts: {a: {ansible_port: 5}}}\ng2: {hosts: {a: {ansible_port: 6}}}\n",
        {"a": ("1.1.1.1", 6, "g1 g2")},
    ),
    "names alone": ("g:\n  hosts: a\n  children: k\n  port: 5\nh:\n", {"a": ("a", None, "g")}),
    "secrets": ("all:\n  hosts:\n    a: {pw: !vault x, ansible_host: 1.2.3.4}\n", {"a": ("1.2.3.4", None, "")}),
    "JSON": (
        json.dumps({"all": {"hosts": {"a": {"ansible_host": "1.1.1.1"}}, "children": {"g": {"hosts": {"b": None}}}}}),
        {"a": ("1.1.1.1", None, ""), "b": ("b", None, "g")},
    ),
}


def read(text: str) -> dict[str, Host]:
    found = importing.read(text).rows
    assert not [row.problems for row in found if row.problems]
    return {row.name: (str(row.address), row.port, " ".join(sorted(row.groups))) for row in found}


@pytest.mark.parametrize("name", INI)
def test_ini(name: str) -> None:
    text, expected = INI[name]
    assert read(text) == expected


@pytest.mark.parametrize("name", YAML)
def test_yaml(name: str) -> None:
    text, expected = YAML[name]
    assert read(text) == expected


@pytest.mark.parametrize("pattern", ["b[x]", "a[1:3", "d[3:1]", "e[c:a]", "g[0:2:0]", "h[01:100]", "a]b", "[]"])
def test_what_is_no_range_is_a_row_that_says_so(pattern: str) -> None:
    rows = {row.name: row for row in importing.read(f"good\n{pattern} x=1\n", "ansible-ini").rows}
    assert not rows["good"].problems
    (problem,) = rows[pattern].problems
    assert problem.field == "name"
    assert "range" in problem.mend


@pytest.mark.parametrize("name", ["yes", "null", "012", "1.5"])
def test_a_name_that_yaml_reads_as_something_else_is_refused(name: str) -> None:
    (row,) = importing.read(f"all:\n  hosts:\n    {name}:\n", "ansible-yaml").rows
    assert row.problems[0].field == "name"
    assert "quotes" in row.problems[0].mend


@pytest.mark.parametrize(
    "text",
    [
        "a: &a {hosts: {x: }, children: {b: *a}}\n",
        "a: *b\n",
        "a: " + "[" * 50_000,
        "a: &a [x]\n" + "".join(f"k{n + 1}: &k{n + 1} [*{'k' + str(n) if n else 'a'}, *a]\n" for n in range(2000)),
        "plugin: amazon.aws.aws_ec2\n",
        "variant: fcos\nversion: 1.5.0\n",
    ],
)
def test_a_document_that_is_no_inventory_or_unfolds_too_far(text: str) -> None:
    with pytest.raises(importing.Refused) as refused:
        importing.read(text, "ansible-yaml")
    assert refused.value.mend


def test_aliases_are_counted_as_often_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "x-a: &a {p: 1, q: 2}\nall: {hosts: {h: *a, i: *a}}\n"
    monkeypatch.setattr(yaml_inventory, "MAX_VALUES", 23)
    assert len(importing.read(text, "ansible-yaml").rows) == 2
    monkeypatch.setattr(yaml_inventory, "MAX_VALUES", 22)
    with pytest.raises(importing.Refused):
        importing.read(text, "ansible-yaml")


def test_what_the_preview_has_to_say_of_the_whole() -> None:
    notes = importing.read("[web]\na ansible_user=core\n[bkk]\na\n").notes
    told = [note.message % note.params for note in notes]
    assert told[0] == "a is in several groups at once: see which pool it gets."
    assert "core" in told[1]


def test_a_group_that_holds_itself_ends() -> None:
    assert read("[a:children]\nb\n[b:children]\na\n[b]\nh\n") == {"h": ("h", None, "a b")}


def test_groups_may_lie_deep_and_meet_again() -> None:
    """Each group is looked at once: neither the ways to it nor its depth count."""
    chain = "".join(f"[g{i}:children]\ng{i - 1}\n[g{i}:vars]\nansible_port={i}\n" for i in range(1, 1900))
    assert read(f"[g0]\nh\n{chain}")["h"][1] == 1
    above = "".join(f"[{side}{i}:children]\na{i - 1}\nb{i - 1}\n" for i in range(1, 60) for side in "ab")
    begun = time.monotonic()
    assert read(f"[a0]\nh\n[b0]\nh\n{above}")["h"][0] == "h"
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "text",
    [
        "all:\n  hosts:\n    h: {ansible_host: !vault abc}\n",
        '{"_meta": {"hostvars": {"h": {"ansible_host": {"__ansible_vault": "abc"}}}}}',
    ],
)
def test_an_encrypted_address_is_named(text: str) -> None:
    (row,) = importing.read(text).rows
    assert [(problem.field, problem.value) for problem in row.problems] == [("address", "!vault")]
    assert "Vault" in row.problems[0].mend
