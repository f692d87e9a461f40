"""Every question about facts is answered alike by terms, by SQLite and by PostgreSQL."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from nodes.facts.kernel import kernel_order
from nodes.facts.paths import INDEXED
from nodes.models import FactTerm, Node
from nodes.services.terms import reindex, replace_terms
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import make_facts, make_node

pytestmark = pytest.mark.both_databases

HOSTILE = "'; DROP TABLE nodes_node; --"


def document(**over: Any) -> dict[str, Any]:
    return {
        "os": {"family": "fcos", "name": "Fedora CoreOS", "version": "44"},
        "deployments": [
            {"booted": True, "pinned": False, "layered": [], "slot": None, "index": 0},
            {"booted": False, "pinned": False, "layered": ["htop"], "slot": None, "index": 1},
        ],
        "hardware": {"model": "PowerEdge R640", "cpus": 8, "memory_total_bytes": 64 * 2**30},
        "boot": {"kernel": "6.11.5-300.fc41.x86_64", "arguments": ["quiet", "console=ttyS0"], "boot_count": 5},
        "network": {
            "hostname": "a",
            "interfaces": [
                {"name": "eth0", "driver": "ixgbe", "mac": "52:54:00:00:00:01", "state": "UP", "addresses": []},
                {
                    "name": "eth1", "driver": "virtio_net", "mac": "52:54:00:00:00:02", "state": "DOWN",
                    "addresses": [{"address": "10.0.0.1", "prefix": 24}],
                },
            ],
        },
        "agent": {"config": {"updates": {"strategy": "periodic", "wariness": 0.5, "enabled": True}}, "status_text": None},
        "containers": {"runtimes": [{"containers": [{"labels": {"app.kubernetes.io/name": "etcd"}, "state": ""}]}]},
        "time": {"synchronized": True},
        **over,
    }  # fmt: skip


@pytest.fixture
def api(cast: Cast) -> Api:
    """`a` is above; `b` is small, old and different; web-1, db-1 and loose-1 have no facts."""
    first, second = make_node("a", kernel="6.11.5-300.fc41.x86_64"), make_node("b", kernel="5.15.0-100-generic")
    other = document(
        os={"family": "flatcar", "name": "Flatcar", "version": "42"},
        deployments=[{"booted": True, "pinned": True, "layered": [], "slot": {"name": "USR-A"}, "index": 0}],
        hardware={"model": None, "cpus": 64, "memory_total_bytes": 2**30},
        boot={"kernel": "5.15.0-100-generic", "arguments": [], "boot_count": 70},
        network={"hostname": HOSTILE, "interfaces": []},
        agent={"config": {}, "status_text": 'naïve "quoted" 100% _under\\ 🦊'},
        containers={"runtimes": []},
        time={"synchronized": False},
    )
    for node, facts in ((first, document()), (second, other)):
        make_facts(node, **facts)
    assert reindex() == 2
    return Api(cast.owner)


QUESTIONS = [
    ("network.interfaces.driver=ixgbe", "a"),
    ("network.interfaces.driver!=ixgbe", "b"),
    ("network.interfaces.driver~VIRTIO", "a"),
    ("network.interfaces.driver exists", "a"),
    ("network.interfaces.driver absent", "b"),
    ("hardware.cpus=8", "a"),
    ("hardware.cpus!=8", "b"),
    ("hardware.cpus<9", "a"),
    ("hardware.cpus<=8", "a"),
    ("hardware.cpus>8", "b"),
    ("hardware.cpus>=8", "a b"),
    ("hardware.memory_total_bytes=64GiB", "a"),
    ("hardware.memory_total_bytes<2G", "b"),
    ("hardware.model absent", "b"),
    ("boot.kernel<6.11", "b"),
    ("boot.kernel<=6.11.5-300.fc41.x86_64", "a b"),
    ("boot.kernel>6.11", "a"),
    ("boot.kernel>=6.11.5-300", "a"),
    ("boot.kernel=5.15.0-100-generic", "b"),
    ("boot.arguments=console=ttyS0", "a"),
    ("os.version~4", "a b"),
    # what is not indexed
    ("network.interfaces.state=UP", "a"),
    ("network.interfaces.state!=UP", "b"),
    ("network.interfaces.state~do", "a"),
    ("network.interfaces.state absent", "b"),
    ("network.interfaces.addresses.prefix>16", "a"),
    ("boot.boot_count=70", "b"),
    ("boot.boot_count<70", "a"),
    ("boot.boot_count<=70", "a b"),
    ("boot.boot_count exists", "a b"),
    ("deployments.pinned=true", "b"),
    ("deployments.pinned!=true", "a"),
    ("deployments.pinned exists", "a b"),
    ("deployments.slot.name=USR-A", "b"),
    ("deployments.slot.name absent", "a"),
    ("deployments.index=1", "a"),
    ("time.synchronized=false", "b"),
    ("agent.config exists", "a"),
    ("agent.config absent", "b"),
    ("agent.config.updates.strategy=periodic", "a"),
    ("agent.config.updates.wariness=0.5", "a"),
    ("agent.config.updates.wariness<1", "a"),
    ("agent.config.updates.enabled=true", "a"),
    ("agent.config.updates.strategy~ODIC", "a"),
    ("containers.runtimes.containers.labels.app.kubernetes.io/name=etcd", "a"),
    ("containers.runtimes.containers.labels.app=etcd", ""),
    ("containers.runtimes.containers.state exists", ""),
    ("agent.status_text exists", "b"),
    ("agent.status_text absent", "a"),
    # hostile values are values
    (f"network.hostname={HOSTILE}", "b"),
    (f"network.hostname~{HOSTILE}", "b"),
    ('agent.status_text~"quoted"', "b"),
    ("agent.status_text~100%", "b"),
    ("agent.status_text~100_", ""),
    ("agent.status_text~.", ""),
    ("agent.status_text~\\", "b"),
    ("agent.status_text~🦊", "b"),
    ("agent.status_text~) || (@ == @", ""),
    ('agent.status_text=" || true', ""),
    ("network.hostname~%", ""),
    ("network.hostname~_", "b"),
    ("network.interfaces.state=$v", ""),
    ("network.interfaces.state=null", ""),
]


@pytest.mark.parametrize(("question", "names"), QUESTIONS)
def test_a_question_finds_its_nodes(api: Api, question: str, names: str) -> None:
    assert api.names(f"nodes/?fact={quote(question)}") == names.split()


@pytest.mark.parametrize(("question", "names"), [one for one in QUESTIONS if one[0].split("=")[0] in INDEXED])
def test_documents_answer_as_terms_do(api: Api, question: str, names: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.facts.query.INDEXED", {})
    assert api.names(f"nodes/?fact={quote(question)}") == names.split()


def test_all_questions_must_hold(api: Api) -> None:
    both = f"fact={quote('hardware.cpus>=8')}&fact={quote('deployments.pinned=true')}"
    assert api.names(f"nodes/?{both}") == ["b"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("nic_driver=ixgbe", "a"),
        ("nic_driver=e1000,virtio_net", "a"),
        ("mac=52-54-00-00-00-01", "a"),
        ("mac=52:54:00:00:00:02", "a"),
        ("ip=10.0.0.1", "a"),
        ("model=PowerEdge+R640", "a"),
        ("package=htop", "a"),
        ("kernel_argument=console%3DttyS0", "a"),
        ("cpus_min=9", "b"),
        ("memory_min=64GiB", "a"),
        ("kernel_older=6.11", "b"),
    ],
)
def test_hardware_and_network_are_searched(api: Api, query: str, names: str) -> None:
    assert api.names(f"nodes/?{query}") == names.split()


def test_newer_kernels_leave_out_nodes_without_one(api: Api) -> None:
    assert set(api.names("nodes/?kernel_newer=5")) == {"a", "b"}


@pytest.mark.parametrize(
    ("query", "field", "mend"),
    [
        ("fact=driver%3Dixgbe", "fact", "network.interfaces.driver"),
        ("&".join(["fact=os.name"] + [f"fact=os.name~{number}" for number in range(10)]), "fact", "at most 10"),
        ("cpus_min=many", "cpus_min", "64GiB"),
        ("kernel_older=new", "kernel_older", "6.11"),
        ("ip=10.0.0.0/8", "ip", "10.0.0.7"),
        ("mac=52:54:00", "mac", "52:54:00:12:34:56"),
        ("facts=os.nam", "facts", "os.name"),
        ("facts=os.name,%00", "facts", "/api/v1/facts/paths/"),
        ("facts=" + ",".join(f"agent.config.x{number}" for number in range(21)), "facts", "at most 20"),
    ],
)
def test_what_cannot_be_asked_is_told_at_the_filter(api: Api, query: str, field: str, mend: str) -> None:
    response = api.get(f"nodes/?{query}")
    assert response.status_code == 400
    body = response.json()
    assert body["field"] == field
    assert mend in body["mend"]


def test_facts_of_many_nodes_by_path(api: Api) -> None:
    paths = (
        "network.interfaces.driver,hardware.cpus,boot.boot_count,agent.config.updates.strategy,network.interfaces.state"
    )
    rows = api.get(f"nodes/?fields=name&facts={paths}&kernel_newer=1").json()["results"]
    assert rows == [
        {
            "name": "a",
            "facts": {
                "network.interfaces.driver": ["ixgbe", "virtio_net"],
                "hardware.cpus": [8],
                "boot.boot_count": [5],
                "agent.config.updates.strategy": ["periodic"],
                "network.interfaces.state": ["DOWN", "UP"],
            },
        },
        {
            "name": "b",
            "facts": {
                "network.interfaces.driver": [],
                "hardware.cpus": [64],
                "boot.boot_count": [70],
                "agent.config.updates.strategy": [],
                "network.interfaces.state": [],
            },
        },
    ]  # fmt: skip


def test_facts_of_many_nodes_are_two_queries_more(api: Api) -> None:
    def count(path: str) -> int:
        api.get(path)
        with CaptureQueriesContext(connection) as queries:
            assert api.get(path).status_code == 200
        return len(queries)

    without = count("nodes/")
    assert count("nodes/?facts=os.name,hardware.cpus,network.interfaces.state") == without + 2
    for number in range(20):
        make_facts(make_node(f"more-{number}"), **document())
    reindex()
    assert count("nodes/?facts=os.name,hardware.cpus,network.interfaces.state") == without + 2


def test_a_viewer_asks_about_his_nodes_only(api: Api, cast: Cast) -> None:
    make_facts(cast.web_node, **document())
    reindex()
    viewer = Api(cast.viewer)
    assert viewer.names("nodes/?nic_driver=ixgbe") == ["web-1"]
    assert viewer.names(f"nodes/?fact={quote('network.interfaces.state=UP')}") == ["web-1"]


def test_paths_are_listed(api: Api, cast: Cast) -> None:
    found = {row["path"]: row for row in Api(cast.viewer).get("facts/paths/").json()["results"]}
    assert found["network.interfaces.driver"] == {
        "path": "network.interfaces.driver",
        "holds": "text",
        "indexed": True,
        "operators": ["=", "!=", "~", "exists", "absent"],
        "sentence": "Drivers of interfaces.",
    }
    assert found["network.interfaces.state"]["indexed"] is False


def test_terms_follow_the_facts(cast: Cast) -> None:
    node = cast.web_node
    replace_terms({node.pk: document()})
    before = set(FactTerm.objects.filter(node=node).values_list("pk", flat=True))
    replace_terms({node.pk: document()})
    assert set(FactTerm.objects.filter(node=node).values_list("pk", flat=True)) == before
    replace_terms({node.pk: document(hardware={"cpus": 16})})
    rows = FactTerm.objects.filter(node=node, path__startswith="hardware.")
    assert list(rows.values_list("path", "value", "number")) == [("hardware.cpus", "16", 16)]
    replace_terms({node.pk: {}})
    assert not FactTerm.objects.filter(node=node).exists()


def test_reindexing_sets_the_order_of_kernels(api: Api) -> None:
    Node.objects.update(kernel_order="")
    reindex()
    assert Node.objects.get(name="b").kernel_order == kernel_order("5.15.0-100-generic")
