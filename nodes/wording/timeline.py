"""The sentences of what happened to a node, by kind. The names in them are the params of the event."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from nodes.wording.sentences import Forms

#: What people set on a node, inside a sentence.
FIELDS: dict[str, Promise] = {
    "name": _("name"),
    "address": _("address"),
    "port": _("port"),
    "pool": _("pool"),
    "credential": _("credential"),
    "jump_host": _("jump host"),
    "os_family_given": _("OS family"),
    "labels": _("labels"),
    "host_key": _("host key"),
    "machine_id": _("machine id"),
}
TIMELINE: dict[str, Forms] = {
    "node_added": (_("Added by %(actor)s"), _("Added")),
    "node_enrolled": (
        _("Enrolled by the token %(by)s with the host key %(fingerprint)s"),
        _("Enrolled by the token %(by)s"),
        _("Enrolled"),
    ),
    "node_enrolled_again": (_("Came back: announced itself by the token %(by)s"), _("Came back")),
    "address_changed": (
        _("Announced another address: %(before)s became %(after)s"),
        _("Announced another address: %(after)s"),
        _("Announced another address"),
    ),
    "retired_absent": (
        _("Retired: no contact for %(after_s)s s, and the pool %(pool)s keeps absent nodes no longer"),
        _("Retired for absence"),
    ),
    "retired_unseen": (_("Retired: its machine fetched the config and never came"),),
    "nodes_merged": (
        _("%(actor)s merged %(other)s into this node"),
        _("%(other)s was merged into this node"),
        _("Another node was merged into this one"),
    ),
    "node_edited": (
        _("%(actor)s changed %(fields)s"),
        _("Changed: %(fields)s"),
        _("Edited by %(actor)s"),
        _("Edited"),
    ),
    "node_retired": (
        _("Retired by %(actor)s: %(reason)s"),
        _("Retired by %(actor)s"),
        _("Retired"),
    ),
    "lifecycle_changed": (
        _("Lifecycle changed from %(before)s to %(after)s: %(reason)s"),
        _("Lifecycle changed from %(before)s to %(after)s"),
        _("Lifecycle changed to %(after)s"),
        _("Lifecycle changed"),
    ),
    "pool_changed": (
        _("Moved from pool %(before)s to pool %(after)s"),
        _("Moved to pool %(after)s"),
        _("Taken out of pool %(before)s"),
        _("Moved to another pool"),
    ),
    "credential_changed": (_("Credential changed to %(after)s"), _("Credential changed")),
    "generation_raised": (_("Generation %(generation)s: the machine was replaced"), _("The machine was replaced")),
    "ignition_applied": (
        _("%(actor)s noted that it was provisioned with %(version)s"),
        _("Provisioned with %(version)s"),
        _("Provisioned"),
    ),
    "provision_offered": (
        _("%(actor)s offered %(version)s to its next machine, to be known by the host key %(fingerprint)s"),
        _("%(version)s was offered to its next machine"),
        _("A config was offered to its next machine"),
    ),
    "node_provisioned": (
        _(
            "Made by the token %(by)s: a machine at %(address)s fetched %(version)s, to be known by the key %(fingerprint)s"
        ),
        _("Made by the token %(by)s, for a machine that fetched its config"),
        _("Made for a machine that fetched its config"),
    ),
    "provision_moved": (
        _("The offer of %(version)s ended: it is the config of the pool before"),
        _("What was offered to its next machine ended with the change of pool"),
    ),
    "ignition_fetched": (
        _("%(version)s was fetched from %(address)s by %(agent)s"),
        _("%(version)s was fetched from %(address)s"),
        _("Its config was fetched"),
    ),
    "ignition_unknown": (
        _("%(actor)s noted that its Ignition version is not known"),
        _("Its Ignition version is not known"),
    ),
    "ignition_state_changed": (
        _("Ignition state changed from %(before)s to %(after)s"),
        _("Ignition state changed to %(after)s"),
        _("Ignition state changed"),
    ),
    "poll_requested": (_("Poll requested by %(actor)s"), _("Poll requested")),
    "os_detected": (
        _("Detected %(name)s %(version)s"),
        _("Detected %(name)s"),
        _("Detected %(family)s"),
        _("Operating system detected"),
    ),
    "facts_changed": (_("Facts changed: %(sections)s"), _("Facts changed")),
    "facts_not_understood": (
        _("%(section)s was not understood: %(reason)s"),
        _("%(section)s was not understood"),
        _("A part of the facts was not understood"),
    ),
    "operation_ended": (_("%(kind)s ended: %(state)s"), _("Operation ended")),
    "upgraded": (
        _("Upgraded from %(before)s to %(after)s"),
        _("Upgraded to %(after)s"),
        _("Upgraded"),
    ),
    "rolled_back": (
        _("Rolled back from %(before)s to %(after)s"),
        _("Rolled back to %(after)s"),
        _("Rolled back"),
    ),
    "staged": (_("Staged %(version)s"), _("Staged an update")),
    "unstaged": (_("%(version)s is no longer staged"), _("The staged update is gone")),
    "rebooted": (_("Rebooted into %(version)s"), _("Rebooted")),
    "became_unreachable": (_("Became unreachable: %(message)s"), _("Became unreachable")),
    "became_reachable": (
        ngettext_lazy(
            "Reachable again after %(minutes)d minute", "Reachable again after %(minutes)d minutes", "minutes"
        ),
        _("Became reachable"),
    ),
    "health_changed": (
        _("Health changed from %(before)s to %(after)s"),
        _("Health changed to %(after)s"),
        _("Health changed"),
    ),
    "update_state_changed": (
        _("Update state changed from %(before)s to %(after)s"),
        _("Update state changed to %(after)s"),
        _("Update state changed"),
    ),
    "host_key_offered": (
        _("The host offered the key %(fingerprint)s (%(key_type)s)"),
        _("The host offered the key %(fingerprint)s"),
        _("The host offered a key"),
    ),
    "host_key_accepted": (
        _("%(actor)s trusted the host key %(fingerprint)s"),
        _("Host key %(fingerprint)s trusted"),
        _("Host key trusted"),
    ),
    "host_key_refused": (
        _("Host key %(fingerprint)s refused: %(reason)s"),
        _("Host key refused: %(fingerprint)s"),
        _("Host key refused"),
    ),
    "host_key_replaced": (
        _("%(actor)s replaced the host key %(before)s by %(after)s"),
        _("Host key replaced by %(after)s"),
        _("Host key replaced"),
    ),
    "host_key_forgotten": (
        _("%(actor)s forgot the trusted host key %(fingerprint)s: %(reason)s"),
        _("The trusted host key %(fingerprint)s was forgotten: %(reason)s"),
        _("The trusted host key %(fingerprint)s was forgotten"),
        _("The trusted host key was forgotten"),
    ),
    "host_certificate_trusted": (
        _("Trusted by the host certificate %(key_id)s, signed by %(ca)s"),
        _("Trusted by its host certificate"),
    ),
    "host_key_mismatch": (
        _("The host showed another key: expected %(expected)s, seen %(seen)s. All contact has stopped"),
        _("The host showed another key than the trusted one. All contact has stopped"),
    ),
    "units_failed": (
        ngettext_lazy("%(count)d unit failed: %(units)s", "%(count)d units failed: %(units)s", "count"),
        _("Failed: %(units)s"),
        _("Units failed"),
    ),
    "units_recovered": (
        ngettext_lazy("%(count)d unit recovered: %(units)s", "%(count)d units recovered: %(units)s", "count"),
        _("Recovered: %(units)s"),
        _("Units recovered"),
    ),
}
