"""The addresses of operations in the API."""

from __future__ import annotations

from django.urls import URLPattern, path

from ops.api import operations as api

urlpatterns: list[URLPattern] = [
    path("v1/operations/", api.OperationList.as_view(), name="operations"),
    path("v1/operations/bulk/<uuid:request_id>/", api.OperationBulk.as_view(), name="operations-bulk"),
    path(
        "v1/operations/bulk/<uuid:request_id>/cancel/", api.OperationBulkCancel.as_view(), name="operations-bulk-cancel"
    ),
    path("v1/operations/bulk/<uuid:request_id>/retry/", api.OperationBulkRetry.as_view(), name="operations-bulk-retry"),
    path("v1/operations/<uuid:operation_id>/", api.OperationDetail.as_view(), name="operation"),
    path("v1/operations/<uuid:operation_id>/log/", api.OperationLog.as_view(), name="operation-log"),
    path("v1/operations/<uuid:operation_id>/cancel/", api.OperationCancel.as_view(), name="operation-cancel"),
    path("v1/operations/<uuid:operation_id>/approve/", api.OperationApprove.as_view(), name="operation-approve"),
    path("v1/operations/<uuid:operation_id>/reject/", api.OperationReject.as_view(), name="operation-reject"),
    path("v1/operations/<uuid:operation_id>/retry/", api.OperationRetry.as_view(), name="operation-retry"),
    path("v1/operations/<uuid:operation_id>/resolve/", api.OperationResolve.as_view(), name="operation-resolve"),
    path("v1/operations/<uuid:operation_id>/go-on/", api.OperationGoOn.as_view(), name="operation-go-on"),
]
