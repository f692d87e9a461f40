"""The filters of what nodes belong to: pools, clusters, jump hosts, credentials; and of host keys."""

from __future__ import annotations

from fleetui.core.filters import FilterSet, ListFilter, TextFilter
from nodes.filters.common import named
from nodes.models import Cluster, Credential, HostKey, JumpHost, Pool


class PoolFilter(FilterSet):
    q = TextFilter(named, help_text="Part of the name.")
    cluster = ListFilter("cluster__name", help_text="Names of clusters.")

    class Meta:
        model = Pool
        fields: list[str] = []


class ClusterFilter(FilterSet):
    q = TextFilter(named, help_text="Part of the name.")

    class Meta:
        model = Cluster
        fields: list[str] = []


class JumpHostFilter(FilterSet):
    q = TextFilter(named, help_text="Part of the name.")

    class Meta:
        model = JumpHost
        fields: list[str] = []


class CredentialFilter(FilterSet):
    q = TextFilter(named, help_text="Part of the name.")

    class Meta:
        model = Credential
        fields: list[str] = []


class HostKeyFilter(FilterSet):
    node = ListFilter("node__name", help_text="Names of nodes.")
    state = ListFilter(
        "state", allowed=HostKey.STATES, help_text="Whether it waits for a decision, is trusted, or is history."
    )
    fingerprint = ListFilter("fingerprint", help_text="Fingerprints, as SHA256:...")

    class Meta:
        model = HostKey
        fields: list[str] = []
