"""The addresses of the API: /api/v1/, its schema, the page to try it out, and /healthz and /readyz."""

from __future__ import annotations

from typing import Any

from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.access.api import views as access
from fleetui.access.api.health import Health
from fleetui.access.api.permissions import DeclaredPermission
from fleetui.access.api.retention import RetentionDetail, RetentionList
from fleetui.access.guards import needs
from fleetui.audit.api import AuditExport, AuditList
from fleetui.core.api import converters
from fleetui.core.api.actions import PUBLIC, Action
from fleetui.core.api.renderers import OrjsonRenderer
from fleetui.core.api.views import ApiView, EnglishView
from fleetui.core.errors import NotFound
from fleetui.core.health import healthz, readyz
from fleetui.notify import api as notify
from nodes.api import (
    bulk,
    certificates,
    comparing,
    containers,
    duplicates,
    enrolment,
    exporting,
    facts,
    groups,
    importing,
    jump_hosts,
    nodes,
    others,
    pool_tokens,
    provisioning,
    rotation,
    saved_views,
    support,
)
from nodes.api.discovery import Discovery
from nodes.api.history import StatsHistory
from nodes.api.ignition.urls import urlpatterns as ignition
from nodes.api.metrics import Metrics
from nodes.api.stats import Stats
from ops.api_urls import urlpatterns as operations

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
converters.register()


class Nothing(ApiView):
    """Addresses that do not exist are answered in the API's own form."""

    hidden = True
    permission_classes = [DeclaredPermission]
    actions = {method: Action(PUBLIC, "nothing", "Nothing", {}) for method in _METHODS}

    def get(self, request: Request, rest: str = "") -> Response:
        raise NotFound(f"There is nothing at {request.path}.", mend="Look at /api/docs/. Addresses end with a slash.")

    post = put = patch = delete = get

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """No parameter of an address that does not exist is wrong."""


class Schema(EnglishView, SpectacularAPIView):
    """The OpenAPI 3 document of this API."""

    permission_classes = [DeclaredPermission]
    actions = {"GET": Action("nodes.read", "schema_read", "This document", {})}
    schema = None

    def handle_exception(self, exc: Exception) -> Response:
        """Errors are in the form of all others, whatever form of the document was asked for."""
        self.request.accepted_renderer = OrjsonRenderer()
        return super().handle_exception(exc)


@csp_update({"style-src": ["'self'", "'unsafe-inline'"], "img-src": ["'self'", "data:"]})
@needs("nodes.read")
def docs(request: HttpRequest) -> HttpResponse:
    """Swagger from our own static files; its inline styles are allowed on this page only."""
    view = SpectacularSwaggerSplitView.as_view(
        url_name="api:schema", permission_classes=[AllowAny], authentication_classes=[]
    )
    response: HttpResponse = view(request)
    return response


_api = [
    path("v1/schema/", Schema.as_view(), name="schema"),
    path("docs/", docs, name="docs"),
    path("v1/nodes/", nodes.NodeList.as_view(), name="nodes"),
    path("v1/nodes/bulk/", bulk.NodeBulk.as_view(), name="nodes-bulk"),
    path("v1/nodes/compare/", comparing.NodeCompare.as_view(), name="nodes-compare"),
    path("v1/nodes/export/", exporting.NodeExport.as_view(), name="nodes-export"),
    path("v1/nodes/import/", importing.NodeImport.as_view(), name="nodes-import"),
    path("v1/nodes/import/<uuid:plan_id>/", importing.NodeImportDetail.as_view(), name="nodes-import-plan"),
    path("v1/nodes/import/<uuid:plan_id>/rows/", importing.NodeImportRows.as_view(), name="nodes-import-rows"),
    path("v1/nodes/import/<uuid:plan_id>/apply/", importing.NodeImportApply.as_view(), name="nodes-import-apply"),
    path("v1/nodes/duplicates/", duplicates.Duplicates.as_view(), name="duplicates"),
    path("v1/nodes/duplicates/<uuid:distinct_id>/", duplicates.DistinctDetail.as_view(), name="distinct"),
    path("v1/nodes/<name:name>/", nodes.NodeDetail.as_view(), name="node"),
    path("v1/nodes/<name:name>/facts/", nodes.NodeFacts.as_view(), name="node-facts"),
    path("v1/nodes/<name:name>/deployments/", nodes.NodeDeployments.as_view(), name="node-deployments"),
    path("v1/nodes/<name:name>/timeline/", nodes.NodeTimeline.as_view(), name="node-timeline"),
    path("v1/nodes/<name:name>/host-keys/", nodes.NodeHostKeys.as_view(), name="node-host-keys"),
    path("v1/nodes/<name:name>/merge/", duplicates.NodeMerge.as_view(), name="node-merge"),
    path("v1/nodes/<name:name>/host-certificate/", nodes.NodeHostCertificate.as_view(), name="node-host-certificate"),
    path("v1/nodes/<name:name>/provisionings/", provisioning.ProvisioningList.as_view(), name="provisionings"),
    path(
        "v1/nodes/<name:name>/provisionings/<uuid:provisioning_id>/",
        provisioning.ProvisioningDetail.as_view(),
        name="provisioning",
    ),
    path("v1/nodes/<name:name>/poll/", nodes.NodePoll.as_view(), name="node-poll"),
    path("v1/nodes/<name:name>/containers/", containers.NodeContainers.as_view(), name="node-containers"),
    path("v1/containers/export/", exporting.ContainerExport.as_view(), name="containers-export"),
    path("v1/containers/", containers.ContainerList.as_view(), name="containers"),
    path("v1/containers/images/", containers.ImageList.as_view(), name="container-images"),
    path("v1/nodes/<name:name>/certificates/", certificates.NodeCertificates.as_view(), name="node-certificates"),
    path(
        "v1/nodes/<name:name>/certificates/read/",
        certificates.NodeCertificatesRead.as_view(),
        name="node-certificates-read",
    ),
    path("v1/certificates/export/", exporting.CertificateExport.as_view(), name="certificates-export"),
    path("v1/certificates/", certificates.CertificateList.as_view(), name="certificates"),
    path("v1/certificate-endpoints/", certificates.EndpointList.as_view(), name="certificate-endpoints"),
    path(
        "v1/certificate-endpoints/<uuid:source_id>/",
        certificates.EndpointDetail.as_view(),
        name="certificate-endpoint",
    ),
    path(
        "v1/certificate-endpoints/<uuid:source_id>/look/",
        certificates.EndpointLook.as_view(),
        name="certificate-endpoint-look",
    ),
    path("v1/views/", saved_views.ViewList.as_view(), name="views"),
    path("v1/views/<uuid:view_id>/", saved_views.ViewDetail.as_view(), name="view"),
    path("v1/views/<uuid:view_id>/default/", saved_views.ViewDefault.as_view(), name="view-default"),
    path("v1/facts/paths/", facts.FactPaths.as_view(), name="facts-paths"),
    path("v1/pools/", groups.PoolList.as_view(), name="pools"),
    path("v1/pools/export/", exporting.PoolExport.as_view(), name="pools-export"),
    path("v1/pools/<name:name>/", groups.PoolDetail.as_view(), name="pool"),
    path("v1/pools/<name:name>/enrolment-tokens/", enrolment.EnrolmentTokenList.as_view(), name="enrolment-tokens"),
    path(
        "v1/pools/<name:name>/enrolment-tokens/<uuid:token_id>/",
        enrolment.EnrolmentTokenDetail.as_view(),
        name="enrolment-token",
    ),
    path("v1/pools/<name:name>/provisioning-tokens/", pool_tokens.PoolTokenList.as_view(), name="provisioning-tokens"),
    path(
        "v1/pools/<name:name>/provisioning-tokens/<uuid:token_id>/",
        pool_tokens.PoolTokenDetail.as_view(),
        name="provisioning-token",
    ),
    path("v1/enrol/", enrolment.Enrol.as_view(), name="enrol"),
    path("v1/pools/<name:name>/next-credential/", rotation.NextCredential.as_view(), name="next-credential"),
    path(
        "v1/pools/<name:name>/next-credential/switch/",
        rotation.NextCredentialSwitch.as_view(),
        name="next-credential-switch",
    ),
    path(
        "v1/pools/<name:name>/next-credential/retry/",
        rotation.NextCredentialRetry.as_view(),
        name="next-credential-retry",
    ),
    path("v1/clusters/", groups.ClusterList.as_view(), name="clusters"),
    path("v1/clusters/export/", exporting.ClusterExport.as_view(), name="clusters-export"),
    path("v1/clusters/<name:name>/", groups.ClusterDetail.as_view(), name="cluster"),
    path("v1/credentials/", groups.CredentialList.as_view(), name="credentials"),
    path("v1/credentials/export/", exporting.CredentialExport.as_view(), name="credentials-export"),
    path("v1/credentials/<name:name>/", groups.CredentialDetail.as_view(), name="credential"),
    path("v1/jump-hosts/", jump_hosts.JumpHostList.as_view(), name="jump-hosts"),
    path("v1/jump-hosts/export/", exporting.JumpHostExport.as_view(), name="jump-hosts-export"),
    path("v1/jump-hosts/<name:name>/", jump_hosts.JumpHostDetail.as_view(), name="jump-host"),
    path("v1/jump-hosts/<name:name>/host-key/", jump_hosts.JumpHostKey.as_view(), name="jump-host-key"),
    path("v1/jump-hosts/<name:name>/try/", jump_hosts.JumpHostTry.as_view(), name="jump-host-try"),
    path("v1/host-keys/", others.HostKeyList.as_view(), name="host-keys"),
    path("v1/host-keys/export/", exporting.HostKeyExport.as_view(), name="host-keys-export"),
    path("v1/host-keys/accept/", others.HostKeysAccept.as_view(), name="host-keys-accept"),
    path("v1/host-keys/<uuid:key_id>/", others.HostKeyDetail.as_view(), name="host-key"),
    path("v1/host-keys/<uuid:key_id>/accept/", others.HostKeyAccept.as_view(), name="host-key-accept"),
    path("v1/host-keys/<uuid:key_id>/refuse/", others.HostKeyRefuse.as_view(), name="host-key-refuse"),
    path("v1/host-keys/<uuid:key_id>/forget/", others.HostKeyForget.as_view(), name="host-key-forget"),
    path("v1/releases/", others.ReleaseList.as_view(), name="releases"),
    path("v1/releases/export/", exporting.ReleaseExport.as_view(), name="releases-export"),
    path("v1/releases/support/", support.SupportList.as_view(), name="support"),
    path("v1/releases/support/<uuid:pk>/", support.SupportDetail.as_view(), name="support-end"),
    path("v1/releases/import/", others.ReleaseImport.as_view(), name="releases-import"),
    path("v1/releases/<uuid:pk>/", others.ReleaseDetail.as_view(), name="release"),
    path("v1/stats/", Stats.as_view(), name="stats"),
    path("v1/stats/history/", StatsHistory.as_view(), name="stats-history"),
    path("v1/timeline/export/", exporting.TimelineExport.as_view(), name="timeline-export"),
    path("v1/timeline/", nodes.FleetTimeline.as_view(), name="timeline"),
    path("v1/health/", Health.as_view(), name="health"),
    path("v1/tokens/", access.TokenList.as_view(), name="tokens"),
    path("v1/tokens/export/", access.TokenExport.as_view(), name="tokens-export"),
    path("v1/tokens/<uuid:token_id>/", access.TokenDetail.as_view(), name="token"),
    path("v1/users/", access.UserList.as_view(), name="users"),
    path("v1/users/export/", access.UserExport.as_view(), name="users-export"),
    path("v1/users/<username:username>/", access.UserDetail.as_view(), name="user"),
    path("v1/roles/", access.RoleList.as_view(), name="roles"),
    path("v1/roles/<uuid:binding_id>/", access.RoleDetail.as_view(), name="role"),
    path("v1/retention/", RetentionList.as_view(), name="retention"),
    path("v1/retention/<slug:subject>/", RetentionDetail.as_view(), name="retention-of"),
    path("v1/notifications/", notify.ChannelList.as_view(), name="notifications"),
    path("v1/notifications/<uuid:channel_id>/", notify.ChannelDetail.as_view(), name="notification"),
    path("v1/notifications/<uuid:channel_id>/test/", notify.ChannelTest.as_view(), name="notification-test"),
    path(
        "v1/notifications/<uuid:channel_id>/deliveries/", notify.ChannelDeliveries.as_view(), name="notification-sent"
    ),
    path("v1/audit/export/", AuditExport.as_view(), name="audit-export"),
    path("v1/audit/", AuditList.as_view(), name="audit"),
    *ignition,
    *operations,
    # Line ends too, which `.` leaves out.
    re_path(r"^(?P<rest>[\s\S]*)\Z", Nothing.as_view(), name="nothing"),
]

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", Metrics.as_view(), name="metrics"),
    path("sd/prometheus", Discovery.as_view(), name="sd_prometheus"),
    path("api/", include((_api, "api"))),
]
