"""Inventories of other tools become rows, and what is hostile or wrong is refused with its mend."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes import importing
from nodes.importing.ansible import expand
from nodes.importing.known_hosts import KnownHosts
from nodes.importing.read import decode

INI = """\
# a comment
lonely ansible_host=10.9.9.9

[web_servers]
web[01:03].example.org
web-x ansible_host=10.0.0.4 ansible_port=2222 rack="a b"

[db]
db-[a:b] ansible_port=22

[eu:children]
web_servers

[db:vars]
ansible_port=2022
"""
YAML = """\
all:
  hosts:
    lonely:
  children:
    web:
      hosts:
        web[1:2]:
        web-x: {ansible_host: 10.0.0.4, ansible_port: 2222}
      vars: {ansible_port: 23}
    eu:
      children:
        web:
"""
LIST = {
    "_meta": {"hostvars": {"web-1": {"ansible_host": "10.0.0.1"}, "web-2": {"ansible_port": "2222"}}},
    "all": {"children": ["eu", "ungrouped"]},
    "eu": {"children": ["web"]},
    "web": {"hosts": ["web-1", "web-2"]},
    "ungrouped": {"hosts": ["lonely"]},
}
SSH = """\
User core
Host web-1 web-2
    HostName %h.example.org
    Port 2222
Host db-*
    Port 23
Host db-1
    HostName 10.0.0.9
    Port 24
Host *
    Port 25
    ProxyJump bastion
"""


def by_name(text: str, source: str = "") -> dict[str, importing.Row]:
    return {row.name: row for row in importing.read(text, source).rows}


def test_a_table() -> None:
    text = "\ufeffName;Address;Port;Pool;labels;label:site\nweb-1;10.0.0.7;2222;web;rack=4,x=y;bkk\nweb-2;;;;;\n\n"
    rows = by_name(text.lstrip("\ufeff").replace("rack=4,x=y", '"rack=4;x=y"'), "csv")
    first, second = rows["web-1"], rows["web-2"]
    assert (first.address, first.port, first.pool) == ("10.0.0.7", 2222, "web")
    assert first.labels == {"rack": "4", "x": "y", "site": "bkk"}
    assert (second.address, second.port, second.labels, second.place) == (None, None, {}, "line 3")


def test_an_ini_inventory() -> None:
    rows = by_name(INI)
    assert list(rows) == ["lonely", *(f"web0{n}.example.org" for n in (1, 2, 3)), "web-x", "db-a", "db-b"]
    assert (rows["web-x"].address, rows["web-x"].port) == ("10.0.0.4", 2222)
    assert rows["web-x"].groups == ("web_servers", "eu")
    assert (rows["lonely"].address, rows["lonely"].groups) == ("10.9.9.9", ())
    # A host's own variable goes before that of its group.
    assert rows["db-a"].port == 22


def test_a_variable_of_the_nearest_group_wins() -> None:
    text = "[web]\nweb-1\n[eu:children]\nweb\n[eu:vars]\nansible_port=1\n[web:vars]\nansible_port=2\n[all:vars]\nansible_port=3\n"
    assert by_name(text, "ansible-ini")["web-1"].port == 2


def test_a_yaml_inventory() -> None:
    rows = by_name(YAML)
    assert list(rows) == ["lonely", "web1", "web2", "web-x"]
    assert [rows[name].port for name in rows] == [None, 23, 23, 2222]
    assert rows["web1"].groups == ("web", "eu")


def test_the_list_of_ansible_inventory() -> None:
    rows = by_name(json.dumps(LIST))
    assert {name: (row.address, row.port, row.groups) for name, row in rows.items()} == {
        "web-1": ("10.0.0.1", None, ("web", "eu")),
        "web-2": ("web-2", 2222, ("web", "eu")),
        "lonely": ("lonely", None, ()),
    }


def test_an_ssh_configuration() -> None:
    rows = by_name(SSH)
    assert {name: (row.address, row.port) for name, row in rows.items()} == {
        "web-1": ("web-1.example.org", 2222),
        "web-2": ("web-2.example.org", 2222),
        "db-1": ("10.0.0.9", 23),
    }
    assert rows["web-1"].labels == {"ssh-proxyjump": "bastion"}


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("name,address\nx,y\n", "csv"),
        ("[web]\na\n", "ansible-ini"),
        ("all:\n  hosts:\n", "ansible-yaml"),
        ('{"_meta": {}}', "ansible-list"),
        ("Host a\n  Port 1\n", "ssh-config"),
        ("a ansible_host=1\n", "ansible-ini"),
    ],
)
def test_the_format_is_detected(text: str, source: str) -> None:
    assert importing.detect(text) == source


BOMB = "a: &a [x,x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)},*{chr(97 + n)}]\n" for n in range(20))


@pytest.mark.parametrize(
    ("text", "source", "words"),
    [
        ("", "csv", "name"),
        ("address\n1\n", "csv", "name"),
        ("name,colour\nx,red\n", "csv", "colour"),
        ("name,name\nx,y\n", "csv", "name"),
        ('name,address\n"x,1\n', "csv", "CSV"),
        ("[web\nx\n", "ansible-ini", "section"),
        ("a 'b\n", "ansible-ini", "quote"),
        ("a b c\n", "ansible-ini", "key=value"),
        ("a[0:999999999]\n", "ansible-ini", "hosts"),
        ("a[0:9999][0:9999]\n", "ansible-ini", "hosts"),
        (BOMB, "ansible-yaml", "alias"),
        ("a: [", "ansible-yaml", "YAML"),
        ("- a\n", "ansible-yaml", "inventory"),
        ("a: " + "[" * 5000 + "]" * 5000, "ansible-yaml", "YAML"),
        ("{", "ansible-list", "JSON"),
        ('{"web": []}', "ansible-list", "_meta"),
        ('{"_meta": {}}', "ansible-list", "no host"),
        ("Include other\n", "ssh-config", "includes"),
        ("Host *\n  Port 1\n", "ssh-config", "no host"),
        ("x\n", "elsewhere", "source"),
    ],
)
def test_what_cannot_be_read_is_refused_quickly(text: str, source: str, words: str) -> None:
    begun = time.monotonic()
    with pytest.raises(importing.Refused) as refused:
        importing.read(text, source)
    assert words in str(refused.value)
    assert refused.value.mend
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("text", "source", "field"),
    [
        ("name,port\nx,99999\n", "csv", "port"),
        ("name,labels\nx,rack\n", "csv", "labels"),
        ("name\nx,1\n", "csv", "line"),
        ("x ansible_host='{{ secret }}'\n", "ansible-ini", "address"),
        ("x ansible_connection=local\n", "ansible-ini", "ansible_connection"),
        ("all:\n  hosts:\n    x: {ansible_host: !vault abc}\n", "ansible-yaml", "address"),
        ("Host x\n  Port ssh\n", "ssh-config", "port"),
    ],
)
def test_a_row_that_cannot_be_taken_says_why(text: str, source: str, field: str) -> None:
    (row,) = importing.read(text, source).rows
    (problem,) = row.problems
    assert problem.field == field
    assert problem.mend % problem.params


def test_ranges() -> None:
    assert expand("w[08:10]") == ["w08", "w09", "w10"]
    assert expand("w[a:c]-[1:3:2]") == ["wa-1", "wa-3", "wb-1", "wb-3", "wc-1", "wc-3"]
    assert expand("plain") == ["plain"]


def test_uploads_are_text() -> None:
    assert decode("name\nä".encode("utf-16")) == "name\nä"
    assert decode(b"\xef\xbb\xbfname") == "name"
    with pytest.raises(importing.Refused):
        decode(b"\xff\x00\xff")


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF7CtvElaDR2zKFDvvdPFN5mNOQ8BNuKTXBP3OPsQUtw"


def test_known_hosts() -> None:
    keys = KnownHosts.parse(f"web-1,10.0.0.1 {KEY}\n[10.0.0.2]:2222 {KEY}\n*.example.org {KEY}\n# x\n")
    assert keys.of("10.0.0.1", "x", 22) is not None
    assert keys.of("10.0.0.2", "x", 2222) is not None
    assert keys.of("10.0.0.2", "x", 22) is None
    assert keys.of("a.example.org", "x", 22) is not None


@given(st.text(max_size=300), st.sampled_from(sorted(importing.SOURCES)))
def test_any_text_is_read_or_refused(text: str, source: str) -> None:
    with suppress(importing.Refused):
        for row in importing.read(text, source).rows:
            assert isinstance(row.name, str)
