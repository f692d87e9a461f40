"""Addresses of the notifications tab."""

from __future__ import annotations

from django.urls import URLPattern, path

from fleetui.notify.views import channel_do, channel_edit, channel_list

urlpatterns: list[URLPattern] = [
    path("settings/notifications/", channel_list, name="notifications"),
    path("settings/notifications/-/add/", channel_edit, name="notification_add"),
    path("settings/notifications/<uuid:channel_id>/", channel_edit, name="notification"),
    path("settings/notifications/<uuid:channel_id>/do/", channel_do, name="notification_do"),
]
