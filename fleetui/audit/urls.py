"""Addresses of the audit log."""

from __future__ import annotations

from django.urls import URLPattern, path

from fleetui.audit.views import audit_event, audit_list, audit_verify

urlpatterns: list[URLPattern] = [
    path("audit/", audit_list, name="audit"),
    path("audit/verify/", audit_verify, name="audit_verify"),
    path("audit/<int:seq>/", audit_event, name="audit_event"),
]
