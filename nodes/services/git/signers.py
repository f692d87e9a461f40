"""Who may sign commits of a config: checked line by line when it is given, and shown with fingerprint and owner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleetui.core.errors import InvalidInput
from nodes.git import gpgv
from nodes.git.openpgp import MOST_KEYS, MOST_TEXT, OpenPgpKey, Unreadable, keys_in
from nodes.git.signatures import BadLine, signers_in
from nodes.models import GitFollow
from nodes.models.git_source import GitSource

MOST_SIGNERS = 65_536
#: What is wrong with a line of the allowed signers, and what to do.
_SIGNER_SENTENCES: dict[str, tuple[Promise, Promise]] = {
    "fields": (
        gettext_lazy("Line %(line)s of the allowed signers is not a person followed by a key."),
        gettext_lazy(
            "Write the e-mail address, a space, and the line of the .pub file: anna@example.org ssh-ed25519 AAAA"
        ),
    ),
    "kind": (
        gettext_lazy("Line %(line)s of the allowed signers has a key of the kind %(value)s, which is not taken."),
        gettext_lazy("Give a key of the type ed25519, ECDSA, or RSA from 2048 bits."),
    ),
    "key": (
        gettext_lazy("The key in line %(line)s of the allowed signers is damaged."),
        gettext_lazy("Copy the .pub file anew, as one line."),
    ),
    "namespace": (
        gettext_lazy("Line %(line)s of the allowed signers is not for Git: its namespaces are %(value)s."),
        gettext_lazy('Write namespaces="git", or leave it out.'),
    ),
    "option": (
        gettext_lazy("Line %(line)s of the allowed signers has the option %(value)s, which is not known here."),
        gettext_lazy("Leave it out. namespaces, valid-after and valid-before are known; certificates are not taken."),
    ),
    "date": (
        gettext_lazy("Line %(line)s of the allowed signers has the date %(value)s, which is none."),
        gettext_lazy("Write it as 20271231Z, or 20271231235959Z."),
    ),
}
_KEY_SENTENCES: dict[str, tuple[Promise, Promise]] = {
    "outside": (
        gettext_lazy("Line %(line)s of the OpenPGP keys belongs to no key: %(value)s."),
        gettext_lazy("Only what gpg --armor --export prints may stand there, and comments that begin with #."),
    ),
    "open": (
        gettext_lazy("The block that begins in line %(line)s of the OpenPGP keys has no end."),
        gettext_lazy("Copy it whole, up to the line -----END PGP PUBLIC KEY BLOCK-----."),
    ),
    "base64": (
        gettext_lazy("Line %(line)s of the OpenPGP keys is damaged: %(value)s."),
        gettext_lazy("Export the key anew with gpg --armor --export, and copy it whole."),
    ),
    "damaged": (
        gettext_lazy("The block that begins in line %(line)s of the OpenPGP keys is damaged."),
        gettext_lazy("Export the key anew with gpg --armor --export, and copy it whole."),
    ),
    "kind": (
        gettext_lazy("The block that begins in line %(line)s of the OpenPGP keys holds no public key: %(value)s."),
        gettext_lazy("Give what gpg --armor --export prints."),
    ),
    "private": (
        gettext_lazy("The block that begins in line %(line)s of the OpenPGP keys is a private key."),
        gettext_lazy(
            "It is secret: give the public one, and think of this one as known. gpg --armor --export prints it."
        ),
    ),
    "version": (
        gettext_lazy("The key that begins in line %(line)s is of version %(value)s, which is not taken."),
        gettext_lazy("Give a key of version 4, as gpg makes them."),
    ),
    "weak": (
        gettext_lazy("The key that begins in line %(line)s cannot sign here: %(value)s."),
        gettext_lazy("Give a key of the type ed25519, ECDSA, or RSA from 2048 bits."),
    ),
    "twice": (
        gettext_lazy("The key that begins in line %(line)s stands there already: %(value)s."),
        gettext_lazy("Keep the newest copy of it: an older one may not know that it was revoked."),
    ),
    "many": (
        gettext_lazy("There are more keys than are taken."),
        gettext_lazy("Give at most %(most)s of them."),
    ),
}


@dataclass(frozen=True)
class Trusted:
    """A key whose commits are taken, or would be: `state` is empty, early, expired or revoked."""

    kind: str
    algorithm: str
    fingerprint: str
    who: str
    state: str = ""
    until: datetime | None = None


def check_signers(text: str) -> None:
    """Refuse the first line that allows nobody, as a field of a form would be."""
    if len(text) > MOST_SIGNERS or "\0" in text:
        raise _large("allowed_signers", MOST_SIGNERS)
    try:
        signers_in(text)
    except BadLine as bad:
        raise _refused("allowed_signers", _SIGNER_SENTENCES[bad.reason], bad.line, bad.value) from bad


def check_keys(text: str) -> None:
    """Refuse what is no key that could sign, and any where nothing can verify them."""
    if len(text) > MOST_TEXT or "\0" in text:
        raise _large("allowed_keys", MOST_TEXT)
    try:
        found = keys_in(text)
    except Unreadable as bad:
        raise _refused("allowed_keys", _KEY_SENTENCES[bad.reason], bad.line, bad.value) from bad
    if found and gpgv.program() is None:
        raise InvalidInput(
            _("OpenPGP signatures cannot be verified here: the program gpgv is not installed."),
            field="allowed_keys",
            mend=_("Have the operator install the package gpgv, or have people sign with SSH keys."),
        )


def trusted_of(source: GitSource, now: datetime) -> list[Trusted]:
    """The keys of a row that was checked, SSH first; what is not read any more is left out, as in verifying."""
    found = []
    for one in signers_in(source.allowed_signers, is_strict=False):
        state = "early" if one.after and now < one.after else "" if one.is_valid(now) else "expired"
        found.append(Trusted("SSH", one.kind, one.fingerprint, one.principals, state, one.before))
    for key in keys_of(source):
        ended = key.expires_at is not None and key.expires_at <= now
        state = "revoked" if key.is_revoked else "expired" if ended else ""
        who = ", ".join(key.identities)
        found.append(Trusted("OpenPGP", key.primary.algorithm, key.fingerprint, who, state, key.expires_at))
    return found


def keys_of(source: GitSource) -> list[OpenPgpKey]:
    """The OpenPGP keys of a row; none where they cannot be read."""
    try:
        return keys_in(source.allowed_keys)
    except Unreadable:
        return []


def _refused(field: str, words: tuple[Promise, Promise], line: int, value: str) -> InvalidInput:
    named = {"line": line, "value": value, "most": MOST_KEYS}
    sentence, mend = (str(one) % named for one in words)
    return InvalidInput(sentence, field=field, value=value or line, mend=mend)


def _large(field: str, most: int) -> InvalidInput:
    named = GitFollow._meta.get_field(field).verbose_name  # type: ignore[union-attr]
    mend = _("Give at most %(most)s characters, without NUL.") % {"most": f"{most:,}"}
    return InvalidInput(_("The %(field)s cannot be used.") % {"field": named}, field=field, value=None, mend=mend)
