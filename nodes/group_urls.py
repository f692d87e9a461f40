"""Addresses of what stands beside the nodes: adding one, pools, clusters, credentials and releases.

`-` stands where a name would: nothing that people name can take the place of a page.
"""

from __future__ import annotations

from django.urls import URLPattern, path

from nodes.views import enrolment, pool_tokens
from nodes.views.add import add, public_key
from nodes.views.clusters import cluster_add, cluster_delete, cluster_edit, cluster_list, cluster_page
from nodes.views.credentials import (
    credential_add,
    credential_delete,
    credential_edit,
    credential_list,
    credential_page,
    credential_rotate,
)
from nodes.views.jump_hosts import (
    jump_host_add,
    jump_host_delete,
    jump_host_edit,
    jump_host_key,
    jump_host_list,
    jump_host_page,
    jump_host_try,
)
from nodes.views.pools import pool_add, pool_delete, pool_edit, pool_list, pool_page
from nodes.views.releases import import_page, release_delete, stream_list, stream_page
from nodes.views.rotation import rotation_page, rotation_retry, rotation_stop, rotation_switch
from nodes.views.support import support_add, support_delete

urlpatterns: list[URLPattern] = [
    path("nodes/add/", add, name="add"),
    path("nodes/-/public-key/", public_key, name="public_key"),
    path("pools/", pool_list, name="pools"),
    path("pools/-/add/", pool_add, name="pool_add"),
    path("pools/<str:name>/", pool_page, name="pool"),
    path("pools/<str:name>/edit/", pool_edit, name="pool_edit"),
    path("pools/<str:name>/key/", rotation_page, name="pool_key"),
    path("pools/<str:name>/key/switch/", rotation_switch, name="pool_key_switch"),
    path("pools/<str:name>/key/stop/", rotation_stop, name="pool_key_stop"),
    path("pools/<str:name>/key/retry/", rotation_retry, name="pool_key_retry"),
    path("pools/<str:name>/delete/", pool_delete, name="pool_delete"),
    path("pools/<str:name>/enrolment/add/", enrolment.token_add, name="enrolment_add"),
    path("pools/<str:name>/enrolment/<uuid:token_id>/revoke/", enrolment.token_revoke, name="enrolment_revoke"),
    path("pools/<str:name>/provisioning/add/", pool_tokens.token_add, name="pool_token_add"),
    path("pools/<str:name>/provisioning/<uuid:token_id>/revoke/", pool_tokens.token_revoke, name="pool_token_revoke"),
    path("clusters/", cluster_list, name="clusters"),
    path("clusters/-/add/", cluster_add, name="cluster_add"),
    path("clusters/<str:name>/", cluster_page, name="cluster"),
    path("clusters/<str:name>/edit/", cluster_edit, name="cluster_edit"),
    path("clusters/<str:name>/delete/", cluster_delete, name="cluster_delete"),
    path("credentials/", credential_list, name="credentials"),
    path("credentials/add/", credential_add, name="credential_add"),
    path("credentials/jump-hosts/", jump_host_list, name="jump_hosts"),
    path("credentials/jump-hosts/-/add/", jump_host_add, name="jump_host_add"),
    path("credentials/jump-hosts/<str:name>/", jump_host_page, name="jump_host"),
    path("credentials/jump-hosts/<str:name>/edit/", jump_host_edit, name="jump_host_edit"),
    path("credentials/jump-hosts/<str:name>/key/", jump_host_key, name="jump_host_key"),
    path("credentials/jump-hosts/<str:name>/try/", jump_host_try, name="jump_host_try"),
    path("credentials/jump-hosts/<str:name>/delete/", jump_host_delete, name="jump_host_delete"),
    path("credentials/<uuid:pk>/", credential_page, name="credential"),
    path("credentials/<uuid:pk>/edit/", credential_edit, name="credential_edit"),
    path("credentials/<uuid:pk>/key/", credential_rotate, name="credential_rotate"),
    path("credentials/<uuid:pk>/delete/", credential_delete, name="credential_delete"),
    path("settings/releases/-/support/", support_add, name="support_add"),
    path("settings/releases/-/support/<uuid:pk>/delete/", support_delete, name="support_delete"),
    path("settings/releases/-/<uuid:pk>/delete/", release_delete, name="release_delete"),
    path("settings/releases/", stream_list, name="releases"),
    path("settings/releases/import/", import_page, name="releases_import"),
    path("settings/releases/<str:family>/<str:stream>/", stream_page, name="stream"),
]
