"""The overview, and what the palette finds."""

from __future__ import annotations

from django.urls import path

from ops.palette import palette
from ops.views import overview

urlpatterns = [
    path("", overview, name="overview"),
    path("palette/", palette, name="palette"),
]
