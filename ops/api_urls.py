"""The addresses of operations in the API."""

from __future__ import annotations

from django.urls import URLPattern, path

from ops import backup_urls, replacement_urls
from ops.api import (
    clusters,
    deployments,
    findings,
    governance,
    holds,
    issued,
    pool_checks,
    requests,
    runbook,
    schedules,
)
from ops.api import operations as api

urlpatterns: list[URLPattern] = [
    *backup_urls.endpoints,
    *replacement_urls.endpoints,
    path("v1/operations/export/", api.OperationExport.as_view(), name="operations-export"),
    path("v1/operations/", api.OperationList.as_view(), name="operations"),
    path("v1/operations/bulk/<uuid:request_id>/", requests.OperationBulk.as_view(), name="operations-bulk"),
    path(
        "v1/operations/bulk/<uuid:request_id>/cancel/",
        requests.OperationBulkCancel.as_view(),
        name="operations-bulk-cancel",
    ),
    path(
        "v1/operations/bulk/<uuid:request_id>/retry/",
        requests.OperationBulkRetry.as_view(),
        name="operations-bulk-retry",
    ),
    path(
        "v1/operations/bulk/<uuid:request_id>/approve/",
        requests.OperationBulkApprove.as_view(),
        name="operations-bulk-approve",
    ),
    path(
        "v1/operations/bulk/<uuid:request_id>/reject/",
        requests.OperationBulkReject.as_view(),
        name="operations-bulk-reject",
    ),
    path("v1/operations/approvals/", requests.Approvals.as_view(), name="approvals"),
    path("v1/operations/stop/", governance.StopAll.as_view(), name="operations-stop"),
    path("v1/operations/<uuid:operation_id>/", api.OperationDetail.as_view(), name="operation"),
    path(
        "v1/operations/<uuid:operation_id>/findings/", findings.OperationFindings.as_view(), name="operation-findings"
    ),
    path(
        "v1/operations/<uuid:operation_id>/packages/", findings.OperationPackages.as_view(), name="operation-packages"
    ),
    path(
        "v1/operations/<uuid:operation_id>/attachments/<int:attachment_id>/",
        findings.OperationAttachment.as_view(),
        name="operation-attachment",
    ),
    path("v1/operations/<uuid:operation_id>/log/", api.OperationLog.as_view(), name="operation-log"),
    path("v1/operations/<uuid:operation_id>/cancel/", api.OperationCancel.as_view(), name="operation-cancel"),
    path("v1/operations/<uuid:operation_id>/approve/", api.OperationApprove.as_view(), name="operation-approve"),
    path("v1/operations/<uuid:operation_id>/reject/", api.OperationReject.as_view(), name="operation-reject"),
    path("v1/operations/<uuid:operation_id>/retry/", api.OperationRetry.as_view(), name="operation-retry"),
    path("v1/operations/<uuid:operation_id>/resolve/", api.OperationResolve.as_view(), name="operation-resolve"),
    path("v1/operations/<uuid:operation_id>/go-on/", api.OperationGoOn.as_view(), name="operation-go-on"),
    path("v1/version-holds/", holds.HoldList.as_view(), name="version-holds"),
    path("v1/version-holds/<int:hold_id>/", holds.HoldDetail.as_view(), name="version-hold"),
    path("v1/pools/<str:name>/checks/", pool_checks.CheckList.as_view(), name="pool-checks"),
    path("v1/pools/<str:name>/checks/<uuid:check_id>/", pool_checks.CheckDetail.as_view(), name="pool-check"),
    path("v1/pools/<str:name>/runbook/", runbook.Runbook.as_view(), name="pool-runbook"),
    path("v1/clusters/<str:name>/access/", clusters.AccessDetail.as_view(), name="cluster-access"),
    path("v1/clusters/<str:name>/access/look/", clusters.AccessLook.as_view(), name="cluster-access-look"),
    path("v1/clusters/<str:name>/nodes/", clusters.ClusterNodes.as_view(), name="cluster-nodes"),
    path("v1/clusters/<str:name>/certificates/", issued.IssuedList.as_view(), name="cluster-certificates"),
    path(
        "v1/clusters/<str:name>/certificates/<str:namespace>/<str:certificate>/renew/",
        issued.IssuedRenew.as_view(),
        name="cluster-certificate-renew",
    ),
    path("v1/clusters/<str:name>/deployments/", deployments.DeploymentList.as_view(), name="cluster-deployments"),
    path(
        "v1/clusters/<str:name>/deployments/<str:namespace>/<str:deployment>/image/",
        deployments.DeploymentImage.as_view(),
        name="cluster-deployment-image",
    ),
    path(
        "v1/clusters/<str:name>/deployments/<str:namespace>/<str:deployment>/rollback/",
        deployments.DeploymentRollback.as_view(),
        name="cluster-deployment-rollback",
    ),
    path("v1/limits/", governance.LimitList.as_view(), name="limits"),
    path("v1/limits/<slug:scope>/<str:name>/", governance.LimitDetail.as_view(), name="limit"),
    path("v1/approval-rules/", governance.RuleList.as_view(), name="approval-rules"),
    path("v1/approval-rules/<int:rule_id>/", governance.RuleDetail.as_view(), name="approval-rule"),
    path("v1/schedules/", schedules.ScheduleList.as_view(), name="schedules"),
    path("v1/schedules/next-runs/", schedules.NextRuns.as_view(), name="schedules-next"),
    path("v1/schedules/<uuid:schedule_id>/", schedules.ScheduleDetail.as_view(), name="schedule"),
    path("v1/schedules/<uuid:schedule_id>/pause/", schedules.SchedulePause.as_view(), name="schedule-pause"),
    path("v1/schedules/<uuid:schedule_id>/runs/", schedules.ScheduleRuns.as_view(), name="schedule-runs"),
]
