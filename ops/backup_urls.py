"""The addresses of backups: pages, and the API."""

from __future__ import annotations

from django.urls import URLPattern, path

from ops.api import backup_targets as targets_api
from ops.api import backups as api
from ops.api import restores as restores_api
from ops.views import backup_targets, backups, restores

pages: list[URLPattern] = [
    path("backups/", backups.policy_list, name="backups"),
    path("backups/-/add/", backups.policy_edit, name="backup_policy_add"),
    path("backups/targets/", backup_targets.target_list, name="backup_targets"),
    path("backups/targets/-/add/", backup_targets.target_edit, name="backup_target_add"),
    path("backups/targets/<uuid:target_id>/", backup_targets.target_edit, name="backup_target"),
    path("backups/targets/<uuid:target_id>/do/", backup_targets.target_do, name="backup_target_do"),
    path("backups/<uuid:policy_id>/", backups.policy_page, name="backup_policy"),
    path("backups/<uuid:policy_id>/edit/", backups.policy_edit, name="backup_policy_edit"),
    path("backups/<uuid:policy_id>/run/", backups.policy_run, name="backup_policy_run"),
    path("backups/<uuid:policy_id>/drill/", backups.policy_drill, name="backup_policy_drill"),
    path("backups/<uuid:policy_id>/restore/", restores.restore_ask, name="backup_restore"),
    path("operations/<uuid:operation_id>/restore/", restores.restore_guide, name="operation_restore"),
    path("backups/<uuid:policy_id>/delete/", backups.policy_delete, name="backup_policy_delete"),
]
endpoints: list[URLPattern] = [
    path("v1/backups/policies/", api.PolicyList.as_view(), name="backup-policies"),
    path("v1/backups/policies/<uuid:policy_id>/", api.PolicyDetail.as_view(), name="backup-policy"),
    path("v1/backups/targets/", targets_api.TargetList.as_view(), name="backup-targets"),
    path("v1/backups/targets/<uuid:target_id>/", targets_api.TargetDetail.as_view(), name="backup-target"),
    path("v1/backups/targets/<uuid:target_id>/test/", targets_api.TargetTest.as_view(), name="backup-target-test"),
    path("v1/backups/<uuid:policy_id>/runs/", api.PolicyRuns.as_view(), name="backup-runs"),
    path("v1/backups/<uuid:policy_id>/drills/", api.PolicyDrills.as_view(), name="backup-drills"),
    path("v1/backups/<uuid:policy_id>/plan/", api.PolicyPlan.as_view(), name="backup-plan"),
    path("v1/backups/<uuid:policy_id>/restore/", restores_api.PolicyRestore.as_view(), name="backup-restore"),
    path(
        "v1/operations/<uuid:operation_id>/restore/",
        restores_api.OperationRestore.as_view(),
        name="operation-restore",
    ),
    path("v1/backups/<uuid:policy_id>/report/", api.PolicyReport.as_view(), name="backup-report"),
]
