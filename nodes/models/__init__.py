"""What is out there: nodes, where they belong, how they are reached, and what polls read from them."""

from nodes.models.credential import Credential
from nodes.models.facts import Deployment, Facts, Measurement, TimelineEvent
from nodes.models.group import Cluster, Pool
from nodes.models.node import HostKey, Node
from nodes.models.release import Release, Stream

__all__ = [
    "Cluster",
    "Credential",
    "Deployment",
    "Facts",
    "HostKey",
    "Measurement",
    "Node",
    "Pool",
    "Release",
    "Stream",
    "TimelineEvent",
]
