"""Where a repository stands, how one signs in there and whose commits count: checked field by field, whatever is taken of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _

from fleetui.core.errors import Conflict, InvalidInput
from fleetui.core.text import clean
from nodes.git.address import Address
from nodes.hosts import ssh
from nodes.hosts.errors import BadIdentity, HostError
from nodes.hosts.ssh import HostKey, generate_identity, load_identity
from nodes.models.git_source import AUTHS, GitSource
from nodes.services.git.access import address_of
from nodes.services.git.secrets import keep
from nodes.services.git.signers import check_keys, check_signers

#: Texts of several lines, which are kept as they were written.
_WHOLE: Final = ("allowed_signers", "allowed_keys")
SOURCE_FIELDS: Final = ("url", "auth", "username", "host_key", "require_signed", *_WHOLE)


@dataclass(frozen=True)
class Filled:
    """`is_moved`: the address leads to another server than before, which gets no secret that was meant for that one."""

    address: Address
    is_moved: bool


def fill_source(row: GitSource, values: Mapping[str, Any], *, is_new: bool, key_comment: str) -> Filled:
    """Values into the row, which is not saved here. Beside the fields `secret`, and `new_key` for another deploy key.

    A secret that is not given stays, unless the address leads to another server. `key_comment` names a key that is made.
    """
    origin, old_keys = (_origin(row.url), row.allowed_keys) if not is_new else (None, "")
    for name in SOURCE_FIELDS:
        if name in values:
            value = values[name]
            setattr(row, name, clean(value).strip() if isinstance(value, str) and name not in _WHOLE else value)
    address = address_of(row.url)
    row.url = str(address) if address.scheme != "ssh" or "://" in row.url else row.url
    if row.auth not in AUTHS:
        raise refused(row, "auth", row.auth, _("Choose none, token, basic or key."))
    check_signers(row.allowed_signers)
    if row.require_signed and not (row.allowed_signers.strip() or row.allowed_keys.strip()):
        raise refused(row, "allowed_signers", "", _("Name at least one signer whose commits are taken."))
    if row.allowed_keys != old_keys:
        check_keys(row.allowed_keys)
    is_moved = origin is not None and origin != _origin(row.url)
    if is_moved:
        row.host_key = str(values.get("host_key", ""))
    _check_host_key(row)
    _check_sign_in(row, address)
    _keep_secret(row, values, is_moved=is_moved, key_comment=key_comment)
    return Filled(address, is_moved)


def ref_name(row: GitSource, field: str, prefix: str, mend: str) -> str:
    """The name of a branch or a tag in that field, without what Git puts before it."""
    given: str = getattr(row, field)
    name = given.removeprefix(prefix)
    parts = name.split("/")
    bad = any(c in name for c in " ~^:?*[\\") or ".." in name or "@{" in name or not name.isprintable()
    if bad or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts):
        raise refused(row, field, given, mend)
    return name


def path_in(row: GitSource, text: str, field: str, *, is_folder: bool = False) -> str:
    """A path from the top of the repository; of a folder, it may be the top itself."""
    path = text.strip().rstrip("/") if is_folder else text.strip()
    path = path.removeprefix("./") if path != "." else path
    if is_folder and path in ("", "."):
        return path
    if any(step in ("", ".", "..") for step in path.split("/")) or not path.isprintable():
        raise refused(row, field, text[:300], _("Give a path from the top of the repository, such as hosts/web.bu."))
    return path


def shown_host_key(address: Address) -> HostKey:
    """The key that the SSH server of a repository shows. It is asked, so no transaction may be open."""
    endpoint = ssh.Endpoint(address.host, address.port or 22, address.user)
    try:
        return ssh.scan_host_key(endpoint, deadline=ssh.Deadline.after(15.0))
    except HostError as error:
        raise Conflict(_(error.message), field="fingerprint", mend=_(error.what_to_do)) from error


def still_shown(source: GitSource, fingerprint: str) -> HostKey:
    """The key that the server shows, if it is the one that a person saw."""
    seen = shown_host_key(address_of(source.url))
    if seen.fingerprint != fingerprint:
        raise Conflict(
            _("The server shows another host key now: %(fingerprint)s.") % {"fingerprint": seen.fingerprint},
            field="fingerprint",
            value=fingerprint[:100],
            mend=_("Compare this one with what the forge publishes."),
        )
    return seen


def refused(row: GitSource, field: str, value: object, mend: str) -> InvalidInput:
    named = row._meta.get_field(field).verbose_name  # type: ignore[union-attr]
    return InvalidInput(_("The %(field)s cannot be used.") % {"field": named}, field=field, value=value, mend=mend)


def _keep_secret(row: GitSource, values: Mapping[str, Any], *, is_moved: bool, key_comment: str) -> None:
    secret = str(values.get("secret") or "")
    if row.auth == "none":
        keep(row, "secret", "")
        row.public_key = ""
    elif row.auth == "key":
        _keep_key(row, secret, wants_new=bool(values.get("new_key")), key_comment=key_comment)
    else:
        row.public_key = ""
        if secret:
            keep(row, "secret", secret)
        elif is_moved or not row.sealed_secret or ("auth" in values and _was_other(row)):
            raise InvalidInput(
                _("The sign-in has no secret."),
                field="secret",
                mend=_("Give the token or the password for this server."),
            )


def _was_other(row: GitSource) -> bool:
    stored = type(row)._default_manager.filter(pk=row.pk).values_list("auth", flat=True).first()
    return stored is not None and stored != row.auth


def _keep_key(row: GitSource, private_key: str, *, wants_new: bool, key_comment: str) -> None:
    if private_key.strip():
        try:
            text, identity = ssh.private_text(private_key), load_identity(private_key)
        except BadIdentity as error:
            raise InvalidInput(_(error.message), field="secret", mend=_(error.what_to_do)) from error
    elif not row.public_key or not row.sealed_secret or wants_new:
        text, identity = generate_identity(key_comment)
    else:
        return
    keep(row, "secret", text)
    row.public_key = identity.public_line


def _check_sign_in(row: GitSource, address: Address) -> None:
    if address.scheme == "ssh" and row.auth != "key":
        raise InvalidInput(
            _("Over SSH a deploy key is needed."),
            field="auth",
            value=row.auth,
            mend=_("Choose the sign-in by a deploy key (key): it is made when you save, and shown for the forge."),
        )
    if address.scheme != "ssh" and row.auth == "key":
        raise refused(row, "auth", row.auth, _("A deploy key is for SSH: choose a token or a password for https."))
    if address.scheme in ("file", "http") and row.auth != "none":
        raise refused(row, "auth", row.auth, _("There is no sign-in here: nothing secret is sent without TLS."))
    if row.auth == "basic" and not row.username:
        raise refused(row, "username", "", _("Give the user name that belongs to the password."))
    if ":" in row.username:
        raise refused(row, "username", row.username, _("A user name holds no colon."))


def _check_host_key(row: GitSource) -> None:
    if not row.host_key:
        return
    try:
        row.host_key = HostKey.parse(row.host_key).line
    except ValueError as error:
        raise refused(row, "host_key", row.host_key[:100], str(error)) from error


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        address = address_of(url)
    except InvalidInput:
        # The operator does not allow it any more: whatever comes is another place.
        return "", "", None
    return address.scheme, address.host, address.port
