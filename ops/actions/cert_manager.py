"""A Certificate of cert-manager is issued anew, as `cmctl renew` asks for it; followed until it is there, and where asked, served.

Nothing is done to a host. cert-manager carries it out by itself: what is cancelled here goes on there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from nodes import certificates
from ops.actions.base import Action, CertManager, Context, ParamsRefused, Step
from ops.actions.certbot import endpoint_check, endpoint_param, served_as, to_be_served
from ops.kubernetes.errors import ClusterError
from ops.kubernetes.issued import Issued
from ops.outcomes import Done, Fail, Outcome, Wait
from ops.preflight import Check, blocked

LOOK = timedelta(seconds=3)
#: An authority that looks into DNS takes minutes.
ISSUED_WITHIN = timedelta(minutes=30)


def _params(params: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(params)
    found = endpoint_param(given)
    if given:
        raise ParamsRefused(sorted(given)[0], "unknown_param")
    return found


def the_cert_manager(ctx: Context) -> CertManager:
    if ctx.cert_manager is None:
        raise ClusterError("no_access")
    return ctx.cert_manager


def preflight(ctx: Context) -> Outcome:
    """The Certificate as it is now, and what the endpoint serves."""
    cluster = the_cert_manager(ctx)
    if lacking := cluster.missing():
        lacks = Check("cluster_rights", "block", {"rights": ", ".join(lacking)})
        return Fail("preflight", {"checks": [lacks.as_json()]})
    found = cluster.read()
    before = _as_memory(cluster, found)
    checks = [Check("certificate_there", params={"name": found.place, "until": _until(found.not_after)})]
    if found.issuing:
        checks.append(Check("issued_already", "warn", {"name": found.place}))
    if endpoint := str(ctx.params.get("endpoint", "")):
        checks.append(endpoint_check(endpoint, ctx.certificates.served(endpoint, before), before["fingerprint"]))
    else:
        checks.append(Check("renewal_not_proved", "warn"))
    for check in checks:
        ctx.log.note(f"check_{check.level}", check=check.code, **check.params)
    if stops := blocked(checks):
        return Fail("preflight", {"checks": [check.as_json() for check in stops]})
    return Done("ready", memory={"before": before})


def _as_memory(cluster: CertManager, found: Issued) -> dict[str, Any]:
    """What tells one certificate of it from the next; the fingerprint where what was signed is kept."""
    chain: list[certificates.Certificate] = []
    for one in cluster.signed(found):
        if one.revision == found.revision:
            chain = [it for it in certificates.read_all(one.pem) if isinstance(it, certificates.Certificate)]
    return {
        "revision": found.revision,
        "not_after": found.not_after,
        "failed_at": found.failed_at,
        **to_be_served(chain),
    }


def ask(ctx: Context) -> Outcome:
    """One patch, with our mark in it: whoever takes over knows by it that it was made."""
    cluster = the_cert_manager(ctx)
    found, before = cluster.read(), dict(ctx.memory["before"])
    if found.issuing or found.revision != before["revision"]:
        return Done("issue_asked")
    if found.failed_at != before["failed_at"]:
        return Fail("issue_failed", {"name": found.place, "said": found.failed or found.said})
    try:
        cluster.issue_again(found)
    except ClusterError as error:
        if error.kind != "conflict":
            raise
        # cert-manager, or somebody, wrote at the same moment: it is looked at anew.
        return Wait(ctx.now + timedelta(seconds=1), "changes_certificate")
    ctx.log.note("issue_asked", name=found.place)
    return Done("issue_asked")


def follow(ctx: Context) -> Outcome:
    """Until there is another revision of it that holds, or cert-manager says that it failed."""
    cluster = the_cert_manager(ctx)
    found, before = cluster.read(), dict(ctx.memory["before"])
    told = {"name": found.place, "until": _until(found.not_after)}
    if found.revision > before["revision"] and not found.issuing:
        renewed = _as_memory(cluster, found)
        cluster.look_again()
        if not ctx.params.get("endpoint"):
            return Done("certificate_renewed", told, finish=True)
        if not renewed["fingerprint"]:
            return Fail("signed_not_kept", told)
        return Done("certificate_renewed", told, {"renewed": renewed})
    if not found.issuing and found.failed_at != before["failed_at"]:
        return Fail("issue_failed", {**told, "said": found.failed or found.said})
    waiting = [one for one in cluster.signed(found) if one.revision > before["revision"]]
    said = next((one.said for one in waiting if one.said), "") or ("" if found.is_ready else found.said)
    if ctx.now - ctx.since > ISSUED_WITHIN:
        return Fail("issue_late", {**told, "said": said, "minutes": ISSUED_WITHIN // timedelta(minutes=1)})
    return Wait(ctx.now + LOOK, "issues", {"name": found.place, "said": said})


def see_served(ctx: Context) -> Outcome:
    return served_as(ctx, f"{ctx.plan['issued']['namespace']}/{ctx.plan['issued']['name']}")


def _until(moment: str) -> str:
    try:
        return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return ""


CERT_MANAGER_RENEW = Action(
    kind="cert_manager_renew",
    steps=(
        Step("preflight", preflight),
        Step("ask_issuer", ask),
        Step("follow_issue", follow),
        Step("see_served", see_served),
    ),
    on="issued",
    needs_facts=False,
    check_params=_params,
)
