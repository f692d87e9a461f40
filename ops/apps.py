from django.apps import AppConfig


class OpsConfig(AppConfig):
    name = "ops"

    def ready(self) -> None:
        from fleetui.core.frame import add_banner_source
        from nodes.services.merging import follow_merges
        from nodes.services.whereabouts import guard_whereabouts
        from nodes.views.extras import add_node_extra
        from ops.banners import everything_stopped
        from ops.services import retention
        from ops.services.merging import follow_merge
        from ops.services.whereabouts import at_work
        from ops.views.node import node_operations

        add_banner_source(everything_stopped)
        add_node_extra(node_operations)
        follow_merges(follow_merge)
        guard_whereabouts(at_work)
        retention.install()
