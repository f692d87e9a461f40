"""What is said of Deployments of clusters and of their rolling updates."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from nodes.wording.sentences import Forms

KINDS: dict[str, Promise] = {
    "deployment_image": _("Change an image of a Deployment"),
    "deployment_rollback": _("Roll back a Deployment"),
}
STEPS: dict[str, Promise] = {
    "set_image": _("Give the Deployment the image"),
    "go_back": _("Give the Deployment the revision before"),
    "follow_rollout": _("Follow the rolling update"),
}
WAITS: dict[str, Forms] = {
    "changes_deployment": (_("Somebody else changed it at the same moment; it is looked at anew."),),
    "rollout_unseen": (_("Waits for the cluster to begin the rolling update of %(name)s."),),
    "rollout_updating": (
        _("%(updated)s of %(wanted)s pods of %(name)s are new. %(said)s."),
        _("%(updated)s of %(wanted)s pods of %(name)s are new."),
    ),
    "rollout_old_go": (
        ngettext_lazy(
            "All pods of %(name)s are new; %(old)d old one is still to end.",
            "All pods of %(name)s are new; %(old)d old ones are still to end.",
            "old",
        ),
    ),
    "rollout_becoming_ready": (
        _("%(available)s of %(updated)s new pods of %(name)s are available. %(said)s."),
        _("%(available)s of %(updated)s new pods of %(name)s are available."),
    ),
}
NOTES: dict[str, Forms] = {
    "deployment_changed": (_("%(name)s is now set to run %(images)s."),),
    "goes_back_to": (_("Goes back to revision %(revision)s: %(images)s."),),
    "rolled_out": (
        ngettext_lazy(
            "%(count)d pod of %(name)s runs it, and is available.",
            "%(count)d pods of %(name)s run it, and are available.",
            "count",
        ),
    ),
}
CHECKS: dict[str, Forms] = {
    "rollout_paused": (_("The rolling updates of %(name)s are paused: nothing would happen. Resume them first."),),
    "no_such_container": (_("%(name)s has no container %(container)s any more."),),
    "no_revision_before": (_("The cluster keeps no earlier revision of %(name)s."),),
}
RESULTS: dict[str, Forms] = {
    "image_runs_already": (_("Nothing to do: %(name)s is set to run %(image)s already."),),
    "rolled_out": (
        ngettext_lazy(
            "%(name)s runs %(images)s: its %(wanted)d pod is new and available.",
            "%(name)s runs %(images)s: all %(wanted)d pods are new and available.",
            "wanted",
        ),
    ),
    "rollout_late": (
        _(
            "The rolling update of %(name)s passed its deadline: %(updated)s of %(wanted)s pods are new, %(available)s old and "
            "new ones are available. %(said)s. Roll it back, or mend the image."
        ),
        _("The rolling update of %(name)s passed its deadline. Roll it back, or mend the image."),
    ),
    "rollout_superseded": (
        _("Somebody changed %(name)s meanwhile: it is set to run %(images)s now. That update is not followed here."),
    ),
    "rollout_was_paused": (
        _(
            "Somebody paused the rolling updates of %(name)s: %(updated)s of %(wanted)s pods are new. Resume them in the "
            "cluster (kubectl rollout resume); they are not followed here any more."
        ),
    ),
    "no_revision_before": (_("Nothing was changed: the cluster keeps no earlier revision of %(name)s."),),
}
SO_NOW: dict[str, Promise] = {
    "rolls_out": _("The rolling update of %(name)s was begun, and goes on in the cluster; a rollback undoes it."),
}
ROLLOUTS: dict[str, tuple[str, Promise]] = {
    "done": ("ok", _("rolled out")),
    "unseen": ("info", _("update begins")),
    "updating": ("info", _("is updated")),
    "old_go": ("info", _("old pods end")),
    "becoming_ready": ("warn", _("not all available")),
    "late": ("bad", _("update is stuck")),
}
