from django.apps import AppConfig


class NodesConfig(AppConfig):
    name = "nodes"

    def ready(self) -> None:
        from fleetui.core.frame import add_banner_source
        from fleetui.core.rotation import register
        from nodes.banners import polling_stands_still
        from nodes.services import guard
        from nodes.services.credentials import rotate_seals

        guard.install()
        register("credentials", rotate_seals)
        add_banner_source(polling_stands_still)
