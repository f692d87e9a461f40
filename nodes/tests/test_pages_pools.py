"""Pools and clusters in the browser: who sees which, counts, and edits that lose nothing."""

from __future__ import annotations

import pytest
from django.urls import reverse

from nodes.models import Cluster, Node, Pool
from nodes.tests.cast import Cast
from nodes.tests.make import make_cluster, make_credential, make_node, make_pool, make_user
from nodes.tests.pages import signed_in

pytestmark = pytest.mark.django_db


def test_the_list_shows_visible_pools_with_their_counts(cast: Cast) -> None:
    make_node("web-bad", pool=cast.web, health="degraded")
    make_node("web-old", pool=cast.web, update_state="update_available")
    make_node("web-gone", pool=cast.web, lifecycle="retired")
    make_node("web-lost", pool=cast.web, reachability="never_seen", failures=2)
    make_node("web-new", pool=cast.web, reachability="never_seen")
    make_node("web-due", pool=cast.web, reachability="never_seen", failures=2, reachability_reason="provisioning")
    page = signed_in(cast.owner).get(reverse("nodes:pools"))
    counts = {pool.name: (pool.node_count, pool.trouble_count, pool.behind_count) for pool in page.context["pools"]}
    assert counts == {"db": (1, 0, 0), "web": (6, 2, 1)}
    assert Node.objects.filter(pool=cast.web).needing_attention().count() == 2
    assert page.context["loose"] == 1
    only_web = signed_in(make_user("only-web", ("viewer", cast.web))).get(reverse("nodes:pools"))
    assert [pool.name for pool in only_web.context["pools"]] == ["web"]
    assert only_web.context["loose"] == 0


def test_the_list_costs_the_same_for_any_number_of_pools(cast: Cast, django_assert_max_num_queries: object) -> None:
    for number in range(12):
        make_node(pool=make_pool(f"pool-{number}"))
    browser = signed_in(cast.owner)
    with django_assert_max_num_queries(14):  # type: ignore[operator]
        browser.get(reverse("nodes:pools"))


def test_a_pool_has_its_bars_versions_and_people(cast: Cast) -> None:
    make_user("paula", ("operator", cast.web))
    page = signed_in(cast.owner).get(reverse("nodes:pool", args=["web"]))
    text = page.content.decode()
    assert page.context["total"] == 1
    assert "44.20261101.3.0" in text
    assert "paula" in text
    assert "paula" not in signed_in(cast.viewer).get(reverse("nodes:pool", args=["web"])).content.decode()


def test_what_one_may_not_see_is_not_found_and_what_one_may_not_do_is_refused(cast: Cast) -> None:
    only_web = signed_in(make_user("only-web", ("viewer", cast.web)))
    assert only_web.get(reverse("nodes:pool", args=["db"])).status_code == 404
    assert only_web.get(reverse("nodes:pool_edit", args=["web"])).status_code == 403
    assert only_web.post(reverse("nodes:pool_delete", args=["web"])).status_code == 403
    assert "Edit" not in only_web.get(reverse("nodes:pool", args=["web"])).content.decode()
    admin_of_web = signed_in(make_user("web-admin", ("admin", cast.web)))
    assert admin_of_web.get(reverse("nodes:pool_edit", args=["web"])).status_code == 200
    assert admin_of_web.get(reverse("nodes:pool_add")).status_code == 403
    assert admin_of_web.get(reverse("nodes:cluster_add")).status_code == 403


def test_add_edit_delete(cast: Cast) -> None:
    browser = signed_in(cast.owner)
    cluster, credential = make_cluster("prod"), make_credential("fleet")
    given = {"name": "edge", "cluster": str(cluster.pk), "credential": str(credential.pk), "poll_interval_s": "30"}
    assert browser.post(reverse("nodes:pool_add"), given).status_code == 302
    pool = Pool.objects.get(name="edge")
    assert (pool.cluster, pool.credential, pool.poll_interval_s) == (cluster, credential, 30)
    changed = {**given, "name": "edge-2", "description": "shops", "revision": str(pool.revision)}
    assert browser.post(reverse("nodes:pool_edit", args=["edge"]), changed).status_code == 302
    assert Pool.objects.get(name="edge-2").description == "shops"
    assert browser.post(reverse("nodes:pool_delete", args=["edge-2"])).status_code == 302
    assert not Pool.objects.filter(name="edge-2").exists()
    browser.post(reverse("nodes:pool_delete", args=["web"]))
    assert Pool.objects.filter(name="web").exists(), "a pool with nodes stays"


def test_wrong_values_and_taken_names_are_told_and_kept(cast: Cast) -> None:
    browser = signed_in(cast.owner)
    page = browser.post(
        reverse("nodes:pool_add"), {"name": "no spaces", "description": "typed", "poll_interval_s": "5"}
    )
    assert page.status_code == 422
    assert {"name", "poll_interval_s"} <= set(page.context["form"].errors)
    assert "typed" in page.content.decode()
    taken = browser.post(reverse("nodes:pool_add"), {"name": "web"})
    assert "exists" in str(taken.context["form"].errors["name"])


def test_an_edit_of_what_changed_meanwhile_is_refused_with_what_was_typed(cast: Cast) -> None:
    Pool.objects.filter(pk=cast.web.pk).update(revision=5)
    page = signed_in(cast.owner).post(
        reverse("nodes:pool_edit", args=["web"]), {"name": "web", "description": "mine", "revision": "4"}
    )
    assert page.status_code == 412
    assert "mine" in page.content.decode()
    assert "Read it again" in page.content.decode()


def test_clusters(cast: Cast) -> None:
    browser = signed_in(cast.owner)
    assert browser.post(reverse("nodes:cluster_add"), {"name": "prod"}).status_code == 302
    cluster = Cluster.objects.get(name="prod")
    given = {"name": "prod-eu", "description": "Frankfurt", "revision": str(cluster.revision)}
    assert browser.post(reverse("nodes:cluster_edit", args=["prod"]), given).status_code == 302
    assert "Frankfurt" in browser.get(reverse("nodes:clusters")).content.decode()
    make_pool("in-it", cluster=cluster)
    browser.post(reverse("nodes:cluster_delete", args=["prod-eu"]))
    assert Cluster.objects.exists(), "a cluster with pools stays"
    Pool.objects.filter(cluster=cluster).update(cluster=None)
    browser.post(reverse("nodes:cluster_delete", args=["prod-eu"]))
    assert not Cluster.objects.exists()


def test_names_with_odd_characters_are_not_found(cast: Cast) -> None:
    browser = signed_in(cast.owner)
    assert browser.get("/pools/%00/").status_code == 404
    assert browser.get("/pools/nothing-here/").status_code == 404
