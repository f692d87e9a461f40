"""What following a repository needs from the installation: what the operator allows, where mirrors stand, how to sign in."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from fleetui.core.errors import InvalidInput
from nodes.git import address
from nodes.git.errors import GitProblem
from nodes.git.fetch import SignIn
from nodes.git.limits import DEFAULT, MIB, GitLimits
from nodes.hosts.errors import BadIdentity
from nodes.hosts.ssh import HostKey, load_identity
from nodes.models import GitFollow
from nodes.models.git_source import GitSource
from nodes.services.git.secrets import opened
from nodes.wording.git import mend_of, sentence_of

#: Forges take any user name beside a token, and this one all of them.
_SIGNS_IN_AS = "oauth2"
#: Folders of tests of a connection, beside that of the mirrors, begin with this.
TRIAL = "trial-"


def allowed() -> address.Allowed:
    root = settings.GIT_LOCAL_ROOT
    return address.Allowed(frozenset(settings.GIT_HTTP_HOSTS), Path(root) if root else None)


def limits() -> GitLimits:
    most = settings.GIT_MAX_MIB * MIB
    return GitLimits(received_bytes=most, inflated_bytes=4 * most) if most != DEFAULT.received_bytes else DEFAULT


def address_of(url: str) -> address.Address:
    """The address, refused as a field of a form would be."""
    try:
        return address.parse(url, allowed())
    except GitProblem as problem:
        raise InvalidInput(
            sentence_of(problem.kind, problem.reason, problem.params),
            field="url",
            # Somebody may have put a password into it.
            value=None if "@" in url else url[:300],
            mend=mend_of(problem.kind, problem.reason, problem.params),
        ) from problem


def mirrors() -> Path:
    return Path(settings.DATA_DIR) / "git"


def mirror_of(follow: GitFollow) -> Path:
    """Below the data folder, by the id of the row: nothing that a person typed is in the path."""
    return mirrors() / str(follow.pk)


def sign_in_of(source: GitSource) -> SignIn:
    """Raises GitProblem when the secret cannot be used."""
    secret = opened(source, "secret")
    if source.auth == "key":
        try:
            identity = load_identity(secret)
        except BadIdentity:
            raise GitProblem("refused", "bad_key") from None
        return SignIn(identity=identity, host_key=HostKey.parse(source.host_key) if source.host_key else None)
    if source.auth == "token":
        return SignIn(username=source.username or _SIGNS_IN_AS, password=secret)
    if source.auth == "basic":
        return SignIn(username=source.username, password=secret)
    return SignIn()
