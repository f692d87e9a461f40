"""Addresses of Ignition in the API."""

from __future__ import annotations

from django.urls import URLPattern, path

from fleetui.core.api import converters
from nodes.api import drift
from nodes.api.ignition import configs, git, git_webhook, places, versions

converters.register()

_GIT = "v1/ignition/configs/<name:name>/git/"
_VERSION = "v1/ignition/versions/<uuid:version_id>/"

urlpatterns: list[URLPattern] = [
    path("v1/ignition/configs/", configs.ConfigList.as_view(), name="ignition-configs"),
    path("v1/ignition/configs/<name:name>/", configs.ConfigDetail.as_view(), name="ignition-config"),
    path(_GIT, git.ConfigGit.as_view(), name="ignition-config-git"),
    path(f"{_GIT}commits/", git.ConfigGitCommits.as_view(), name="ignition-config-git-commits"),
    path(f"{_GIT}webhook/", git_webhook.ConfigGitWebhook.as_view(), name="ignition-config-git-webhook"),
    path(f"{_GIT}deliveries/", git_webhook.ConfigGitDeliveries.as_view(), name="ignition-config-git-deliveries"),
    path(f"{_GIT}sync/", git.ConfigGitSync.as_view(), name="ignition-config-git-sync"),
    path(f"{_GIT}accept-history/", git.ConfigGitHistory.as_view(), name="ignition-config-git-history"),
    path(f"{_GIT}trust-host-key/", git.ConfigGitHostKey.as_view(), name="ignition-config-git-host-key"),
    path("v1/ignition/versions/", versions.VersionList.as_view(), name="ignition-versions"),
    path(_VERSION, versions.VersionDetail.as_view(), name="ignition-version"),
    path(f"{_VERSION}rendered/", versions.VersionRendered.as_view(), name="ignition-version-rendered"),
    path(f"{_VERSION}diff/", versions.VersionDiff.as_view(), name="ignition-version-diff"),
    path(f"{_VERSION}submit/", versions.VersionSubmit.as_view(), name="ignition-version-submit"),
    path(f"{_VERSION}approve/", versions.VersionApprove.as_view(), name="ignition-version-approve"),
    path(f"{_VERSION}return/", versions.VersionReturn.as_view(), name="ignition-version-return"),
    path(f"{_VERSION}withdraw/", versions.VersionWithdraw.as_view(), name="ignition-version-withdraw"),
    path("v1/ignition/check/", versions.Check.as_view(), name="ignition-check"),
    path("v1/pools/<name:name>/ignition/", places.PoolIgnition.as_view(), name="pool-ignition"),
    path("v1/pools/<name:name>/ignition/values/", places.PoolValues.as_view(), name="pool-ignition-values"),
    path(
        "v1/pools/<name:name>/ignition/values/<slug:variable>/", places.PoolValue.as_view(), name="pool-ignition-value"
    ),
    path("v1/nodes/<name:name>/ignition/", places.NodeIgnition.as_view(), name="node-ignition"),
    path("v1/nodes/<name:name>/drift/", drift.NodeDrift.as_view(), name="node-drift"),
    path("v1/nodes/<name:name>/drift/check/", drift.NodeDriftCheck.as_view(), name="node-drift-check"),
    path("v1/nodes/<name:name>/drift/permanent/", drift.NodeDriftPermanent.as_view(), name="node-drift-permanent"),
    path("v1/nodes/<name:name>/ignition/values/", places.NodeValues.as_view(), name="node-ignition-values"),
    path(
        "v1/nodes/<name:name>/ignition/values/<slug:variable>/", places.NodeValue.as_view(), name="node-ignition-value"
    ),
]
