"""What renewals of certificates end with, and what the checks before them found."""

from django.utils.translation import gettext_lazy as _

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
    "endpoint_not_read": (_("%(name)s was renewed, and what %(endpoint)s serves could not be read (%(why)s)."),),
}
CERTIFICATE_CHECKS: dict[str, Forms] = {
    "certbot_absent": (_("There is no certbot on the path of the host."),),
    "certificate_absent": (_("Certbot has no certificate %(name)s on the host."),),
    "certificate_there": (_("%(name)s is there, and holds until %(until)s."), _("%(name)s is there.")),
    "renewal_not_proved": (_("Without an endpoint nobody looks whether the new certificate is served."),),
    "endpoint_unknown": (
        _("%(endpoint)s is none of the TLS endpoints of this pool: an admin adds it on the page Certificates."),
    ),
    "endpoint_silent": (_("What %(endpoint)s serves now could not be read (%(why)s)."),),
    "endpoint_serves_other": (_("%(endpoint)s serves another certificate than the one on the host."),),
    "endpoint_serves_it": (_("%(endpoint)s serves it."),),
}
