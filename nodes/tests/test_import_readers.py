"""Inventories of other tools become rows, and what is hostile or wrong is refused with its mend."""

from __future__ import annotations

import base64
import hmac
import json
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes import importing
from nodes.importing.known_hosts import KnownHosts
from nodes.importing.ranges import expand
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


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF7CtvElaDR2zKFDvvdPFN5mNOQ8BNuKTXBP3OPsQUtw"
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
        (BOMB, "ansible-yaml", "aliases"),
        ("a: [", "ansible-yaml", "YAML"),
        ("- a\n", "ansible-yaml", "inventory"),
        ("a: " + "[" * 5000 + "]" * 5000, "ansible-yaml", "nested"),
        ("{", "ansible-list", "JSON"),
        ('{"web": []}', "ansible-list", "_meta"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "", "key"),
        ("<!DOCTYPE html>\n", "", "HTML"),
        ("$ANSIBLE_VAULT;1.1;AES256\n6638\n", "", "Vault"),
        (f"web-1,10.0.0.1 {KEY}\n", "", "known_hosts"),
        (f"{KEY} me@here\n", "", "public key"),
        ("127.0.0.1 localhost\n10.0.0.1 web1 web1.example\n", "", "hosts file"),
        ('[{"name": "a"}]', "", "JSON"),
        ("kind: Node\napiVersion: v1\n", "", "Kubernetes"),
        ("web-1,10.0.0.1\n", "", "name"),
        ("variant: fcos\nversion: 1.5.0\n", "", "inventory"),
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


def test_a_table_of_excel() -> None:
    text = '\r\nsep=;\r\n\r\nname;address;labels\r\na;1.1.1.1;"x=y;z=w"\r\n;;\r\nb;1.1.1.2;"two\r\nlines=1"\r\n'
    rows = by_name(text.lstrip().replace("\r\n\r\nname", "\r\nname"))
    assert [(row.address, row.labels, row.place) for row in rows.values()] == [
        ("1.1.1.1", {"x": "y", "z": "w"}, "line 3"),
        ("1.1.1.2", {"two\r\nlines": "1"}, "line 6"),
    ]
    assert list(by_name("\n\nname,address\ra,1.1.1.1\r", "csv")) == ["a"]


SSH_LIKE_SSH = {
    "comments": (
        "Host a b # c\n HostName 10.0.0.1 # x\n Port 23 # it's\n",
        {"a": ("10.0.0.1", 23), "b": ("10.0.0.1", 23)},
    ),
    "equals and case": ("HOST=a\nhostNAME = 10.0.0.1\nPORT=23\n", {"a": ("10.0.0.1", 23)}),
    "quotes": ('Host "a" \'b\'\n HostName "%h.x"\n', {"a": ("a.x", None), "b": ("b.x", None)}),
    "brackets are no pattern": ("Host a[12]*\n Port 3\nHost a1\n Port 4\n", {"a1": ("a1", 4)}),
    "a question mark": ("Host a?\n Port 5\nHost a1 a22\n Port 6\n", {"a1": ("a1", 5), "a22": ("a22", 6)}),
    "not": ("Host *.x !b.x\n Port 33\nHost a.x b.x\n HostName h\n", {"a.x": ("h", 33), "b.x": ("h", None)}),
    "percent": (
        "Host b c\n HostName fe80::1%%eth0\nHost d\n HostName %n.x\n",
        {"b": ("fe80::1%eth0", None), "c": ("fe80::1%eth0", None)},
    ),
    "Match all": ("Host a\n HostName x\nMatch all\n Port 77\nHost b\n Port 8\n", {"a": ("x", 77), "b": ("b", 77)}),
    "Match host": (
        "Match host a,b*\n Port 77\nHost a bb c\n HostName x\nMatch host x\n Port 78\n",
        {"a": ("x", 77), "bb": ("x", 77), "c": ("x", 78)},
    ),
    "Match originalhost": (
        "Host a b\n HostName x\nMatch originalhost a\n Port 78\n",
        {"a": ("x", 78), "b": ("x", None)},
    ),
    "a quote elsewhere": ("Host a\n LocalCommand echo 'x\n Port 4\n", {"a": ("a", 4)}),
}


@pytest.mark.parametrize("name", SSH_LIKE_SSH)
def test_a_configuration_is_read_as_ssh_reads_it(name: str) -> None:
    text, expected = SSH_LIKE_SSH[name]
    found = importing.read(text, "ssh-config").rows
    assert {row.name: (row.address, row.port) for row in found if not row.problems} == expected


def test_a_match_that_cannot_be_decided_is_said() -> None:
    found = importing.read("Match user root\n Port 9\nMatch exec x\n User y\nHost a\n Port 1\n", "ssh-config")
    assert [note.message % note.params for note in found.notes] == [
        "Line 1: this Match block depends on more than the host, so its settings are left out."
    ]
    assert found.rows[0].port == 1


@pytest.mark.parametrize(
    ("raw", "word"), [(b"PK\x03\x04x", "workbook"), (b"\x1f\x8b\0", "compressed"), (b"Z\xfcrich", "UTF-8")]
)
def test_a_file_that_is_no_text_is_named(raw: bytes, word: str) -> None:
    with pytest.raises(importing.Refused, match=word):
        decode(raw)


def test_uploads_are_text() -> None:
    assert decode("name\nä".encode("utf-16")) == "name\nä"
    assert decode(b"\xef\xbb\xbfname") == "name"
    with pytest.raises(importing.Refused):
        decode(b"\xff\x00\xff")


def test_known_hosts() -> None:
    keys = KnownHosts.parse(f"web-1,10.0.0.1 {KEY}\n[10.0.0.2]:2222 {KEY}\n*.example.org {KEY}\n# x\n")
    assert keys.of("10.0.0.1", "x", 22) is not None
    assert keys.of("10.0.0.2", "x", 2222) is not None
    assert keys.of("10.0.0.2", "x", 22) is None
    assert keys.of("a.example.org", "x", 22) is not None


HASHED = (
    "|1|c2FsdHNhbHRzYWx0c2FsdHNhbHQ=|"
    + base64.b64encode(hmac.digest(b"saltsaltsaltsaltsalt", b"[10.0.0.7]:2222", "sha1")).decode()
)


@pytest.mark.parametrize(
    ("line", "known"),
    [
        (f"{HASHED} {KEY}", True),
        (f"{HASHED} {KEY}\n@revoked * {KEY}", False),
        (f"[10.0.0.7]:2222 {KEY}\n@revoked {HASHED} {KEY}", False),
        (f"[10.0.0.?]:2222 {KEY}", True),
        (f"[10.0.0.?]:2222,![10.0.0.7]:2222 {KEY}", False),
        (f"@cert-authority [10.0.0.7]:2222 {KEY}", False),
        (f"10.0.0.7 {KEY}", False),
        (f"[10.0.0.7]:2222 {KEY[:40]}", False),
        (f"|1|x|y {KEY}\n|2|eA==|eA== {KEY}", False),
    ],
)
def test_known_hosts_as_ssh_reads_it(line: str, known: bool) -> None:
    assert (KnownHosts.parse(line, 10).of("10.0.0.7", "x", 2222) is not None) is known


@pytest.mark.parametrize("text", ["hello\nworld\n", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "# nothing\n"])
def test_a_file_without_any_host_key_is_no_known_hosts(text: str) -> None:
    with pytest.raises(importing.Refused, match="no line with a host key"):
        KnownHosts.of_file(text, 1)


def test_a_hashed_file_for_too_many_hosts_is_refused_before_it_takes_minutes() -> None:
    text = f"{HASHED} {KEY}\n" * 5000
    KnownHosts.parse(text, 500)
    with pytest.raises(importing.Refused, match="5,000 hashed"):
        KnownHosts.parse(text, 501)


@given(st.text(max_size=300), st.sampled_from(sorted(importing.SOURCES)))
def test_any_text_is_read_or_refused(text: str, source: str) -> None:
    with suppress(importing.Refused):
        for row in importing.read(text, source).rows:
            assert isinstance(row.name, str)


@pytest.mark.parametrize(
    "text",
    [
        "Host " + " ".join(f"h{number}" for number in range(20_000)) + "\n  Port 2200\n",
        "".join(f"Host h{number}\n  Port 2200\n" for number in range(10_000)),
    ],
    ids=["one line names them all", "a block each"],
)
def test_many_names_of_an_ssh_configuration_are_read_in_seconds(text: str) -> None:
    """Each name was compared with all names of its line: 20,000 of them held a thread of the web process for an hour."""
    started = time.process_time()
    found = importing.read(text, "ssh-config")
    assert {row.port for row in found.rows} == {2200}
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    "line",
    [
        " ".join(f"h{number}" for number in range(3_000)) + " x*",
        " ".join(f"h{number}*" for number in range(10_001)) + " a",
    ],
    ids=["names beside a pattern", "patterns"],
)
def test_patterns_that_would_take_minutes_are_refused(line: str) -> None:
    with pytest.raises(importing.Refused, match="too many patterns"):
        importing.read(f"Host {line}\n  Port 2200\n", "ssh-config")
