from django.apps import AppConfig


class OpsConfig(AppConfig):
    name = "ops"

    def ready(self) -> None:
        from fleetui.core.frame import add_banner_source, add_tool_source
        from fleetui.core.rotation import register
        from fleetui.core.vitals import add_vitals
        from nodes.services.backlog import add_backlog
        from nodes.services.changes import follow_renames
        from nodes.services.guard import in_transaction
        from nodes.services.merging import follow_merges
        from nodes.services.whereabouts import guard_whereabouts
        from nodes.views.extras import add_cluster_extra, add_node_extra, add_pool_extra
        from nodes.wording import word_params
        from ops import vital_signs
        from ops.frame import backups_overdue, everything_stopped, operations_tool
        from ops.kubernetes import transport
        from ops.services import retention
        from ops.services.backups import targets
        from ops.services.clusters.access import rotate_seals
        from ops.services.merging import follow_merge
        from ops.services.renaming import follow_rename
        from ops.services.replacing import provisioners
        from ops.services.whereabouts import at_work
        from ops.views.clusters import cluster_api, node_in_cluster
        from ops.views.node import node_operations
        from ops.views.pool import pool_operations
        from ops.wording import ended_in_words

        add_banner_source(everything_stopped)
        add_banner_source(backups_overdue)
        add_tool_source(operations_tool)
        add_node_extra(node_operations)
        add_pool_extra(pool_operations)
        follow_merges(follow_merge)
        follow_renames(follow_rename)
        guard_whereabouts(at_work)
        add_node_extra(node_in_cluster)
        add_cluster_extra(cluster_api)
        register("clusters", rotate_seals)
        transport.forbid = in_transaction
        add_vitals(vital_signs.streams)
        add_vitals(vital_signs.audit_heads)
        add_backlog(vital_signs.due)
        register("backup targets", targets.rotate_seals)
        register("replacements", provisioners.rotate_seals)
        retention.install()
        word_params("operation_ended", ended_in_words)
