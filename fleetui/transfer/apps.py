from django.apps import AppConfig


class TransferConfig(AppConfig):
    name = "fleetui.transfer"
    label = "transfer"

    def ready(self) -> None:
        from fleetui.transfer.own_state import Itself
        from ops.backups.installation import register

        register(Itself())
