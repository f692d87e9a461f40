"""How it goes with a followed repository, as sentences: what is the case, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from nodes.models.git import FollowState

STATE_WORDS: dict[str, Promise] = {
    FollowState.NEW: _("not looked at yet"),
    FollowState.FOLLOWING: _("in step"),
    FollowState.BROKEN: _("newest commit has errors"),
    FollowState.UNREACHABLE: _("not reachable"),
    FollowState.REFUSED: _("sign-in refused"),
    FollowState.HOST_KEY: _("host key not trusted"),
    FollowState.NO_BRANCH: _("branch is gone"),
    FollowState.NO_FILE: _("file is not there"),
    FollowState.REWRITTEN: _("history was rewritten"),
    FollowState.UNSIGNED: _("newest commit is not signed"),
    FollowState.TOO_LARGE: _("too large"),
    FollowState.HOSTILE: _("refused as unsafe"),
    FollowState.FAILED: _("failed"),
}

TRIGGER_WORDS: dict[str, Promise] = {
    "schedule": _("on schedule"),
    "person": _("asked for"),
    "push": _("after a push"),
}

OUTCOME_WORDS: dict[str, Promise] = {
    "stored": _("became a version"),
    "broken": _("has errors"),
    "same": _("reads the same"),
    "unsigned": _("not signed by anybody allowed"),
    "skipped": _("skipped"),
}

DELIVERY_WORDS: dict[str, Promise] = {
    "due": _("looked at"),
    "ping": _("works"),
    "other_branch": _("another branch"),
    "other_event": _("no push"),
    "paused": _("paused"),
    "unreadable": _("not readable"),
    "unsigned": _("refused"),
    "wrong": _("refused"),
    "stale": _("refused"),
    "in_clear": _("refused"),
    "too_large": _("too large"),
    "sealed": _("refused"),
}

DELIVERY_SENTENCES: dict[str, Promise] = {
    "due": _("The repository was looked at after it."),
    "ping": _("The forge tried the address, and knows the secret."),
    "other_branch": _("It tells of another branch than the followed one."),
    "other_event": _("Only pushes are of use: choose no other events in the forge."),
    "paused": _("Following was paused then."),
    "unreadable": _("The secret is right, but it is no push as JSON: choose application/json in the forge."),
    "unsigned": _("It came without a signature: give the forge the secret."),
    "wrong": _("It was signed with another secret: give the forge the newest one."),
    "stale": _("It was signed at another time: the clocks differ by more than five minutes, or it was sent again."),
    "in_clear": _("GitLab sent the secret itself without TLS: give it the https address, and make a new secret."),
    "too_large": _("It has more than 5 MiB. The next look on schedule finds the push."),
    "sealed": _("The stored secret cannot be opened with the keys of this installation: make a new one."),
}

STATUS_WORDS: dict[str, Promise] = {
    "none": _("not told"),
    "waiting": _("waits"),
    "sent": _("sent"),
    "dead": _("given up"),
}

_CONVERTS = _("Push a commit that converts. It is looked at by itself.")
_SMALLER = _("Follow a smaller repository, or have the operator raise FLEETUI_GIT_MAX_MIB.")
#: Of what is looked at again and again; where it is not, this mend is left out.
BY_ITSELF = _("It is tried again by itself.")
_FIXED = _("Follow a smaller repository: this bound is the same everywhere.")
_RIGHTS = _("Check that the repository exists and that the sign-in may read it.")
_ADDRESS = _("Give https://host/path, ssh://git@host/path or git@host:path.")

Detail = dict[str, object]

#: What is the case, and what to do, by state and reason.
_SENTENCES: dict[str, tuple[Promise, Promise | str]] = {
    "address.unreadable": (_("This is no address of a Git repository."), _ADDRESS),
    "address.scheme": (_("Repositories are not read over %(scheme)s."), _ADDRESS),
    "address.credentials": (
        _("The address holds a user name or a password."),
        _("Leave them out, and give them as the sign-in: they are sealed there."),
    ),
    "address.http": (
        _("%(host)s would be read without TLS."),
        _("Use https, or have the operator name the host in FLEETUI_GIT_HTTP_HOSTS."),
    ),
    "address.local_off": (
        _("Repositories on this machine are not read."),
        _("Use https or ssh, or have the operator set FLEETUI_GIT_LOCAL_ROOT."),
    ),
    "address.local_outside": (
        _("The path is not below the folder that the operator allows."),
        _("Move the repository there, or use https or ssh."),
    ),
    "new": (_("The repository has not been looked at yet."), ""),
    "following": (_("The newest commit of the branch is known, and what it changed is a version."), ""),
    "broken": (_("Commit %(sha)s does not convert: %(why)s"), _CONVERTS),
    "unsigned": (
        _("Commit %(sha)s is not signed by a key that is allowed: %(why)s"),
        _("Push a commit that is signed, or allow the key of its signer."),
    ),
    "unreachable.slow": (_("The repository did not come within %(seconds)s seconds."), BY_ITSELF),
    "unreachable.redirected": (
        _("The server leads elsewhere: %(place)s."),
        _("Follow the repository there, over https: a sign-in is sent to no other server, and not in clear."),
    ),
    "unreachable.redirects": (_("The server leads in circles."), _("Check the address in a browser.")),
    "unreachable.no_git": (
        _("What answers there is no Git server."),
        _("Check the address: it is the one that git clone takes. Servers without the smart protocol are not read."),
    ),
    "unreachable.status": (_("The server answers with the status %(status)s."), BY_ITSELF),
    "unreachable.certificate": (
        _("The certificate of the server is not trusted."),
        _("Have the authority that signed it installed on this machine, or mend the certificate."),
    ),
    "unreachable.certificate_over": (
        _("The certificate of the server has expired."),
        _("Have it renewed there. It is tried again by itself."),
    ),
    "unreachable.certificate_name": (
        _("The certificate of the server is for another name."),
        _("Follow the repository under the name that the certificate has, or have this one put into it."),
    ),
    "unreachable.timed_out": (_("The server does not answer in time."), BY_ITSELF),
    "unreachable.name": (_("The name of the server is not known."), _("Check the address, and DNS.")),
    "unreachable.connect": (_("The server takes no connection."), _("Check address, port and firewall.")),
    "unreachable.link_local": (
        _(
            "The name leads to a link-local address, where nothing is asked: clouds serve the credentials of a machine there."
        ),
        _("Give the address of the server in its own network."),
    ),
    "unreachable.broke_off": (_("The connection broke off."), BY_ITSELF),
    "unreachable.hung_up": (_("The server ended the connection: %(said)s"), BY_ITSELF),
    "unreachable.ssh": (_("There is no connection over SSH: %(said)s"), BY_ITSELF),
    "unreachable.system": (_("It cannot be read here: %(said)s"), BY_ITSELF),
    "refused.sign_in": (
        _("The server refuses the sign-in (%(status)s)."),
        _("Give a token or a password that may read the repository."),
    ),
    "refused.not_found": (_("There is no such repository, or the sign-in may not see it."), _RIGHTS),
    "refused.key": (
        _("The server does not take the deploy key."),
        _("Copy the public key below into the deploy keys of the repository, for reading."),
    ),
    "refused.no_key": (_("Over SSH a deploy key is needed."), _("Choose the sign-in by key.")),
    "refused.bad_key": (_("The deploy key cannot be used."), _("Make a new one.")),
    "refused.not_allowed": (
        _("The operator does not allow this address any more."),
        _("Follow the repository over https or ssh."),
    ),
    "host_key.unknown": (
        _("The server shows the host key %(fingerprint)s, which nobody has trusted yet."),
        _("Compare it with what the forge publishes, then trust it."),
    ),
    "host_key.changed": (
        _("The server shows another host key than the trusted one: %(fingerprint)s."),
        _(
            "Ask why it changed. If that is right, trust the new one. If not, somebody may be between you and the server."
        ),
    ),
    "no_branch.gone": (
        _("There is no branch %(branch)s."),
        _("Push it again, or follow another branch. The last good version stays."),
    ),
    "no_branch.no_tag": (_("There is no tag %(tag)s."), _("Push it, or name another one.")),
    "no_branch.no_commit": (
        _("No branch and no tag leads to the commit %(commit)s."),
        _("Push it to a branch, or name another one."),
    ),
    "no_file.is_no_folder": (
        _("There is no folder %(path)s in the commit."),
        _("Push it, or name another one. Links are not followed."),
    ),
    "no_file.gone": (
        _("There is no %(path)s in the newest commit."),
        _("Push it again, or follow another path. The last good version stays."),
    ),
    "no_file.link": (_("%(path)s is a symbolic link."), _("Links are not followed: name the file itself.")),
    "no_file.no_regular": (_("%(path)s is no regular file."), _("Name a file. Submodules are not read.")),
    "no_file.no_folder": (_("%(path)s is no folder."), _("Name the folder of the files that the source embeds.")),
    "no_file.lfs": (_("%(path)s stands in Git LFS."), _("LFS is not read: keep the file in the repository itself.")),
    "rewritten": (
        _("The history was rewritten: commit %(seen)s, seen last, does not lead to %(head)s."),
        _("Ask who did it and why. If that is right, follow the new history. Until then the last good version stays."),
    ),
    "too_large.received": (_("The server sends more than %(limit)s MiB."), _SMALLER),
    "too_large.refs": (_("The server names branches and tags for more than %(limit)s MiB."), _FIXED),
    "too_large.branches": (_("The repository has more than %(limit)s branches and tags."), _FIXED),
    "too_large.objects": (_("The repository has more than %(limit)s objects."), _FIXED),
    "too_large.object": (
        _("A file in the history has more than %(limit)s MiB."),
        _("Take it out of the history, or follow another repository: this bound is the same everywhere."),
    ),
    "too_large.inflated": (_("Unpacked, the repository has more than %(limit)s MiB."), _SMALLER),
    "too_large.commits": (_("The history has more than %(limit)s commits."), _FIXED),
    "too_large.depth": (_("Folders are nested deeper than %(limit)s."), _("Name a folder with fewer below it.")),
    "too_large.entries": (_("A folder has more than %(limit)s entries."), _("Name a smaller folder.")),
    "too_large.file_count": (_("More than %(limit)s files would be embedded."), _("Narrow the pattern.")),
    "too_large.source": (_("%(path)s is larger than a source may be."), _("Move large contents into files beside it.")),
    "too_large.files": (
        _("With %(path)s the files are larger together than a version keeps."),
        _("Let the machine fetch large files by their hash."),
    ),
    "too_large.written": (
        _("With %(path)s the files of the commit are larger together than is written out."),
        _("Keep large files elsewhere."),
    ),
    "too_large.all_entries": (
        _("The commit has more than %(limit)s files and folders."),
        _("Keep what the machines are made of in a smaller repository."),
    ),
    "hostile.link_leaves": (
        _("The symbolic link %(path)s leads out of the repository."),
        _("Let it lead to a file of the repository, by a relative path, or take it away."),
    ),
    "hostile.pack": (_("What the server sent is not a sound pack."), BY_ITSELF),
    "hostile.bomb": (_("An object unpacks to more than it says."), BY_ITSELF),
    "hostile.protocol": (_("The server does not speak Git as it should."), BY_ITSELF),
    "hostile.sha256": (_("The repository names its objects by SHA-256."), _("Repositories with SHA-1 names are read.")),
    "hostile.objects": (_("Objects of the repository are not what others say of them."), BY_ITSELF),
    "hostile.missing": (_("Objects of the repository are missing."), BY_ITSELF),
    "hostile.names": (_("A folder holds a name that leads out of it."), _("Rename it in the repository.")),
    "hostile.elsewhere": (_("The repository leads to another place on this machine."), _("Give the place itself.")),
    "content.error": (_("line %(line)s: %(message)s"), ""),
    "content.no_text": (_("%(path)s holds bytes that are no text."), _("Save it as UTF-8.")),
    "content.nul": (_("%(path)s holds a NUL character."), _("Take it out.")),
    "content.path": (
        _("The path %(path)s is too long, or holds control characters."),
        _("Rename the file in the repository."),
    ),
    "signature.unsigned": (_("The commit is not signed."), ""),
    "signature.unknown_key_ssh": (
        _("No line of the allowed signers lets the key %(key)s sign for Git."),
        "",
    ),
    "signature.unknown_key_openpgp": (
        _("The OpenPGP key %(key)s, which signed it, is not among those that are allowed."),
        "",
    ),
    "signature.expired_ssh": (
        _("The key %(key)s of %(signer)s is not valid now, by the dates of the allowed signers."),
        "",
    ),
    "signature.expired_openpgp": (_("The OpenPGP key %(key)s of %(signer)s, or the signature, has expired."), ""),
    "signature.revoked": (_("The OpenPGP key %(key)s of %(signer)s was revoked."), ""),
    "signature.unsupported": (
        _("Signatures of the kind %(detail)s are not taken: sign with an SSH or an OpenPGP key."),
        "",
    ),
    "signature.bad": (_("The signature does not belong to this commit, or is damaged."), ""),
    "skipped": (
        _("Too many commits changed what the config reads at once: the newest of them became versions."),
        "",
    ),
    "status.no_forge": (
        _("A token for commit statuses needs a forge that takes them."),
        _("Choose GitHub, GitLab, Gitea or Forgejo, or leave the token out."),
    ),
    "status.path": (
        _("%(path)s is no project of this forge."),
        _("Give the address as the forge shows it: https://host/owner/repository.git."),
    ),
    "status.in_clear": (
        _("The token for commit statuses would travel in clear to %(host)s."),
        _("Follow the repository over https, or leave the token out."),
    ),
    "status.token": (
        _("The token for commit statuses holds characters that no header may."),
        _("Copy it anew from the forge: letters, digits and signs, without spaces."),
    ),
    "failed.no_room": (
        _("There is no room left on the disk that the copy of the repository stands on."),
        _("Have the operator make room in the data folder. It is tried again by itself."),
    ),
    "failed.no_gpgv": (
        _("A commit has an OpenPGP signature, and the program gpgv is not there to verify it."),
        _("Have the operator install the package gpgv where the worker runs. It is tried again by itself."),
    ),
    "failed.gpgv": (
        _("gpgv did not come to an end with the signature of a commit."),
        _("It is tried again by itself. Where it stays so, push that commit anew with another signature."),
    ),
    "failed": (_("It could not be looked at, for a reason that is ours."), _("Look at the log of the worker.")),
}


def why_of(detail: Detail | str) -> str:
    """Why something is so, and what to do: by what a row keeps of it, or words that were said elsewhere."""
    if isinstance(detail, str):
        return detail
    named = str(detail.get("kind", "")), str(detail.get("reason", "")), detail
    return f"{sentence_of(*named)} {mend_of(*named)}".strip()


def sentence_of(state: str, reason: str, params: Mapping[str, object]) -> str:
    """What is the case."""
    return _said(state, reason)[0] % _Named({name: _plain(value) for name, value in params.items()})


def mend_of(state: str, reason: str, params: Mapping[str, object]) -> str:
    """What to do; empty where nothing is."""
    mend = str(_said(state, reason)[1])
    return mend % _Named(params) if mend else ""


def _said(state: str, reason: str) -> tuple[str, Promise | str]:
    sentence, mend = _SENTENCES.get(f"{state}.{reason}") or _SENTENCES.get(state) or _SENTENCES["failed"]
    return str(sentence), mend


def _plain(value: object) -> object:
    return why_of(value) if isinstance(value, dict) else value


class _Named(dict[str, object]):
    """Values of a sentence; one that is not known reads as a dash."""

    def __missing__(self, key: str) -> str:
        return "–"
