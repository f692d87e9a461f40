from django.apps import AppConfig


class TransferConfig(AppConfig):
    name = "fleetui.transfer"
    label = "transfer"
