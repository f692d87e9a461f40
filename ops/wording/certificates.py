"""What renewals of certificates end with, and what the checks before them found."""

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from nodes.wording.sentences import Forms

CERTIFICATE_RESULTS: dict[str, Forms] = {
    "certbot_ran": (_("Certbot has run."),),
    "certbot_failed": (
        _("Certbot failed, and the certificate is as it was (status %(status)s): %(said)s"),
        _("Certbot failed, and the certificate is as it was."),
    ),
    "certificate_gone": (
        _("The certificate %(name)s is not on the host any more: look there with certbot certificates."),
    ),
    "certificate_not_renewed": (
        _("Certbot ended well, and %(name)s is the one of before: see what it said in the log."),
    ),
    "certificate_not_due": (_("Nothing to do: by Certbot %(name)s is not due yet, it holds until %(until)s."),),
    "certificate_was_renewed": (_("%(name)s was renewed before, and is not the one that is served."),),
    "certificate_ends_sooner": (
        _("The new certificate %(name)s ends at %(until)s, no later than the one before, and nothing was reloaded."),
    ),
    "certificate_renewed": (_("%(name)s was renewed, and holds until %(until)s."),),
    "service_reloaded": (_("%(name)s is there until %(until)s, and %(unit)s was reloaded."),),
    "reload_failed": (
        _("The certificate is there, and the service could not be reloaded (status %(status)s): %(said)s"),
        _("The certificate is there, and the service could not be reloaded."),
    ),
    "certificate_served": (_("%(endpoint)s serves the new certificate %(name)s, which holds until %(until)s."),),
    "old_certificate_served": (
        _("%(name)s was renewed, and %(endpoint)s still serves another one: reload what serves it."),
    ),
    "chain_not_served": (
        _(
            "%(name)s was renewed, and %(endpoint)s serves it without the chain that belongs to it: have it send all of it."
        ),
    ),
    "endpoint_not_read": (_("%(name)s was renewed, and what %(endpoint)s serves could not be read (%(why)s)."),),
    "kubeadm_ran": (_("kubeadm has run."),),
    "kubeadm_failed": (
        _("kubeadm failed, and no pod was restarted (status %(status)s): %(said)s"),
        _("kubeadm failed, and no pod was restarted."),
    ),
    "kubeadm_left": (
        _("kubeadm ended well, and did not renew %(names)s: see what it said in the log. No pod was restarted."),
    ),
    "kubeadm_sooner": (
        _("The new certificate %(name)s ends at %(until)s, no later than the one before, and no pod was restarted."),
    ),
    "kubeadm_renewed": (
        ngettext_lazy(
            "%(count)d certificate was renewed, and holds until %(until)s.",
            "%(count)d certificates were renewed, and hold until %(until)s.",
            "count",
        ),
    ),
    "issue_asked": (_("cert-manager was asked for a new certificate."),),
    "issue_failed": (
        _("cert-manager could not get a new certificate for %(name)s, and the one before stays: %(said)s"),
        _("cert-manager could not get a new certificate for %(name)s, and the one before stays."),
    ),
    "issue_late": (
        _("After %(minutes)s min there is no new certificate for %(name)s: %(said)s. cert-manager goes on with it."),
        _(
            "After %(minutes)s min there is no new certificate for %(name)s: see whether cert-manager runs. It goes on with it."
        ),
    ),
    "signed_not_kept": (
        _(
            "%(name)s was renewed, and holds until %(until)s. Its CertificateRequest is not kept, so that nobody can say "
            "whether it is served."
        ),
    ),
    "pods_restarted": (_("The static pods were restarted."),),
    "pods_not_restarted": (
        _(
            "The certificates were renewed, and the static pods could not all be restarted (status %(status)s): %(said)s"
        ),
        _("The certificates were renewed, and the static pods could not all be restarted."),
    ),
    "control_plane_unread": (_("What the host has of kubeadm could not be read: %(said)s"),),
    "pods_old": (
        _("The certificates were renewed, and after %(minutes)s min %(pods)s did not run anew: look at its kubelet."),
    ),
    "pods_ill": (
        _(
            "The certificates were renewed, and after %(minutes)s min %(pods)s did not say that it is well: look at its "
            "containers with crictl ps -a."
        ),
    ),
    "pods_serve_old": (
        _("The certificates were renewed, and after %(minutes)s min %(pods)s still served another one."),
    ),
    "node_not_ready": (
        _("The certificates were renewed, and after %(minutes)s min %(name)s was not Ready in its cluster: %(said)s"),
        _("The certificates were renewed, and after %(minutes)s min %(name)s was not Ready in its cluster."),
    ),
    "control_plane_renewed": (
        ngettext_lazy(
            "%(count)d certificate was renewed, holds until %(until)s, and is in use by %(pods)s.",
            "%(count)d certificates were renewed, hold until %(until)s, and are in use by %(pods)s.",
            "count",
        ),
    ),
}
CERTIFICATE_CHECKS: dict[str, Forms] = {
    "certbot_absent": (_("There is no certbot on the path of the host."),),
    "certificate_absent": (_("Certbot has no certificate %(name)s on the host."),),
    "certificate_there": (_("%(name)s is there, and holds until %(until)s."), _("%(name)s is there.")),
    "issued_already": (_("A new certificate for %(name)s is being issued already; it is followed."),),
    "renewal_not_proved": (_("Without an endpoint nobody looks whether the new certificate is served."),),
    "endpoint_unknown": (
        _("%(endpoint)s is none of the TLS endpoints of this pool: an admin adds it on the page Certificates."),
    ),
    "endpoint_silent": (_("What %(endpoint)s serves now could not be read (%(why)s)."),),
    "endpoint_serves_other": (_("%(endpoint)s serves another certificate than the one on the host."),),
    "endpoint_chain_broken": (_("%(endpoint)s serves it without the chain that belongs to it."),),
    "endpoint_serves_it": (_("%(endpoint)s serves it."),),
    "control_plane_node": (_("It is a node of a control plane."),),
    "no_control_plane": (
        _("It is no node of a control plane: /etc/kubernetes/manifests/kube-apiserver.yaml is not there."),
    ),
    "control_plane_unread": (_("What the host has of kubeadm could not be read: %(said)s"),),
    "kubeadm_absent": (_("There is no kubeadm on the path of root."),),
    "kubelet_inactive": (_("Its kubelet does not run (%(state)s), and would not restart the static pods."),),
    "kubeadm_has_none": (
        _("Of the certificates that kubeadm renews, what was asked for (%(name)s) is not on the host."),
    ),
    "manifests_aside": (
        _(
            "Manifests of static pods lie in %(folder)s (%(files)s): an earlier restart did not put them back. Compare "
            "them with those in /etc/kubernetes/manifests, and empty that folder."
        ),
    ),
    "to_renew": (
        ngettext_lazy(
            "%(count)d certificate is to be renewed: %(name)s, which ends at %(until)s.",
            "%(count)d certificates are to be renewed; the first to end is %(name)s, at %(until)s.",
            "count",
        ),
    ),
    "external_authority": (
        _(
            "%(names)s is not on the host: with an external CA, kubeadm renews nothing. Have them signed where the key is."
        ),
    ),
    "authority_absent": (_("%(name)s is not on the host."),),
    "authority_expired": (
        _("%(name)s has expired on %(until)s: what it signs is worth nothing. Renew the CA by hand first."),
    ),
    "authority_ends": (_("%(name)s itself ends on %(until)s: nothing that it signs holds for longer."),),
    "control_plane_answers": (_("It is well: %(pods)s."),),
    "control_plane_ill": (_("Not well before anything was changed: %(pods)s. Mend that first."),),
    "health_unknown": (
        _("There is no curl on the host, without which nobody sees whether its control plane is well."),
    ),
    "expired_and_down": (_("Not well: %(pods)s. Certificates have expired, and are renewed for that."),),
    "cluster_silent_expired": (
        _("The API of its cluster does not answer. Certificates have expired, and are renewed for that."),
    ),
    "planes_ready": (
        ngettext_lazy(
            "The only node of the control plane is Ready.",
            "All %(count)d nodes of the control plane are Ready.",
            "count",
        ),
    ),
    "planes_not_ready": (
        _("Other nodes of the control plane are not Ready: %(names)s. The cluster would not bear a restart here."),
    ),
    "plane_not_ready": (_("%(name)s is not Ready in its cluster."),),
}
