"""A machine that is made anew in place, in words."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from nodes.wording.sentences import Forms

#: code -> (why a host cannot be made anew, the mend).
NOT_READY: dict[str, tuple[Forms, Promise]] = {
    "in_place_away": (
        (
            _("The host does not answer, and it is what has to start the installer: %(said)s"),
            _("The host does not answer, and it is what has to start the installer."),
        ),
        _("Bring it back first, or give the pool another provisioner."),
    ),
    "in_place_family": (
        (
            _("It runs %(os)s, and the installer is that of Fedora CoreOS."),
            _("It does not run Fedora CoreOS, whose installer this is."),
        ),
        _("Give its pool another provisioner."),
    ),
    "in_place_other_disk": (
        (_("%(value)s is not the disk of its running system."),),
        _("Name that disk in the provisioner, best below /dev/disk/by-id: the installer erases what is named."),
    ),
    "in_place_program": (
        (_("The host has no %(value)s."),),
        _("Use hosts that have kexec, curl, sha256sum and systemd-run, as Fedora CoreOS does."),
    ),
    "in_place_disabled": (
        (_("The kernel of the host starts no other one: kernel.kexec_load_disabled is set."),),
        _("It is taken back by a restart only, without that setting."),
    ),
    "in_place_device": (
        (_("The host has no block device %(value)s."),),
        _("Name the disk of its system in the provisioner, best below /dev/disk/by-id."),
    ),
    "in_place_memory": (
        (_("The host has %(value)s KiB of memory, and the installer needs 2 GiB."),),
        _("Give it more memory, or the pool another provisioner."),
    ),
    "in_place_free": (
        (_("The host has %(value)s KiB free in /var/lib, and the installer needs 400 MB there."),),
        _("Make room there."),
    ),
}
WAITS: dict[str, Forms] = {
    "in_place_fetches": (_("The host fetches the installer."),),
    "in_place_ready": (_("The installer is on the host, as it should be; it is started."),),
    "in_place_goes": (_("The host ends what it runs, and starts the installer."),),
    "in_place_silent": (
        _("The host does not answer before the installer was started: %(said)s"),
        _("The host does not answer before the installer was started."),
    ),
}
RESULTS: dict[str, Forms] = {
    "in_place_failed": (
        _("The host could not be told to fetch the installer: %(said)s"),
        _("The host could not be told to fetch the installer."),
    ),
    "in_place_not_fetched": (
        _("The host did not get the installer as it should be: %(said)s"),
        _("The host did not get the installer in time."),
    ),
    "in_place_refused": (
        _("The host did not start the installer: %(said)s"),
        _("The host did not start the installer."),
    ),
    "in_place_restarted": (_("The host was restarted after it fetched the installer, and was not told to start it."),),
    "in_place_lost": (
        _("The host does not answer any more, and nobody knows whether it started the installer: %(said)s"),
        _("The host does not answer any more, and nobody knows whether it started the installer."),
    ),
    "in_place_came_back": (_("The host was to start the installer, and its old system came back."),),
    "in_place_stayed": (_("The host was told to start the installer, and goes on with its old system."),),
    "old_came_back": (_("The host had gone to start the installer, and its old system came back."),),
}
RESULT_MENDS: dict[str, Promise] = {
    "in_place_lost": _("Look at its console. When the old system is back, Go on starts over."),
    "in_place_came_back": _(
        "Look at its console: the kernel may refuse kexec, or the installer gave up. Go on starts over."
    ),
    "old_came_back": _(
        "Start the installer at its console and choose Go on, which gives it as much time again; or end this as failed, and ask again."
    ),
    "in_place_stayed": _("See what does not end there: systemctl list-jobs. Go on starts over."),
}
