from django.apps import AppConfig


class NotifyConfig(AppConfig):
    name = "fleetui.notify"
    label = "notify"

    def ready(self) -> None:
        from fleetui.core.frame import add_banner_source
        from fleetui.core.rotation import register
        from fleetui.notify import retention
        from fleetui.notify.banners import deliveries_given_up
        from fleetui.notify.channels import rotate_seals

        register("notifications", rotate_seals)
        add_banner_source(deliveries_given_up)
        retention.install()
