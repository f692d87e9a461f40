"""Addresses of settings, users, tokens and preferences. `-` stands where a user name would."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from fleetui.access.views import health, retention, settings, tokens, users

_access: list[URLPattern] = [
    path("tokens/", tokens.token_list, name="tokens"),
    path("tokens/add/", tokens.token_add, name="token_add"),
    path("tokens/<uuid:pk>/revoke/", tokens.token_revoke, name="token_revoke"),
    path("settings/users/", users.user_list, name="users"),
    path("settings/users/-/add/", users.user_add, name="user_add"),
    path("settings/users/<str:username>/", users.user_page, name="user"),
    path("settings/users/<str:username>/password/", users.user_password, name="user_password"),
    path("settings/users/<str:username>/roles/", users.user_role, name="user_role"),
    path("settings/users/<str:username>/roles/<uuid:pk>/", users.user_role_take, name="user_role_take"),
    path("settings/users/<str:username>/active/", users.user_active, name="user_active"),
    path("settings/retention/", retention.retention_list, name="retention"),
    path("settings/retention/<slug:subject>/", retention.retention_edit, name="retention_edit"),
    path("settings/preferences/", settings.preferences, name="preferences"),
]
urlpatterns: list[URLPattern | URLResolver] = [
    path("", include((_access, "access"))),
    path("settings/", settings.general, name="settings"),
    path("settings/health/", health.health, name="health"),
]
