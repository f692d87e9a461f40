"""Review: from a draft to an approved version, never by its author alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from allauth.account.models import EmailAddress
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.models import User
from fleetui.access.principals import Principal, person_of
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, NotAllowed
from fleetui.core.text import clean
from nodes.git.openpgp import mails_in
from nodes.models import IgnitionReview, IgnitionVersion
from nodes.models.ignition import TRANSITIONS, ReviewState
from nodes.services.ignition.rights import require
from nodes.services.ignition.versions import subject_of
from nodes.wording.ignition import STATE_SAID


def submit(*, version: IgnitionVersion, actor: Principal, now: datetime) -> IgnitionVersion:
    """Ask for a review of a draft that converts."""
    require(actor, "ignition.edit", version.config)
    if not version.is_valid:
        raise Conflict(
            _("Version %(number)s does not convert: %(why)s")
            % {"number": version.number, "why": version.failure.strip()[:300]},
            mend=_("Save a version without errors."),
        )
    with transaction.atomic():
        _move(version, ReviewState.IN_REVIEW, actor, now)
        append([_entry(version, "ignition.submit", actor)])
    return version


def approve(*, version: IgnitionVersion, actor: Principal, now: datetime, reason: str = "") -> IgnitionVersion:
    """Let the version be used. Older approved versions of the config that no pool should have are superseded by it."""
    require(actor, "ignition.approve", version.config)
    if own := own_part(version, actor):
        raise NotAllowed(_("Nobody approves what they wrote."), mend=why_not(own))
    try:
        with transaction.atomic():
            _say(version, "approved", actor, now, reason)  # first: the database approves nothing without it
            _move(version, ReviewState.APPROVED, actor, now)
            supersede(version, now)
            append([_entry(version, "ignition.approve", actor, reason)])
    except IntegrityError as error:
        raise NotAllowed(_("Nobody approves what they wrote."), mend=_("Ask somebody else who may approve.")) from error
    return version


def give_back(*, version: IgnitionVersion, reason: str, actor: Principal, now: datetime) -> IgnitionVersion:
    """Make it a draft again, with the reason why it was not approved."""
    require(actor, "ignition.approve", version.config)
    with transaction.atomic():
        _move(version, ReviewState.DRAFT, actor, now)
        _say(version, "returned", actor, now, reason)
        append([_entry(version, "ignition.return", actor, reason)])
    return version


def withdraw(*, version: IgnitionVersion, actor: Principal, now: datetime, reason: str = "") -> IgnitionVersion:
    """Take the version out of use for good. What nodes were born with stays on record."""
    require(actor, "ignition.edit", version.config)
    with transaction.atomic():
        # Locked before it is asked: no pool comes to intend it meanwhile.
        IgnitionVersion.objects.select_for_update().filter(pk=version.pk).values_list("pk").first()
        pools = sorted(version.intended_for_pools.values_list("name", flat=True))
        if pools:
            raise Conflict(
                _("Nodes of %(pools)s should have version %(number)s.")
                % {"pools": ", ".join(pools), "number": version.number},
                mend=_("Choose another version for the pool first."),
            )
        _move(version, ReviewState.WITHDRAWN, actor, now)
        append([_entry(version, "ignition.withdraw", actor, reason)])
    return version


def supersede(newest: IgnitionVersion, now: datetime) -> int:
    """Older approved versions of the config that no pool should have: how many were superseded. Within a transaction."""
    older = IgnitionVersion.objects.filter(
        config_id=newest.config_id, state=ReviewState.APPROVED, number__lt=newest.number, intended_for_pools=None
    )
    found = list(older.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))
    return IgnitionVersion.objects.filter(pk__in=found, intended_for_pools=None).update(
        state=ReviewState.SUPERSEDED, state_since=now, state_by=""
    )


@dataclass(frozen=True)
class OwnPart:
    """What somebody had to do with a version: `role` is written, author, committer, signer or merged."""

    role: str
    email: str = ""


def own_part(version: IgnitionVersion, actor: Principal) -> OwnPart | None:
    """What the principal had to do with it: as themselves, by one of their tokens, or by an e-mail address of theirs in a
    commit, be it as author, committer or signer, or of a commit that came in with it. None: nothing that is known."""
    author = version.author
    if author == str(actor) or (author.startswith(("user:", "token:")) and person_of(author) == person_of(str(actor))):
        return OwnPart("written")
    people = [{"role": "author", "emails": mails_in(author)}, *version.people]
    if actor.user_id is None or not any(one["emails"] for one in people):
        return None
    own = _addresses(actor.user_id)
    return next((OwnPart(one["role"], mail) for one in people for mail in one["emails"] if mail in own), None)


def _addresses(user_id: int) -> set[str]:
    """Of the account, in small letters; also those that were never verified: they can only make it stricter."""
    found = [*User.objects.filter(pk=user_id).values_list("email", flat=True)]
    found += EmailAddress.objects.filter(user_id=user_id).values_list("email", flat=True)
    return {one.strip().lower() for one in found if one.strip()}


def why_not(own: OwnPart) -> str:
    """Why somebody may not approve, and who may."""
    sentences = {
        "written": _("You wrote this version: somebody else has to approve it."),
        "author": _("Its commit names %(email)s as its author: somebody else than you has to approve it."),
        "committer": _("Its commit names %(email)s as its committer: somebody else than you has to approve it."),
        "signer": _("The key of %(email)s signed its commit: somebody else than you has to approve it."),
        "merged": _("A commit that came in with it is by %(email)s: somebody else than you has to approve it."),
    }
    return sentences[own.role] % {"email": own.email}


def _move(version: IgnitionVersion, to: ReviewState, actor: Principal, now: datetime) -> None:
    """The one place where a state changes, by compare-and-swap."""
    before = ReviewState(version.state)
    same = IgnitionVersion.objects.filter(pk=version.pk, state=before)
    if to not in TRANSITIONS[before] or not same.update(state=to, state_since=now, state_by=str(actor)[:200]):
        seen = IgnitionVersion.objects.filter(pk=version.pk).values_list("state", flat=True).first() or before
        raise Conflict(
            str(STATE_SAID[ReviewState(seen)]) % {"number": version.number},
            field="state",
            value=str(seen),
            mend=_("Read it again: this can be done from another state only."),
        )
    version.state, version.state_since, version.state_by = to.value, now, str(actor)[:200]


def _say(version: IgnitionVersion, verdict: str, actor: Principal, now: datetime, reason: str) -> None:
    IgnitionReview.objects.create(
        version=version,
        reviewer=str(actor)[:200],
        author=version.author,
        verdict=verdict,
        at=now,
        reason=clean(reason).strip()[:300],
    )


def _entry(version: IgnitionVersion, action: str, actor: Principal, reason: str = "") -> Entry:
    after = {"state": version.state, "sha512": version.sha512, "author": version.author}
    return Entry(str(actor), action, subject_of(version), after=after, reason=clean(reason).strip()[:300])
