"""What operations on containers end with, and what the checks before them found."""

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from nodes.wording.sentences import Forms

CONTAINER_RESULTS: dict[str, Forms] = {
    "image_there": (_("%(image)s is on the host."),),
    "image_pulled": (_("%(image)s is on the host; nothing that runs was changed."),),
    "image_not_there": (_("%(image)s was pulled, and is not on the host: look there with podman images."),),
    "pull_failed": (
        _("The image could not be pulled, and nothing that runs was changed (status %(status)s): %(said)s"),
        _("The image could not be pulled, and nothing that runs was changed."),
    ),
    "previous_gone": (_("The image that %(unit)s ran before is not on the host any more: update to it instead."),),
    "image_runs_already": (_("Nothing to do: %(unit)s runs this image already."),),
    "image_written": (_("%(path)s was written."),),
    "image_not_tagged": (
        _("The image could not be given its tag, and nothing that runs was changed: %(said)s"),
        _("The image could not be given its tag, and nothing that runs was changed."),
    ),
    "image_not_written": (
        _("The image of the unit could not be written, and nothing that runs was changed: %(said)s"),
        _("The image of the unit could not be written, and nothing that runs was changed."),
    ),
    "unit_unclear": (
        _(
            "Which word of the command in %(path)s is the image cannot be told, so nothing was changed. Make %(unit)s a Quadlet."
        ),
    ),
    "image_runs": (
        _("%(unit)s runs %(image)s, and stayed up for %(seconds)s s."),
        _("%(unit)s runs %(image)s."),
    ),
    "image_crashed": (
        _("%(unit)s did not stay up with %(image)s (%(state)s, %(why)s), and was left so. Its journal is kept."),
        _("%(unit)s did not stay up with %(image)s, and was left so. Its journal is kept."),
    ),
    "unit_crashed": (_("%(unit)s did not stay up (%(state)s, %(why)s)."), _("%(unit)s did not stay up.")),
    "unit_not_up": (_("%(unit)s did not come up: it is still %(state)s."),),
    "container_bad": (
        _("The container of %(unit)s is not well: %(why)s."),
        _("The container of %(unit)s is not well."),
    ),
    "image_goes_back": (_("%(unit)s did not stay up with %(image)s; what ran before comes back."),),
    "nothing_to_take_back": (_("Nothing to take back."),),
    "image_taken_back": (_("What was written was taken back."),),
    "image_not_taken_back": (
        _("The image of the unit could not be taken back: %(said)s"),
        _("The image of the unit could not be taken back."),
    ),
    "image_went_back": (
        _(
            "%(unit)s did not stay up with %(image)s (%(state)s, %(why)s), and runs %(before)s again. Its journal is kept."
        ),
        _("%(unit)s did not stay up with %(image)s, and runs %(before)s again. Its journal is kept."),
        _("%(unit)s did not stay up with %(image)s, and is as it was before. Its journal is kept."),
    ),
    "image_back_failed": (
        _("%(unit)s did not stay up with %(image)s, nor with %(before)s again: look at its journal on the host."),
        _("%(unit)s did not stay up with %(image)s, nor as it was before: look at its journal on the host."),
    ),
    "container_asked": (_("It was asked for on the host."),),
    "container_refused": (
        _("The host refused it (status %(status)s): %(said)s"),
        _("The host refused it (status %(status)s)."),
    ),
    "container_changed": (
        _(
            "Someone else started or stopped %(container)s since it was looked at, and nothing was done. Ask again if it is still wanted."
        ),
    ),
    "container_start_there": (_("Nothing to do: %(container)s runs already."),),
    "container_stop_there": (_("Nothing to do: %(container)s does not run."),),
    "container_restart_done": (
        _("%(container)s was restarted by %(unit)s, and runs."),
        _("%(container)s was restarted, and runs."),
    ),
    "container_start_done": (_("%(container)s was started by %(unit)s."), _("%(container)s was started.")),
    "container_stop_done": (_("%(container)s was stopped with %(unit)s."), _("%(container)s was stopped.")),
    "container_not_restart": (
        _("%(container)s was restarted, and does not run: %(said)s"),
        _("%(container)s was restarted, and does not run."),
    ),
    "container_not_start": (
        _("%(container)s was started, and does not run: %(said)s"),
        _("%(container)s was started, and does not run."),
    ),
    "container_not_stop": (
        _("%(container)s was told to stop, and runs still: %(said)s"),
        _("%(container)s was told to stop, and runs still."),
    ),
    "logs_read": (_("What %(container)s wrote is in the log of this operation."),),
    "logs_empty": (_("Nothing that %(container)s wrote came in the time given."),),
    "logs_not_read": (
        _("The log could not be read (status %(status)s): %(said)s"),
        _("The log could not be read."),
    ),
    "nothing_unused": (_("Nothing to do: every image is used, or kept for the way back."),),
    "images_unplanned": (
        ngettext_lazy(
            "Nothing was removed: %(count)d image is unused, and the plan does not name it. Ask again.",
            "Nothing was removed: %(count)d images are unused, and the plan names none of them. Ask again.",
            "count",
        ),
    ),
    "images_removed": (
        ngettext_lazy("%(count)d unused image was removed.", "%(count)d unused images were removed.", "count"),
    ),
    "prune_failed": (
        _("Not all images could be removed (status %(status)s): %(said)s"),
        _("Not all images could be removed."),
    ),
    "auto_update_pending": (
        ngettext_lazy(
            "%(count)d container would get a new image: %(containers)s.",
            "%(count)d containers would get a new image: %(containers)s.",
            "count",
        ),
    ),
    "auto_update_nothing": (_("No container that Podman updates by itself has a new image."),),
    "auto_updated": (
        ngettext_lazy(
            "%(count)d container got a new image: %(containers)s.",
            "%(count)d containers got a new image: %(containers)s.",
            "count",
        ),
    ),
    "auto_update_failed": (
        _("Podman updated, and these did not start, so it gave them back what they ran: %(back)s."),
        _("Podman could not update these: %(failed)s. Look at their journal on the host."),
    ),
    "auto_update_refused": (
        _("podman auto-update ended with status %(status)s: %(said)s"),
        _("podman auto-update ended with status %(status)s."),
    ),
}
CONTAINER_CHECKS: dict[str, Forms] = {
    "podman_there": (_("Podman %(version)s is there."), _("Podman is there.")),
    "podman_absent": (_("Podman of root is not on the host, or may not be read."),),
    "container_unit_absent": (_("No file of the host says that %(unit)s runs a container of Podman."),),
    "container_unit_template": (_("%(unit)s is made from a template, whose image all of its instances share."),),
    "quadlet_too_old": (_("Podman %(version)s reads no drop-ins of Quadlets; from %(least)s on it does."),),
    "unit_image_unclear": (
        _("Which word of the command of %(unit)s is its image cannot be told. A Quadlet names it."),
    ),
    "dropin_written": (_("%(source)s stays as it is; %(path)s is written beside it."), _("%(path)s is written.")),
    "nothing_to_keep": (_("%(unit)s runs no container now, so that there is no image to go back to."),),
    "image_kept": (
        _("What runs now is kept for the way back: %(image)s (%(digest)s)."),
        _("What runs now is kept for the way back: %(image)s."),
        _("What runs now is kept for the way back."),
    ),
    "auto_update_moves": (
        _("Podman updates %(unit)s by itself (AutoUpdate=registry): it may be given another image at any time."),
    ),
    "registry_has_it": (_("The registry has %(image)s, at %(digest)s."),),
    "registry_lacks_it": (_("The registry has no %(image)s."),),
    "registry_not_asked": (
        _("Whether %(image)s is there could not be asked from here: %(said)s. The host is left to find it."),
        _("Whether %(image)s is there could not be asked from here. The host is left to find it."),
    ),
    "registry_unnamed": (
        _(
            "Whether %(image)s is there could not be asked from here: its name has no registry. The host is left to find it."
        ),
    ),
    "registry_on_host": (
        _(
            "Whether %(image)s is there could not be asked from here: its registry is on the host itself, which finds it."
        ),
    ),
    "registry_wants_sign_in": (
        _(
            "Whether %(image)s is there could not be asked from here: its registry wants a sign-in. "
            "The host is left to find it, with its own."
        ),
    ),
    "registry_status": (
        _(
            "Whether %(image)s is there could not be asked from here: its registry answered with status %(said)s. "
            "The host is left to find it."
        ),
    ),
    "previous_there": (_("It goes back to %(image)s."), _("There is an image to go back to.")),
    "previous_absent": (_("No image that %(unit)s ran before is kept on the host: update to it instead."),),
    "container_absent": (_("The host has no container %(container)s of root."),),
    "container_there": (_("%(container)s is there (%(state)s)."), _("%(container)s is there.")),
    "container_by_unit": (_("It is done by its unit, %(unit)s."),),
    "container_by_hand": (_("No unit runs it, so that Podman itself is asked."),),
    "nothing_unused": (_("Every image is used, or kept for the way back."),),
    "images_unplanned": (
        ngettext_lazy(
            "%(count)d image is unused, and the plan does not name it: ask again.",
            "%(count)d images are unused, and the plan names none of them: ask again.",
            "count",
        ),
    ),
    "containers_unread": (_("What Podman runs is not known: %(sections)s could not be read whole."),),
    "images_unused": (
        ngettext_lazy(
            "%(count)d image goes, at most %(megabytes)s MB: %(images)s.",
            "%(count)d images go, at most %(megabytes)s MB: %(images)s.",
            "count",
        ),
    ),
    "images_left": (
        ngettext_lazy(
            "%(count)d more unused image is left for another time: ask again when this is done.",
            "%(count)d more unused images are left for another time: ask again when this is done.",
            "count",
        ),
    ),
    "auto_update_of": (
        ngettext_lazy(
            "Podman updates %(count)d container by itself: %(containers)s.",
            "Podman updates %(count)d containers by itself: %(containers)s.",
            "count",
        ),
    ),
    "auto_update_of_none": (_("No container of root asks for updates (AutoUpdate=registry)."),),
}
