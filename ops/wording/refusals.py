"""Why a request makes no operation for a node, and what is wrong with parameters."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from nodes.wording.sentences import Forms
from ops.wording import replacement

REFUSALS: dict[str, Forms] = {
    **replacement.REFUSALS,
    "retired": (_("It is retired."),),
    "busy": (_("Another operation is active on it: %(kind)s (%(state)s)."), _("Another operation is active on it.")),
    "no_facts": (_("Nothing is known of it yet: poll it first."),),
    "key_mismatch": (_("Its host key has changed: decide about the key first."),),
    "not_supported": (_("%(os)s cannot do it: %(said)s"), _("%(os)s cannot do it."), _("Its system cannot do it.")),
    "not_allowed": (_("You may not request operations on it."),),
    "no_cluster": (_("It is in no cluster."),),
    "no_cluster_access": (
        _("FleetUI has no access to the API of %(cluster)s: give it on the page of the cluster."),
        _("FleetUI has no access to the API of its cluster."),
    ),
    "not_in_cluster": (
        _("No node of %(cluster)s is this one, by machine id, provider id, name or address."),
        _("Its cluster does not know it."),
    ),
    "nothing_newer": (
        _("Nothing newer than %(version)s is known in the stream %(stream)s."),
        _("Nothing newer is known."),
    ),
    "there_already": (_("It runs %(version)s already."),),
    "no_such_release": (_("The stream %(stream)s has no release %(version)s."), _("No such release is known.")),
    "no_digest": (
        _(
            "It follows a container image, and the digest of %(version)s is not known: import the release with its images."
        ),
    ),
    "dead_end": (_("%(version)s is a dead end: %(why)s"), _("%(version)s is a dead end.")),
    "on_dead_end": (
        _("It runs %(version)s, a dead end that no update leads away from: %(why)s"),
        _("It runs %(version)s, a dead end that no update leads away from."),
    ),
    "older": (_("%(version)s is older than what it runs, %(here)s: roll back instead."),),
    "held": (
        _("%(version)s is held back from it since %(since)s: %(what)s (asked for by %(by)s: %(why)s)."),
        _("%(version)s is held back from it since %(since)s: %(what)s (asked for by %(by)s)."),
        _("%(version)s is held back from it by %(by)s since %(since)s: %(why)s"),
        _("%(version)s is held back from it by %(by)s since %(since)s."),
    ),
    "behind_barrier": (_("%(version)s lies behind the barrier %(barrier)s, which no update may skip."),),
}
MISSING_PARAM = _("The parameter %(field)s is not given.")
PARAM_PROBLEMS: dict[str, tuple[Promise, Promise]] = {
    "has_no_params": (_("This kind of operation takes no parameter %(field)s."), _("Leave it out.")),
    "unknown_param": (_("This kind of operation takes no parameter %(field)s."), _("Leave it out.")),
    "no_container": (_("%(value)s is no name of a container."), _("Name one of the Deployment.")),
    "no_policy": (_("%(value)s is no backup policy."), _("Give the id of one.")),
    "not_a_version": (
        _("%(value)s is not a version."),
        _("Give it as it stands in the releases, or leave it out for the next of the stream."),
    ),
    "not_a_soak_time": (_("%(value)s is not a soak time."), _("Give a whole number of seconds up to %(most)s.")),
    "not_a_flag": (_("%(value)s is neither true nor false."), _("Give true or false.")),
    "not_seconds": (
        _("%(value)s is not a time that %(field)s can be."),
        _("Give a whole number of seconds, %(least)s to %(most)s."),
    ),
    "not_an_ending": (
        _("%(value)s is not what a time limit can end with."),
        _("Give skip, force or ask."),
    ),
    "not_a_unit": (
        _("%(value)s is not the name of a unit."),
        _("Give one such as kubelet.service, of letters, digits and :_.@- only."),
    ),
    "unit_kind": (
        _("%(value)s is no unit that can be restarted here."),
        _("Give a service, socket, timer or path."),
    ),
    "unit_cuts_off": (
        _("%(value)s carries the way to the host: after a failed restart nobody gets in."),
        _("Restart it at the console of the host."),
    ),
    "unit_stops_host": (_("%(value)s takes the host down."), _("Ask for a reboot.")),
    "unit_ours": (_("%(value)s runs a command of FleetUI."), _("Cancel that operation.")),
    "not_a_container_unit": (_("%(value)s runs no container."), _("Give a service, such as web.service.")),
    "not_a_container": (_("%(value)s is not the name of a container."), _("Give it as podman ps shows it.")),
    "not_a_number_to": (_("%(value)s is not such a number."), _("Give a whole number from %(least)s to %(most)s.")),
    "not_an_image": (
        _("%(value)s is not a reference of an image."),
        _("Give one such as quay.io/team/app:1.2 or quay.io/team/app@sha256:…"),
    ),
    "image_without_registry": (
        _("%(value)s names no registry, so which image is meant depends on the host."),
        _("Put the registry in front, such as docker.io/library/ or quay.io/team/."),
    ),
    "image_without_tag": (
        _("%(value)s has neither a tag nor a digest."),
        _("Add the tag, such as :latest, or the digest."),
    ),
    "not_a_certificate": (
        _("%(value)s is not the name of a certificate."),
        _("Give that of its folder in /etc/letsencrypt/live, of letters, digits and ._- only."),
    ),
    "not_of_kubeadm": (
        _("%(value)s is no certificate that kubeadm renews."),
        _("Leave it out for all of them, or give one of %(known)s."),
    ),
    "not_an_endpoint": (
        _("%(value)s is not a TLS endpoint."),
        _("Give HOST:PORT, or HOST:PORT (SERVER NAME), as it stands in the list of endpoints."),
    ),
    "not_a_service": (_("%(value)s is no service."), _("Give one such as nginx.service.")),
    "not_a_list": (_("%(value)s is not a list of kernel arguments."), _("Give a list of texts.")),
    "no_arguments": (_("No kernel argument is named."), _("Give some to append, to delete or to replace.")),
    "too_many_arguments": (_("%(value)s kernel arguments are too many at once."), _("Give at most %(most)s.")),
    "not_an_argument": (
        _("%(value)s is not a kernel argument that can be given here."),
        _("Give NAME or NAME=VALUE without spaces, quotes and backslashes."),
    ),
    "argument_protected": (
        _("%(value)s decides how the host boots, and is not changed from here."),
        _("Leave it out."),
    ),
    "not_a_replacement": (_("%(value)s has no new value."), _("Give NAME=VALUE.")),
    "twice": (_("%(value)s is named more than once."), _("Name it once.")),
    "not_a_place": (_("%(value)s is not a deployment that can be named."), _("Give booted, pending or rollback.")),
}
