"""The addresses of replacements: pages, and the API."""

from __future__ import annotations

from django.urls import URLPattern, path

from ops.api import etcd as etcd_api
from ops.api import provisioners as api
from ops.api import replace_policy as policy_api
from ops.views import etcd, provisioner_told, provisioners, replace_policy, replacing

pages: list[URLPattern] = [
    path("settings/provisioners/", provisioners.provisioner_list, name="provisioners"),
    path("settings/provisioners/-/add/", provisioners.provisioner_edit, name="provisioner_add"),
    path("settings/provisioners/<uuid:provisioner_id>/", provisioners.provisioner_edit, name="provisioner"),
    path("settings/provisioners/<uuid:provisioner_id>/do/", provisioners.provisioner_do, name="provisioner_do"),
    path("pools/<str:name>/replace-policy/", replace_policy.policy_edit, name="replace_policy"),
    path("pools/<str:name>/replace-policy/off/", replace_policy.policy_off, name="replace_policy_off"),
    path("operations/<uuid:operation_id>/machine/", replacing.machine_page, name="operation_machine"),
    path("nodes/<str:name>/etcd/", etcd.etcd_now, name="node_etcd"),
    path("hooks/replacement/<uuid:operation_id>/", provisioner_told.provisioner_told, name="provisioner_told"),
]
endpoints: list[URLPattern] = [
    path("v1/provisioners/", api.ProvisionerList.as_view(), name="provisioners"),
    path("v1/provisioners/<uuid:provisioner_id>/", api.ProvisionerDetail.as_view(), name="provisioner"),
    path("v1/provisioners/<uuid:provisioner_id>/try/", api.ProvisionerTry.as_view(), name="provisioner_try"),
    path(
        "v1/provisioners/<uuid:provisioner_id>/trust-host-key/",
        api.ProvisionerHostKey.as_view(),
        name="provisioner_trust",
    ),
    path("v1/nodes/<str:name>/etcd/", etcd_api.NodeEtcd.as_view(), name="node-etcd"),
    path("v1/pools/<str:name>/replace-policy/", policy_api.PoolReplacePolicy.as_view(), name="pool-replace-policy"),
    path("v1/operations/<uuid:operation_id>/machine/", api.OperationMachine.as_view(), name="operation-machine"),
    path(
        "v1/operations/<uuid:operation_id>/machine/config/",
        api.OperationMachineConfig.as_view(),
        name="operation-machine-config",
    ),
]
