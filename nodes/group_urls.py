"""Addresses of what stands beside the nodes: adding one, pools, clusters, credentials and releases.

`-` stands where a name would: nothing that people name can take the place of a page.
"""

from __future__ import annotations

from django.urls import URLPattern, path

from nodes.views import clusters, credentials, pools, releases
from nodes.views.add import add, public_key

urlpatterns: list[URLPattern] = [
    path("nodes/add/", add, name="add"),
    path("nodes/-/public-key/", public_key, name="public_key"),
    path("pools/", pools.pool_list, name="pools"),
    path("pools/-/add/", pools.pool_add, name="pool_add"),
    path("pools/<str:name>/", pools.pool_page, name="pool"),
    path("pools/<str:name>/edit/", pools.pool_edit, name="pool_edit"),
    path("pools/<str:name>/delete/", pools.pool_delete, name="pool_delete"),
    path("clusters/-/add/", clusters.cluster_add, name="cluster_add"),
    path("clusters/<str:name>/edit/", clusters.cluster_edit, name="cluster_edit"),
    path("clusters/<str:name>/delete/", clusters.cluster_delete, name="cluster_delete"),
    path("credentials/", credentials.credential_list, name="credentials"),
    path("credentials/add/", credentials.credential_add, name="credential_add"),
    path("credentials/<uuid:pk>/", credentials.credential_page, name="credential"),
    path("credentials/<uuid:pk>/edit/", credentials.credential_edit, name="credential_edit"),
    path("credentials/<uuid:pk>/key/", credentials.credential_rotate, name="credential_rotate"),
    path("credentials/<uuid:pk>/delete/", credentials.credential_delete, name="credential_delete"),
    path("settings/releases/", releases.stream_list, name="releases"),
    path("settings/releases/import/", releases.import_page, name="releases_import"),
    path("settings/releases/<str:family>/<str:stream>/", releases.stream_page, name="stream"),
]
