"""The filters of nodes and of what belongs to them: one class for page and API."""

from nodes.filters.certificates import CERTIFICATE_STATES, CertificateFilter
from nodes.filters.containers import ContainerFilter
from nodes.filters.groups import ClusterFilter, CredentialFilter, HostKeyFilter, JumpHostFilter, PoolFilter
from nodes.filters.ignition import IgnitionConfigFilter, IgnitionVersionFilter
from nodes.filters.nodes import NodeFilter
from nodes.filters.releases import ReleaseFilter
from nodes.filters.timeline import FleetTimelineFilter, TimelineFilter

__all__ = [
    "CERTIFICATE_STATES",
    "CertificateFilter",
    "ClusterFilter",
    "ContainerFilter",
    "CredentialFilter",
    "FleetTimelineFilter",
    "HostKeyFilter",
    "IgnitionConfigFilter",
    "IgnitionVersionFilter",
    "JumpHostFilter",
    "NodeFilter",
    "PoolFilter",
    "ReleaseFilter",
    "TimelineFilter",
]
