from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "fleetui.core"
    label = "core"

    def ready(self) -> None:
        from fleetui.core import (
            checks,  # noqa: F401  (registers the checks)
            postgresql,
        )
        from fleetui.core.frame import add_banner_source
        from fleetui.core.vital_signs import CHEAP, WHOLE
        from fleetui.core.vitals import add_vitals, banners

        postgresql.install()
        for source in CHEAP:
            add_vitals(source, cheap=True)
        for source in WHOLE:
            add_vitals(source)
        add_banner_source(banners)
