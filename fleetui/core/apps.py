from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "fleetui.core"
    label = "core"

    def ready(self) -> None:
        from fleetui.core import (
            checks,  # noqa: F401  (registers the checks)
            postgresql,
        )

        postgresql.install()
