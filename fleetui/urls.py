"""Every address of FleetUI."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path
from django.views.i18n import set_language

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("ops.urls")),
    path("", include("nodes.urls")),
    path("", include("fleetui.access.urls")),
    path("", include("fleetui.audit.urls")),
    path("", include("fleetui.notify.urls")),
    path("", include("fleetui.api_urls")),
    path("accounts/", include("fleetui.access.sign_in_urls")),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("i18n/language/", set_language, name="set_language"),
]

handler400 = "fleetui.core.error_pages.bad_request"
handler403 = "fleetui.core.error_pages.forbidden"
handler404 = "fleetui.core.error_pages.not_found"
handler500 = "fleetui.core.error_pages.server_error"
