"""System checks: mixes of settings that would lose work or secrets are refused with a sentence each."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register


@register(Tags.security, deploy=True)
def unsafe_mixes(**_: Any) -> list[CheckMessage]:
    """`check --deploy`: what may not go together outside the embedded mode."""
    found: list[CheckMessage] = []
    filesystem_broker = settings.CELERY_BROKER_URL.startswith("filesystem")
    local_cache = settings.CACHES["default"]["BACKEND"].endswith("locmem.LocMemCache")
    if not settings.IS_SQLITE and filesystem_broker:
        found.append(
            Error(
                "PostgreSQL with the filesystem broker: workers on other hosts would never get any work.",
                hint="Set CELERY_BROKER_URL to redis://... or amqp://...",
                id="fleetui.E001",
            )
        )
    if settings.IS_SQLITE and not filesystem_broker:
        found.append(
            Error(
                "SQLite with a network broker: workers on other hosts would not see this database.",
                hint="Set DATABASE_URL to postgres://...",
                id="fleetui.E002",
            )
        )
    if not settings.IS_SQLITE and local_cache:
        found.append(
            Error(
                "PostgreSQL with the in-process cache: sign-in limits and API throttles would count per process.",
                hint="Set CACHE_URL to redis://...",
                id="fleetui.E003",
            )
        )
    if settings.DEBUG:
        found.append(Error("FLEETUI_DEBUG is on: errors would show settings to visitors.", id="fleetui.E004"))
    if "*" in settings.ALLOWED_HOSTS:
        found.append(
            Error(
                "FLEETUI_ALLOWED_HOSTS holds *: any Host header would be believed.",
                hint="Name the hosts under which FleetUI is reached.",
                id="fleetui.E005",
            )
        )
    if any(network in ("0.0.0.0/0", "::/0") for network in settings.TRUSTED_PROXIES):
        found.append(
            Error(
                "TRUSTED_PROXIES trusts every address: anyone could name their own source address.",
                hint="Name the addresses of your proxies.",
                id="fleetui.E006",
            )
        )
    if any(network in ("0.0.0.0/0", "::/0") for network in settings.METRICS_NETWORKS):
        found.append(
            Error(
                "FLEETUI_METRICS_NETWORKS holds every address: anyone could read names, addresses and versions of all nodes.",
                hint="Name the addresses of your Prometheus servers, or give them a token.",
                id="fleetui.E007",
            )
        )
    if not settings.BEHIND_TLS:
        found.append(
            Warning(
                "FLEETUI_BEHIND_TLS is off: cookies would travel without TLS.",
                hint="Put a TLS proxy in front and set FLEETUI_BEHIND_TLS=true and TRUSTED_PROXIES.",
                id="fleetui.W001",
            )
        )
    if (
        not settings.IS_SQLITE
        and not settings.MISSING_KEYS
        and (settings.DATA_DIR / "keys" / "encryption_keys").exists()
    ):
        found.append(
            Warning(
                "The encryption keys lie in the data folder: a backup of it would hold both lock and key.",
                hint="Give them by FLEETUI_ENCRYPTION_KEYS_FILE from a secret store.",
                id="fleetui.W002",
            )
        )
    return found


@register(Tags.security)
def keys_exist(**_: Any) -> list[CheckMessage]:
    """Without lasting keys nothing may be sealed or signed; `up` makes them on the first start."""
    if not settings.MISSING_KEYS:
        return []
    names = ", ".join(settings.MISSING_KEYS)
    folder = settings.DATA_DIR / "keys"
    hint = f"Put them back into {folder} from a backup, or set the variables. A new installation gets them from `manage.py up`."
    return [
        Warning(
            f"Keys are missing: {names}. What this process seals or signs will not open later.",
            hint=hint,
            id="fleetui.W003",
        )
    ]
