from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta

import pytest

from nodes.certificates import Certificate, Found, Use, days_left, holds_for, judge, read_all, time_finding
from nodes.tests.certificates.making import NOW, Made, ca, make, rsa_key, ssh_certificate


def found(*made: Made, use: Use = Use.ENDPOINT) -> list[Found]:
    return [Found("place", number, use, _read(one.pem)) for number, one in enumerate(made)]


def _read(text: bytes) -> Certificate:
    [one] = read_all(text)
    assert isinstance(one, Certificate)
    return one


def codes(*made: Made, use: Use = Use.ENDPOINT, roots: tuple[Made, ...] = (), name: str = "web") -> list[list[str]]:
    judged = judge(
        found(*made, use=use),
        authorities=[_read(one.pem) for one in roots],
        wanted_names=[name],
        is_served=use is Use.ENDPOINT,
    )
    return [[one.code for one in each] for each in judged]


def test_a_good_chain() -> None:
    root = ca("root")
    middle = ca("middle", issuer=root, ends=NOW + timedelta(days=900))
    assert codes(make("x", issuer=middle, names=("web",)), middle, roots=(root,)) == [[], []]


def test_a_chain_without_its_middle() -> None:
    root = ca("root")
    middle = ca("middle", issuer=root, ends=NOW + timedelta(days=900))
    assert codes(make("x", issuer=middle, names=("web",)), roots=(root,)) == [["issuer_not_found"]]


def test_a_root_that_nobody_knows_and_what_another_file_holds() -> None:
    root = ca("root")
    middle = ca("middle", issuer=root)
    leaf = make("x", issuer=middle, names=("web",))
    assert codes(leaf, middle, root) == [[], [], ["root_not_known"]]
    assert codes(leaf, middle) == [[], ["issuer_not_found"]]
    [one] = found(leaf, use=Use.ETCD_SERVER)
    in_a_chain = replace(found(leaf, middle, use=Use.HAPROXY)[1], place="/etc/haproxy/site.pem")
    of_an_authority = replace(in_a_chain, place="/etc/etcd/ca.pem", position=0)
    first = replace(found(make("other"), use=Use.HAPROXY)[0], place="/etc/haproxy/site.pem")
    for chain in ([first, in_a_chain], [in_a_chain, first]):
        assert [each.code for each in judge([one, *chain])[0]] == ["issuer_not_found"]
    assert judge([one, of_an_authority])[0] == []


def test_an_authority_that_was_signed_twice() -> None:
    root, old = ca("root"), ca("old root", ends=NOW + timedelta(days=10))
    crossed = make("root", issuer=old, is_ca=True, key=root.key, ends=NOW + timedelta(days=9))
    middle = ca("middle", issuer=root)
    leaf = make("x", issuer=middle, names=("web",))
    assert codes(leaf, middle, crossed, roots=(root,)) == [[], [], []]
    assert codes(leaf, middle, crossed, root, roots=(root,)) == [[], [], [], []]
    assert codes(leaf, middle, crossed, old, roots=(root,)) == [[], [], [], ["root_not_known"]]
    assert codes(leaf, middle, make("root", is_ca=True, key=root.key), roots=(root,)) == [[], [], []]


def test_a_chain_in_wrong_order() -> None:
    root, other = ca("root"), ca("root")
    middle = ca("middle", issuer=root)
    leaf = make("x", issuer=middle, names=("web",))
    roots = (root,)
    assert codes(leaf, root, middle, roots=roots) == [["wrong_order"], [], []]
    assert codes(leaf, middle, other, roots=roots) == [[], [], ["not_in_chain"]]
    assert codes(leaf, other, roots=roots) == [["issuer_not_found"], ["not_in_chain"]]
    for use in (Use.NGINX, Use.HAPROXY, Use.CERTBOT):
        assert codes(middle, leaf, use=use) == [[], ["wrong_order"]]
        assert codes(leaf, middle, root, use=use) == [[], [], []]
        assert codes(other, middle, root, use=use) == [[], [], []]
    assert codes(root, leaf, use=Use.KUBECONFIG)[1] == ["issuer_not_found"]


def test_signed_by_nobody_else() -> None:
    assert codes(make("web", names=("web",))) == [["self_signed"]]
    assert codes(ca(), use=Use.KUBE_CA) == [[]]


def test_names_of_an_endpoint() -> None:
    root = ca()
    assert codes(make("web", issuer=root, names=("api", "10.0.0.1")), root, roots=(root,)) == [["wrong_name"], []]
    assert codes(make("web", issuer=root), root, roots=(root,)) == [["no_names"], []]
    assert codes(make("x", issuer=root, names=("10.0.0.1",)), root, roots=(root,), name="10.0.0.1") == [[], []]


@pytest.mark.parametrize(
    ("name", "wanted", "holds"),
    [
        ("web.example.org", "WEB.example.org.", True),
        ("*.example.org", "web.example.org", True),
        ("*.example.org", "a.web.example.org", False),
        ("*.example.org", "example.org", False),
        ("*.org", "example.org", False),
        ("*", "example", False),
        ("fd00::0:7", "fd00::7", True),
        ("10.0.0.7", "10.0.0.70", False),
    ],
)
def test_which_names_hold(name: str, wanted: str, holds: bool) -> None:
    assert holds_for(name, wanted) is holds


def test_another_authority_of_the_same_name() -> None:
    old, new = ca("kubernetes"), ca("kubernetes")
    assert codes(make("apiserver", issuer=old), new, use=Use.KUBE_APISERVER) == [["other_issuer_key"], []]


def test_a_signature_that_does_not_hold() -> None:
    old = ca("kubernetes")
    new = Made(make("kubernetes", key=old.key, is_ca=True).certificate, old.key)
    leaf = make("apiserver", issuer=old)
    forged = Made(make("apiserver", issuer=Made(old.certificate, ca().key)).certificate, leaf.key)
    assert codes(leaf, new, use=Use.KUBE_APISERVER) == [[], []]
    # The key id is that of the forger, so it is another key; without one, the signature itself says it.
    assert codes(forged, old, use=Use.KUBE_APISERVER)[0] == ["other_issuer_key"]


def test_the_issuer_is_none() -> None:
    root = ca()
    leaf = make("leaf", issuer=root)
    assert codes(make("x", issuer=leaf, names=("web",)), leaf, root)[0] == ["issuer_is_no_ca"]


def test_a_leaf_that_outlives_its_authority() -> None:
    root = ca(ends=NOW + timedelta(days=100))
    assert codes(make("x", issuer=root, names=("web",)), root, roots=(root,)) == [["outlives_issuer"], []]


def test_weak_ones() -> None:
    root = ca()
    weak = make("x", issuer=root, names=("web",), key=rsa_key(1024))
    assert codes(weak, root, roots=(root,)) == [["weak_key"], []]
    [leaf, its_root] = found(make("x", issuer=root), root, use=Use.KUBE_APISERVER)
    old = replace(leaf, certificate=replace(leaf.certificate, signature="sha1"))
    assert [[one.code for one in each] for each in judge([old, its_root])] == [["weak_signature"], []]


def test_time() -> None:
    one = _read(make("x").pem)
    assert time_finding(one.not_before, one.not_after, NOW) is None
    for now, code in ((NOW + timedelta(days=336), "expired"), (NOW - timedelta(days=31), "not_yet_valid")):
        judged = time_finding(one.not_before, one.not_after, now)
        assert judged
        assert judged.code == code
    assert time_finding(None, None, NOW) is None


def test_certificates_of_openssh() -> None:
    def judged(text: bytes, *names: str) -> list[str]:
        [findings] = judge([Found("p", 0, Use.SSH_HOST, _read(text))], wanted_names=names)
        return [one.code for one in findings]

    assert judged(ssh_certificate("web-1", "10.0.0.7"), "other", "10.0.0.7") == []
    assert judged(ssh_certificate("web-1"), "web-2", "10.0.0.7") == ["ssh_wrong_name"]
    assert judged(ssh_certificate("web-1", is_host=False), "web-1") == ["ssh_user_certificate"]
    good = ssh_certificate("web-1").split()
    blob = bytearray(base64.b64decode(good[1]))
    blob[-1] ^= 1
    assert judged(good[0] + b" " + base64.b64encode(bytes(blob)), "web-1") == ["bad_signature"]


def test_a_begun_day_counts() -> None:
    hours = {(-1, 0), (0, 0), (1, 1), (24, 1), (25, 2), (59 * 24 + 23, 60)}
    assert {(given, days_left(NOW + timedelta(hours=given), NOW)) for given, _days in hours} == hours
