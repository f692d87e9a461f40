"""Adding filters by hardware, network and any fact on the nodes page."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from nodes.services.terms import replace_terms
from nodes.tests.cast import Cast
from nodes.tests.make import make_facts
from nodes.tests.pages import signed_in


@pytest.mark.parametrize(
    ("given", "url"),
    [
        (
            {"field": "network.interfaces.driver", "operator": "=", "value": "ixgbe"},
            "/nodes/?pool=web&fact=network.interfaces.driver%3Dixgbe",
        ),
        (
            {"field": "kubernetes.role", "operator": "absent", "value": ""},
            "/nodes/?pool=web&fact=kubernetes.role+absent",
        ),
        ({"field": "nic_driver", "value": "ixgbe"}, "/nodes/?pool=web&nic_driver=ixgbe"),
        ({"field": "kernel_older", "value": "6.11"}, "/nodes/?pool=web&kernel_older=6.11"),
        ({"field": "pool", "value": "db"}, "/nodes/?pool=web&pool=db"),
        ({"field": "", "value": "db"}, "/nodes/?pool=web"),
        ({"field": "os.nam", "operator": "DROP", "value": "x"}, "/nodes/?pool=web&fact=os.nam%3Dx"),
    ],
)
def test_the_form_adds_to_the_address(cast: Cast, given: dict[str, str], url: str) -> None:
    done = signed_in(cast.viewer).get("/nodes/-/filter/", {"query": "?pool=web&after=x", **given})
    assert done["Location"] == url


def test_chips_name_the_filters_and_errors_stand_at_them(cast: Cast) -> None:
    client = signed_in(cast.owner)
    page = client.get(f"/nodes/?nic_driver=ixgbe&fact={quote('hardware.cpus>=8')}&kernel_older=6.11").content.decode()
    for text in ("Network driver", "Kernel older than", "hardware.cpus&gt;=8"):
        assert text in page
    wrong = client.get(f"/nodes/?fact={quote('driver=ixgbe')}&cpus_min=many").content.decode()
    assert "The filter Fact was left out: Facts have no path driver." in wrong
    assert "Did you mean update.driver, network.interfaces.driver" in wrong
    assert "The filter CPUs at least was left out" in wrong


def test_a_question_that_reads_every_document_says_so_and_is_asked_less_often(cast: Cast) -> None:
    client = signed_in(cast.owner)
    slow = client.get(f"/nodes/?fact={quote('network.interfaces.state=UP')}&lifecycle=active").content.decode()
    assert "is not indexed" in slow
    make_facts(cast.web_node, network={"interfaces": [{"state": "UP"}]})
    slow = client.get(f"/nodes/?fact={quote('network.interfaces.state=UP')}").content.decode()
    assert 'data-live-every="120"' in slow
    fast = client.get(f"/nodes/?fact={quote('network.interfaces.driver!=ixgbe')}").content.decode()
    assert "is not indexed" not in fast
    assert 'data-live-every="10"' in fast


def test_values_complete_what_is_typed(cast: Cast) -> None:
    for node, drivers in ((cast.web_node, ["ixgbe", "e1000"]), (cast.db_node, ["ixgbe", "i40e"])):
        replace_terms({node.pk: {"network": {"interfaces": [{"driver": name} for name in drivers]}}})

    def values(user: object, **query: str) -> list[tuple[str, int]]:
        found = signed_in(user).get("/nodes/-/fact-values/", query).json()["results"]  # type: ignore[arg-type]
        return [(one["value"], one["count"]) for one in found]

    assert values(cast.owner, field="nic_driver") == [("ixgbe", 2), ("e1000", 1), ("i40e", 1)]
    assert values(cast.owner, field="network.interfaces.driver", q="i4") == [("i40e", 1)]
    assert values(cast.viewer, field="network.interfaces.driver") == [("e1000", 1), ("ixgbe", 1)]
    assert values(cast.owner, field="network.interfaces.state") == []
    assert values(cast.owner, field="nonsense", q="\0%") == []
