"""What stands between FleetUI and the API of a cluster, and what is wrong with a sign-in to it; each with its mend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from nodes.wording.sentences import Forms, fill

#: kind of ops.kubernetes.ClusterError -> sentence, mend.
PROBLEMS: dict[str, tuple[Forms, Promise]] = {
    "unreachable": (
        (_("Nothing answers at %(server)s."), _("The API of the cluster does not answer.")),
        _("Look whether the API server runs, and whether a firewall lets FleetUI through."),
    ),
    "no_name": (
        (_("The name in %(server)s is not known here."), _("The name of the API is not known here.")),
        _("Give an address that this machine can resolve."),
    ),
    "timed_out": (
        (_("%(server)s did not answer in time."), _("The API of the cluster did not answer in time.")),
        _("Look whether the API server is overloaded, and whether a firewall drops what FleetUI sends."),
    ),
    "broke_off": (
        (_("%(server)s broke the connection off."), _("The API of the cluster broke the connection off.")),
        _("Look at the log of the API server, and at what stands before it."),
    ),
    "certificate": (
        (
            _("The certificate of %(server)s is not trusted: %(said)s"),
            _("The certificate of the API is not trusted: %(said)s"),
            _("The certificate of the API is not trusted."),
        ),
        _("Give the certificate of the authority that signed it, and an address that stands in it."),
    ),
    "unauthorized": (
        (_("The API does not know this sign-in (401)."),),
        _("The token or the certificate has expired, or belongs to another cluster: give a fresh one."),
    ),
    "forbidden": (
        (_("The API does not allow it: %(said)s"), _("The API does not allow it.")),
        _("Give the sign-in this right; docs/kubernetes.md has the manifest."),
    ),
    "not_found": (
        (_("The API does not have it: %(said)s"), _("The API does not have it.")),
        _("Look whether this is the cluster that you mean, and whether its version is 1.22 or newer."),
    ),
    "conflict": ((_("Somebody else changed it at the same moment."),), _("It is tried again.")),
    "busy": (
        (_("The API takes no more requests now: %(said)s"), _("The API takes no more requests now.")),
        _("It is tried again."),
    ),
    "server_error": (
        (_("The API itself failed (%(status)s): %(said)s"), _("The API itself failed.")),
        _("Look at the log of the API server."),
    ),
    "refused": (
        (_("The API refused it (%(status)s): %(said)s"), _("The API refused it.")),
        _("Look at the log of the API server."),
    ),
    "garbled": (
        (_("What answers is no Kubernetes API: %(said)s"), _("What answers is no Kubernetes API.")),
        _("Give the address of the API server itself."),
    ),
    "seal_broken": (
        (_("The sign-in cannot be opened: %(said)s"), _("The sign-in cannot be opened.")),
        _("Put the encryption key back, or give the sign-in again."),
    ),
    "no_access": (
        (_("The access to the cluster was deleted."),),
        _("Give it again on the page of the cluster."),
    ),
    "replaced": (
        (_("Another node has the name %(name)s now."),),
        _("Ask again: FleetUI looks at the cluster every half minute."),
    ),
    "gone": (
        (_("%(name)s was deleted in the cluster."),),
        _("Look whether there is a new one of this name, and ask again for that."),
    ),
    "fault": (
        (_("FleetUI itself failed when it read the cluster."),),
        _("Report this with the log of the worker."),
    ),
}
#: code of ops.kubernetes.AccessRefused -> sentence, mend.
_FLATTEN = _("Give what this prints: kubectl config view --raw --flatten --minify")
_SERVICE_ACCOUNT = _("Give the token of a service account; docs/kubernetes.md shows how.")
ACCESS_PROBLEMS: dict[str, tuple[Forms, Promise]] = {
    "too_long": ((_("It is longer than %(most)s characters."),), _FLATTEN),
    "not_yaml": ((_("Line %(line)s is no YAML."), _("It is no YAML.")), _FLATTEN),
    "no_kubeconfig": ((_("It is no kubeconfig."),), _FLATTEN),
    "no_entry": ((_("It has no %(what)s named %(name)s."),), _("Name a context in current-context that is complete.")),
    "names_file": (
        (_("It names a file (%(key)s), which lies on another machine."),),
        _FLATTEN,
    ),
    "runs_program": ((_("It would run a program to sign in (%(key)s), which FleetUI never does."),), _SERVICE_ACCOUNT),
    "no_passwords": (
        (_("It signs in with a password (%(key)s), which no API server takes any more."),),
        _SERVICE_ACCOUNT,
    ),
    "impersonates": ((_("It acts in the name of somebody else (%(key)s)."),), _SERVICE_ACCOUNT),
    "insecure": (
        (_("It does not check whom it talks to (%(key)s)."),),
        _("Give the certificate of the authority in certificate-authority-data instead."),
    ),
    "proxy": ((_("It goes through a proxy (%(key)s)."),), _("Give an address that FleetUI reaches by itself.")),
    "no_sign_in": (
        (_("Its user has neither a token nor a certificate with its key."),),
        _FLATTEN,
    ),
    "not_base64": ((_("%(key)s is not base64."),), _FLATTEN),
    "no_server": (
        (_("%(value)s is no address of an API server."),),
        _("Give one such as https://10.0.0.10:6443."),
    ),
    "no_certificate": (
        (_("What stands for the authority is no certificate."),),
        _("Give it as PEM: -----BEGIN CERTIFICATE-----."),
    ),
    "no_token": (
        (_("The token is empty, or no single word."),),
        _("Give it as kubectl create token prints it."),
    ),
    "no_pair": (
        (_("Its client certificate and its key do not belong together, or cannot be read."),),
        _FLATTEN,
    ),
}
#: How a node of a cluster was found to be one of ours.
MATCHES: dict[str, Promise] = {
    "machine": _("by its machine id"),
    "provider": _("by the label provider-id"),
    "name": _("by its name"),
    "address": _("by its address"),
}


def problem(kind: str, params: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong, and the mend."""
    forms, mend = PROBLEMS.get(kind, PROBLEMS["refused"])
    known = {name: value for name, value in params.items() if value not in (None, "")}
    sentence, said = fill(forms, known), str(known.get("said", ""))
    # Most of what an API server says has no full stop, and more follows.
    ends = not said or not sentence.endswith(said) or said.endswith((".", "!", "?"))
    return sentence if ends else f"{sentence}.", str(mend)


def access_problem(code: str, params: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong with a sign-in that was given, and the mend."""
    forms, mend = ACCESS_PROBLEMS[code]
    return fill(forms, {name: value for name, value in params.items() if value is not None}), str(mend)


def cordon_sentence(*, is_ours: bool, is_kept: bool) -> str:
    """Who cordoned a node, and until when."""
    if not is_ours:
        return gettext("Cordoned by somebody else, and left so.")
    if is_kept:
        return gettext("Cordoned by a drain of FleetUI, until it is uncordoned here.")
    return gettext("Cordoned by FleetUI, until its operation ends.")


#: What would stand against a drain, by its key in ClusterNode.stands_against.
_AGAINST: dict[str, Forms] = {
    "budgets": (
        ngettext_lazy(
            "A disruption budget holds %(count)d pod: %(names)s.",
            "Disruption budgets hold %(count)d pods: %(names)s.",
            "count",
        ),
    ),
    "doubled": (
        ngettext_lazy(
            "%(count)d pod has more than one disruption budget, so that the API never evicts it: %(names)s.",
            "%(count)d pods have more than one disruption budget, so that the API never evicts them: %(names)s.",
            "count",
        ),
    ),
    "local": (
        ngettext_lazy(
            "%(count)d pod keeps data in an emptyDir volume: %(names)s.",
            "%(count)d pods keep data in emptyDir volumes: %(names)s.",
            "count",
        ),
    ),
    "unmanaged": (
        ngettext_lazy(
            "%(count)d pod has no controller that would start it elsewhere: %(names)s.",
            "%(count)d pods have no controller that would start them elsewhere: %(names)s.",
            "count",
        ),
    ),
}


def against(stored: Mapping[str, Any]) -> list[str]:
    """What a drain would meet, a sentence each."""
    found = []
    for name, forms in _AGAINST.items():
        rows = stored.get(name) or []
        if rows:
            named = [f"{one['pod']} ({one['budget']})" if isinstance(one, dict) else str(one) for one in rows]
            found.append(fill(forms, {"count": stored.get(f"{name}_count", len(rows)), "names": named}))
    return found
