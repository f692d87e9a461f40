"""The overview, what the palette finds, and operations."""

from __future__ import annotations

from django.urls import path

from ops import backup_urls, replacement_urls
from ops.palette import palette
from ops.views import clusters, control, deployments, findings, holds, issued, pool_checks, runbook, schedules
from ops.views.approvals import approval_queue, decide_request
from ops.views.detail import operation_log, operation_page
from ops.views.limits import limit_edit, limit_list
from ops.views.list import operation_list
from ops.views.overview import overview
from ops.views.plan import plan
from ops.views.request import request_page
from ops.views.rules import rule_delete, rule_edit, rule_list

urlpatterns = [
    path("", overview, name="overview"),
    path("palette/", palette, name="palette"),
    *backup_urls.pages,
    *replacement_urls.pages,
    path("operations/", operation_list, name="operations"),
    path("operations/-/plan/", plan, name="operation_plan"),
    path("operations/holds/", holds.hold_list, name="version_holds"),
    path("operations/holds/-/add/", holds.hold_add, name="version_hold_add"),
    path("operations/holds/<int:hold_id>/lift/", holds.hold_lift, name="version_hold_lift"),
    path("pools/<str:name>/checks/-/add/", pool_checks.check_add, name="pool_check_add"),
    path("pools/<str:name>/checks/<uuid:check_id>/", pool_checks.check_edit, name="pool_check"),
    path("pools/<str:name>/checks/<uuid:check_id>/delete/", pool_checks.check_delete, name="pool_check_delete"),
    path("pools/-/runbook/", runbook.runbook_overdue, name="runbook_overdue"),
    path("pools/<str:name>/runbook/", runbook.runbook_page, name="runbook"),
    path("pools/<str:name>/runbook/edit/", runbook.runbook_edit, name="runbook_edit"),
    path("clusters/<str:name>/access/", clusters.cluster_access, name="cluster_access"),
    path("clusters/<str:name>/access/delete/", clusters.cluster_access_delete, name="cluster_access_delete"),
    path("clusters/<str:name>/access/look/", clusters.cluster_look, name="cluster_look"),
    path("clusters/<str:name>/certificates/<str:namespace>/<str:certificate>/", issued.issued_page, name="issued"),
    path(
        "clusters/<str:name>/deployments/<str:namespace>/<str:deployment>/",
        deployments.deployment_page,
        name="deployment",
    ),
    path("operations/-/stop/", control.stop, name="operation_stop"),
    path("operations/schedules/", schedules.schedule_list, name="schedules"),
    path("operations/schedules/-/add/", schedules.schedule_edit, name="schedule_add"),
    path("operations/schedules/-/next/", schedules.next_shown, name="schedule_next"),
    path("operations/schedules/<uuid:schedule_id>/", schedules.schedule_page, name="schedule"),
    path("operations/schedules/<uuid:schedule_id>/edit/", schedules.schedule_edit, name="schedule_edit"),
    path("operations/schedules/<uuid:schedule_id>/do/", schedules.schedule_do, name="schedule_do"),
    path("operations/approvals/", approval_queue, name="approvals"),
    path("operations/limits/", limit_list, name="limits"),
    path("operations/limits/<slug:scope>/<str:name>/", limit_edit, name="limit"),
    path("operations/approval-rules/", rule_list, name="approval_rules"),
    path("operations/approval-rules/-/add/", rule_edit, name="approval_rule_add"),
    path("operations/approval-rules/<int:rule_id>/", rule_edit, name="approval_rule"),
    path("operations/approval-rules/<int:rule_id>/delete/", rule_delete, name="approval_rule_delete"),
    path("operations/requests/<uuid:request_id>/", request_page, name="operation_bulk"),
    path("operations/requests/<uuid:request_id>/decide/", decide_request, name="operation_bulk_decide"),
    path("operations/requests/<uuid:request_id>/cancel/", control.cancel_request, name="operation_bulk_cancel"),
    path("operations/requests/<uuid:request_id>/retry/", control.retry_request, name="operation_bulk_retry"),
    path("operations/<uuid:operation_id>/", operation_page, name="operation"),
    path("operations/<uuid:operation_id>/packages/", findings.packages, name="operation_packages"),
    path(
        "operations/<uuid:operation_id>/attachments/<int:attachment_id>/",
        findings.attachment,
        name="operation_attachment",
    ),
    path("operations/<uuid:operation_id>/log/", operation_log, name="operation_log"),
    path("operations/<uuid:operation_id>/cancel/", control.cancel, name="operation_cancel"),
    path("operations/<uuid:operation_id>/retry/", control.retry, name="operation_retry"),
    path("operations/<uuid:operation_id>/resolve/", control.resolve, name="operation_resolve"),
    path("operations/<uuid:operation_id>/approve/", control.approve, name="operation_approve"),
]
