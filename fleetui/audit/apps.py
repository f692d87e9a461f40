from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "fleetui.audit"
    label = "audit"

    def ready(self) -> None:
        from fleetui.audit import retention
        from fleetui.audit.triggers import install_after_migrate
        from fleetui.audit.vital_signs import anchor_is_old, anchored, broken, sent_on
        from fleetui.core.vitals import add_vitals

        post_migrate.connect(install_after_migrate, dispatch_uid="audit.triggers")
        add_vitals(anchor_is_old, cheap=True)
        add_vitals(broken, cheap=True)
        add_vitals(anchored)
        add_vitals(sent_on)
        retention.install()
