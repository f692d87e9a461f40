from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class NodesConfig(AppConfig):
    name = "nodes"

    def ready(self) -> None:
        from fleetui.core.frame import add_banner_source
        from fleetui.core.rotation import register
        from fleetui.core.vitals import add_vitals
        from nodes import search, vital_signs
        from nodes.banners import absence_is_held, certificates_expired, polling_stands_still
        from nodes.facts import statistics
        from nodes.services import guard, retention, tally
        from nodes.services.credentials import rotate_seals
        from nodes.services.git import secrets
        from nodes.services.ignition import triggers, values
        from nodes.services.provisioning import offer

        guard.install()
        retention.install()
        post_migrate.connect(search.install_after_migrate, sender=self, dispatch_uid="nodes.search")
        post_migrate.connect(statistics.install_after_migrate, sender=self, dispatch_uid="nodes.statistics")
        post_migrate.connect(tally.install_after_migrate, sender=self, dispatch_uid="nodes.tally")
        pre_migrate.connect(triggers.remove_before_migrate, sender=self, dispatch_uid="nodes.ignition")
        post_migrate.connect(triggers.install_after_migrate, sender=self, dispatch_uid="nodes.ignition")
        register("credentials", rotate_seals)
        register("git", secrets.rotate_seals)
        register("ignition values", values.rotate_seals)
        register("provisionings", offer.rotate_seals)
        add_banner_source(polling_stands_still)
        add_banner_source(absence_is_held)
        add_banner_source(certificates_expired)
        for source in (vital_signs.queues, vital_signs.decisions, vital_signs.host_clocks):
            add_vitals(source)
