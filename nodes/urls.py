"""Addresses of the nodes app."""

from __future__ import annotations

from django.urls import URLPattern, path

from nodes import group_urls, ignition_urls
from nodes.views import (
    actions,
    bulk,
    certificates,
    column_page,
    compare,
    containers,
    duplicates,
    endpoints,
    exporting,
    fact_filter,
    host_keys,
    importing,
    provisioning,
    saved_views,
)
from nodes.views.detail import node_detail
from nodes.views.edit import edit
from nodes.views.history import history_page
from nodes.views.list import filter_panel, node_list, poll_many
from nodes.views.raw import download
from nodes.views.timeline import fleet_timeline

app_name = "nodes"
urlpatterns: list[URLPattern] = [
    path("nodes/", node_list, name="list"),
    path("nodes/-/poll/", poll_many, name="poll_many"),
    path("nodes/-/filter-panel/", filter_panel, name="filter_panel"),
    path("nodes/-/filter/", fact_filter.add_filter, name="add_filter"),
    path("nodes/-/fact-values/", fact_filter.fact_values, name="fact_values"),
    path("nodes/-/columns/", column_page.choose, name="columns"),
    path("nodes/-/compare/", compare.compare_nodes, name="compare"),
    path("nodes/-/export/", exporting.export_nodes, name="export"),
    path("nodes/-/views/", saved_views.view_list, name="views"),
    path("nodes/-/views/add/", saved_views.view_add, name="view_add"),
    path("nodes/-/views/<uuid:pk>/", saved_views.view_edit, name="view_edit"),
    path("nodes/-/views/<uuid:pk>/default/", saved_views.view_default, name="view_default"),
    path("nodes/-/views/<uuid:pk>/delete/", saved_views.view_delete, name="view_delete"),
    path("nodes/-/bulk/", bulk.bulk, name="bulk"),
    path("nodes/-/duplicates/", duplicates.duplicate_list, name="duplicates"),
    path("nodes/-/duplicates/count/", duplicates.duplicate_count, name="duplicate_count"),
    path("nodes/-/duplicates/distinct/", duplicates.distinct, name="distinct"),
    path("nodes/-/duplicates/distinct/<uuid:distinct_id>/undo/", duplicates.distinct_undo, name="distinct_undo"),
    path("nodes/-/host-keys/", host_keys.host_key_list, name="host_keys"),
    path("nodes/-/import/", importing.start, name="import"),
    path("nodes/-/import/<uuid:plan_id>/", importing.plan_page, name="import_plan"),
    path("nodes/-/import/<uuid:plan_id>/apply/", importing.apply, name="import_apply"),
    path("nodes/-/import/<uuid:plan_id>/discard/", importing.discard, name="import_discard"),
    path("nodes/-/import/<uuid:plan_id>/refused.csv", importing.refused, name="import_refused"),
    path("containers/", containers.image_list, name="images"),
    path("containers/list/", containers.container_list, name="containers"),
    path("certificates/", certificates.certificate_list, name="certificates"),
    path("certificates/calendar/", certificates.calendar, name="certificate_calendar"),
    path("certificates/endpoints/", endpoints.endpoint_list, name="endpoints"),
    path("certificates/endpoints/add/", endpoints.endpoint_add, name="endpoint_add"),
    path("certificates/endpoints/<uuid:source_id>/", endpoints.endpoint_do, name="endpoint_do"),
    path("history/", history_page, name="history"),
    path("timeline/", fleet_timeline, name="timeline"),
    *group_urls.urlpatterns,
    *ignition_urls.urlpatterns,
    path("nodes/<str:name>/", node_detail, name="detail"),
    path("nodes/<str:name>/edit/", edit, name="edit"),
    path("nodes/<str:name>/merge/", duplicates.merge, name="merge"),
    path("nodes/<str:name>/poll/", actions.poll, name="poll"),
    path("nodes/<str:name>/lifecycle/", actions.lifecycle, name="lifecycle"),
    path("nodes/<str:name>/provision/", provisioning.node_provision, name="provision"),
    path(
        "nodes/<str:name>/provision/<uuid:provisioning_id>/revoke/",
        provisioning.provision_revoke,
        name="provision_revoke",
    ),
    # For machines that boot: no slash at its end, since Ignition follows no redirect that it does not have to.
    path("ignition/<str:token>", provisioning.ignition, name="fetch_config"),
    path("nodes/<str:name>/delete/", actions.delete, name="delete"),
    path("nodes/<str:name>/host-key/", actions.decide_key, name="decide_key"),
    path("nodes/<str:name>/host-key/forget/", actions.forget_key, name="forget_key"),
    path("nodes/<str:name>/raw/", download, name="raw"),
    path("nodes/<str:name>/certificates/", certificates.node_read, name="certificates_read"),
]
