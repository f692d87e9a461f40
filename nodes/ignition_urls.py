"""Addresses of Ignition configs, and of what pools and nodes have of them.

Configs stand below `configs/`: what is right below `ignition/` is for machines that fetch.
"""

from __future__ import annotations

from django.urls import URLPattern, path

from nodes.views.ignition.actions import approve, submit, withdraw
from nodes.views.ignition.diff import diff_page
from nodes.views.ignition.drift import drift_check, drift_permanent
from nodes.views.ignition.editing import check_source, config_add, config_delete, config_edit, write
from nodes.views.ignition.git import git_act, git_edit, git_page
from nodes.views.ignition.lists import config_list, config_page
from nodes.views.ignition.places import (
    node_choose,
    node_ignition,
    node_value,
    pool_choose,
    pool_ignition,
    pool_value,
)
from nodes.views.ignition.version import version_page, version_raw
from nodes.views.ignition.webhook import git_webhook, git_webhook_make, git_webhook_remove

_CONFIG = "ignition/configs/<str:name>/"
_VERSION = f"{_CONFIG}<int:number>/"

urlpatterns: list[URLPattern] = [
    path("ignition/configs/", config_list, name="ignition"),
    path("ignition/configs/-/add/", config_add, name="ignition_add"),
    path("ignition/configs/-/check/", check_source, name="ignition_check"),
    path(_CONFIG, config_page, name="ignition_config"),
    path(f"{_CONFIG}edit/", config_edit, name="ignition_edit"),
    path(f"{_CONFIG}write/", write, name="ignition_write"),
    path(f"{_CONFIG}delete/", config_delete, name="ignition_delete"),
    path(f"{_CONFIG}git/", git_page, name="ignition_git"),
    path(f"{_CONFIG}git/edit/", git_edit, name="ignition_git_edit"),
    path(f"{_CONFIG}git/webhook/", git_webhook_make, name="ignition_git_webhook_make"),
    path(f"{_CONFIG}git/webhook/remove/", git_webhook_remove, name="ignition_git_webhook_remove"),
    path(f"{_CONFIG}git/<slug:act>/", git_act, name="ignition_git_act"),
    path(_VERSION, version_page, name="ignition_version"),
    path(f"{_VERSION}raw/", version_raw, name="ignition_raw"),
    path(f"{_VERSION}diff/", diff_page, name="ignition_diff"),
    path(f"{_VERSION}submit/", submit, name="ignition_submit"),
    path(f"{_VERSION}approve/", approve, name="ignition_approve"),
    path(f"{_VERSION}withdraw/", withdraw, name="ignition_withdraw"),
    path("pools/<str:name>/ignition/", pool_ignition, name="pool_ignition"),
    path("pools/<str:name>/ignition/choose/", pool_choose, name="pool_ignition_choose"),
    path("pools/<str:name>/ignition/value/", pool_value, name="pool_ignition_value"),
    path("nodes/<str:name>/ignition/", node_ignition, name="node_ignition"),
    path("nodes/<str:name>/ignition/check/", drift_check, name="node_drift_check"),
    path("nodes/<str:name>/ignition/permanent/", drift_permanent, name="node_drift_permanent"),
    path("nodes/<str:name>/ignition/choose/", node_choose, name="node_ignition_choose"),
    path("nodes/<str:name>/ignition/value/", node_value, name="node_ignition_value"),
    # For forges that tell of a push.
    path("hooks/git/<str:hook_id>/", git_webhook, name="git_webhook"),
]
