"""What is taken as a sign-in to a cluster, what is refused by name, and which pods a drain means."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml

from ops.kubernetes import Access, AccessRefused, Budget, Pod, by_token, from_kubeconfig
from ops.kubernetes.access import MOST_CHARS
from ops.kubernetes.drain import doubly_covered, hindrances, sort_pods
from ops.wording import kubernetes as words
from tests.kubeapi import Certificates, make_certificates


@pytest.fixture(scope="module")
def made() -> Certificates:
    return make_certificates()


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def kubeconfig(made: Certificates, user: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None) -> str:
    whole = {"server": "https://10.0.0.10:6443", "certificate-authority-data": coded(made.ca), **(cluster or {})}
    signs_in = user if user is not None else {"token": "abc.def"}
    return yaml.safe_dump(
        {
            "kind": "Config",
            "current-context": "a",
            "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": whole}],
            "users": [{"name": "u", "user": signs_in}],
        }
    )


def test_a_kubeconfig_with_all_in_it_is_taken(made: Certificates) -> None:
    found = from_kubeconfig(kubeconfig(made, cluster={"tls-server-name": "kubernetes"}))
    assert (found.server, found.token, found.how, found.server_name) == (
        "https://10.0.0.10:6443",
        "abc.def",
        "token",
        "kubernetes",
    )
    assert "BEGIN CERTIFICATE" in found.ca
    pair = {"client-certificate-data": coded(made.client), "client-key-data": coded(made.client_key)}
    assert from_kubeconfig(kubeconfig(made, user=pair)).how == "certificate"
    assert Access.from_text(found.as_text()) == found
    assert "abc.def" not in repr(found)


@pytest.mark.parametrize("server", ["&a [x, x]", "https://" + "a" * 300])
def test_what_unfolds_or_is_longer_than_any_address_is_refused(made: Certificates, server: str) -> None:
    """Ten such aliases within each other are more than any memory holds."""
    text = kubeconfig(made).replace("https://10.0.0.10:6443", server)
    if server.startswith("&"):
        text += "more: [*a, *a]\n"
    with pytest.raises(AccessRefused) as refused:
        from_kubeconfig(text)
    assert refused.value.code == ("no_kubeconfig" if server.startswith("&") else "no_server")


@pytest.mark.parametrize(
    ("user", "cluster", "code", "key"),
    [
        ({"exec": {"command": "aws"}}, {}, "runs_program", "exec"),
        ({"auth-provider": {"name": "gcp"}}, {}, "runs_program", "auth-provider"),
        ({"client-certificate": "/root/a.crt", "client-key": "/root/a.key"}, {}, "names_file", "client-certificate"),
        ({"tokenFile": "/root/token"}, {}, "names_file", "tokenFile"),
        ({"username": "a", "password": "b"}, {}, "no_passwords", "username"),
        ({"token": "a", "as": "admin"}, {}, "impersonates", "as"),
        (None, {"certificate-authority": "/root/ca.crt"}, "names_file", "certificate-authority"),
        (None, {"insecure-skip-tls-verify": True}, "insecure", "insecure-skip-tls-verify"),
        (None, {"proxy-url": "http://p:1"}, "proxy", "proxy-url"),
    ],
)
def test_what_a_kubeconfig_only_names_is_refused_by_name(
    made: Certificates, user: dict[str, Any] | None, cluster: dict[str, Any], code: str, key: str
) -> None:
    with pytest.raises(AccessRefused) as refused:
        from_kubeconfig(kubeconfig(made, user, cluster))
    assert (refused.value.code, refused.value.params["key"]) == (code, key)
    sentence, mend = words.access_problem(refused.value.code, refused.value.params)
    assert key in sentence
    assert mend


def test_what_is_no_sign_in_is_refused(made: Certificates) -> None:
    other = make_certificates()
    stranger = {"client-certificate-data": coded(made.client), "client-key-data": coded(other.client_key)}
    for text, code in (
        ("a: [", "not_yaml"),
        ("- 1", "no_kubeconfig"),
        ("kind: Pod", "no_kubeconfig"),
        ("x" * (MOST_CHARS + 1), "too_long"),
        ("kind: Config\ncurrent-context: b", "no_entry"),
        (kubeconfig(made, user={}), "no_sign_in"),
        (kubeconfig(made, user={"token": "two words"}), "no_token"),
        (kubeconfig(made, user=stranger), "no_pair"),
        (kubeconfig(made, user={"client-certificate-data": "%"}), "not_base64"),
        (kubeconfig(made, cluster={"server": "http://10.0.0.10:6443"}), "no_server"),
        (kubeconfig(made, cluster={"server": "https://u:p@10.0.0.10"}), "no_server"),
        (kubeconfig(made, cluster={"certificate-authority-data": coded("nothing")}), "no_certificate"),
    ):
        with pytest.raises(AccessRefused) as refused:
            from_kubeconfig(text)
        assert refused.value.code == code
        assert all(words.access_problem(code, refused.value.params))
    with pytest.raises(AccessRefused) as no_token:
        by_token(server="https://10.0.0.10", ca="", token=" ")
    assert (no_token.value.field, no_token.value.code) == ("token", "no_token")


def pod(name: str, **over: Any) -> Pod:
    values: dict[str, Any] = {
        "namespace": "shop",
        "uid": name,
        "node": "n1",
        "labels": {"app": "web"},
        "owner": "ReplicaSet",
        "is_mirror": False,
        "phase": "Running",
        "is_going": False,
        "is_ready": True,
        "local": (),
    }
    return Pod(name=name, **{**values, **over})


def budget(name: str = "web", **over: Any) -> Budget:
    values: dict[str, Any] = {
        "namespace": "shop",
        "allowed": 0,
        "healthy": 2,
        "desired": 2,
        "expected": 3,
        "policy": "IfHealthyBudget",
        "selector": {"matchLabels": {"app": "web"}},
    }
    return Budget(name=name, **{**values, **over})


def test_pods_are_sorted_as_kubectl_drain_does() -> None:
    pods = [
        pod("web"),
        pod("ds", owner="DaemonSet"),
        pod("ds-over", owner="DaemonSet", phase="Failed"),
        pod("static", is_mirror=True, owner="Node"),
        pod("cache", local=("tmp",)),
        pod("cache-over", local=("tmp",), phase="Succeeded"),
        pod("bare", owner=""),
        pod("bare-over", owner="", phase="Succeeded"),
        pod("bare-cache", owner="", local=("tmp",)),
    ]

    def names(found: list[Pod]) -> list[str]:
        return [one.name for one in found]

    strict = sort_pods(pods, delete_emptydir=False, delete_unmanaged=False)
    assert names(strict.left) == ["ds", "static"]
    assert names(strict.going) == ["web", "ds-over", "cache-over", "bare-over"]
    assert names(strict.local) == ["cache", "bare-cache"]
    assert names(strict.unmanaged) == ["bare"]
    half = sort_pods(pods, delete_emptydir=True, delete_unmanaged=False)
    assert names(half.unmanaged) == ["bare", "bare-cache"]
    whole = sort_pods(pods, delete_emptydir=True, delete_unmanaged=True)
    assert names(whole.left) == ["ds", "static"]
    assert len(whole.going) == len(pods) - 2


@pytest.mark.parametrize(
    ("given", "selector", "covers"),
    [
        ({"app": "web"}, {"matchLabels": {"app": "web"}}, True),
        ({"app": "db"}, {"matchLabels": {"app": "web"}}, False),
        ({"app": "db"}, {}, True),
        ({"app": "db"}, None, False),
        ({"app": "db"}, {"matchExpressions": [{"key": "app", "operator": "In", "values": ["db"]}]}, True),
        ({"app": "db"}, {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]}, False),
        ({}, {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]}, True),
        ({"app": "db"}, {"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"app": "db"}, {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_a_budget_covers_what_its_selector_says(
    given: dict[str, str], selector: dict[str, Any] | None, covers: bool
) -> None:
    assert budget(selector=selector).covers(pod("a", labels=given)) is covers
    assert not budget(selector=selector).covers(pod("a", labels=given, namespace="other"))


def test_a_budget_holds_only_what_would_harm() -> None:
    assert not budget().allows(pod("a"))
    assert budget(allowed=1).allows(pod("a"))
    for loose in (pod("a", phase="Pending"), pod("a", phase="Failed"), pod("a", is_going=True)):
        assert budget().allows(loose)
    sick = pod("a", is_ready=False)
    assert budget().allows(sick)
    assert not budget(healthy=1).allows(sick)
    assert budget(healthy=1, policy="AlwaysAllow").allows(sick)
    assert [one.budget.name for one in hindrances([pod("a"), sick], [budget()])] == ["web"]
    assert [one.name for one in doubly_covered([pod("a"), sick], [budget(), budget("two")])] == ["a", "a"]
    assert budget(expected=2).never_allows
    assert not budget(expected=3).never_allows
    assert not budget(expected=0, desired=0).never_allows
