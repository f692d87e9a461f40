from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "fleetui.access"
    label = "access"

    def ready(self) -> None:
        from fleetui.access import signals  # noqa: F401  (sign-in and sign-out are audited)
        from fleetui.access.rotation import rotate_mfa
        from fleetui.core.rotation import register

        register("authenticators", rotate_mfa)
