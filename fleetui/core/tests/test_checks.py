"""`check --deploy` refuses each unsafe mix with a sentence; forwarded headers are believed from proxies only."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import RequestFactory

from fleetui.core.checks import unsafe_mixes
from fleetui.core.middleware import client_address

SAFE: dict[str, Any] = {
    "CELERY_BROKER_URL": "redis://r/0",
    "IS_SQLITE": False,
    "CACHES": {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache"}},
    "DEBUG": False,
    "ALLOWED_HOSTS": ["fleet.example.org"],
    "TRUSTED_PROXIES": ["10.0.0.1"],
    "BEHIND_TLS": True,
}


@pytest.mark.parametrize(
    ("found", "change"),
    [
        ("fleetui.E001", {"CELERY_BROKER_URL": "filesystem://"}),
        ("fleetui.E002", {"IS_SQLITE": True}),
        ("fleetui.E003", {"CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}}),
        ("fleetui.E004", {"DEBUG": True}),
        ("fleetui.E005", {"ALLOWED_HOSTS": ["*"]}),
        ("fleetui.E006", {"TRUSTED_PROXIES": ["0.0.0.0/0"]}),
        ("fleetui.E007", {"METRICS_NETWORKS": ["::/0"]}),
        ("fleetui.W001", {"BEHIND_TLS": False}),
    ],
)
def test_unsafe_mixes(settings: Any, found: str, change: dict[str, Any]) -> None:
    for name, value in SAFE.items():
        setattr(settings, name, value)
    assert unsafe_mixes() == []
    for name, value in change.items():
        setattr(settings, name, value)
    assert [message.id for message in unsafe_mixes()] == [found]


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.7", "1.2.3.4", "192.0.2.7"),
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "9.9.9.9, 1.2.3.4, 10.0.0.1", "1.2.3.4"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "<script>", ""),
    ],
)
def test_client_address(settings: Any, peer: str, forwarded: str, expected: str) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.1"]
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == expected
