"""Whether an OpenPGP signature is good, as gpgv says: a small program that verifies and does nothing else.

It gets one key, one signature and what was signed; no shell, no agent, no configuration, bounds for time and memory. Its
exit code is not asked: it is 0 for expired and revoked keys too.
"""

from __future__ import annotations

import contextlib
import re
import resource
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from nodes.git.errors import GitProblem
from nodes.git.openpgp import Material, OpenPgpKey, signature_in
from nodes.git.signatures import Signature, Verdict

#: It takes some milliseconds.
TIME_LIMIT_S = 60.0
_BOUNDS: Final = (
    (resource.RLIMIT_CPU, 20),
    (resource.RLIMIT_AS, 512 * 1024 * 1024),
    (resource.RLIMIT_FSIZE, 1024 * 1024),
    (resource.RLIMIT_CORE, 0),
)
_MOST_SAID = 65_536
#: Numbers of hash algorithms that are taken, by RFC 4880 and RFC 9580: the SHA-2 and SHA-3 families.
_HASHES: Final = {"8", "9", "10", "11", "12", "14"}
_VERDICTS: Final = {
    "GOODSIG": Verdict.GOOD,
    "EXPKEYSIG": Verdict.EXPIRED,
    "EXPSIG": Verdict.EXPIRED,
    "REVKEYSIG": Verdict.REVOKED,
    "BADSIG": Verdict.BAD,
    "ERRSIG": Verdict.BAD,
}
_STATUS = re.compile(r"\[GNUPG:\] ([A-Z_]{1,30})(?: (.*))?")


def program() -> str | None:
    """Where gpgv is; None where it is not installed."""
    return shutil.which("gpgv")


def verify(payload: bytes, armoured: bytes, keys: Sequence[OpenPgpKey], *, folder: Path) -> Signature:
    """Whether one of the keys signed exactly this. GitProblem where gpgv is missing, or does not come to an end.

    `folder` is private and empty, and thrown away by the caller.
    """
    try:
        signature = signature_in(armoured)
    except ValueError:
        return Signature(Verdict.BAD)
    claimed = [(key, one) for key in keys for one in key.materials if signature.issuers & {one.fingerprint, one.key_id}]
    if not claimed:
        return Signature(Verdict.UNKNOWN_KEY, fingerprint=max(signature.issuers, key=len, default=""))
    key, material = claimed[0]
    named: dict[str, Any] = {
        "signer": ", ".join(key.identities)[:300],
        "fingerprint": key.fingerprint,
        "emails": tuple(key.emails),
    }
    if not material.can_be_taken:
        return Signature(Verdict.UNSUPPORTED, detail=f"OpenPGP, {material.algorithm}", **named)
    return _judged(_said(payload, signature.raw, key.raw, folder), key, material, named)


def _judged(
    lines: list[tuple[str, list[str]]], key: OpenPgpKey, material: Material, named: dict[str, Any]
) -> Signature:
    found = [(_VERDICTS[name], rest) for name, rest in lines if name in _VERDICTS]
    valid = [rest for name, rest in lines if name == "VALIDSIG"]
    if len(found) != 1:
        return Signature(Verdict.BAD)
    verdict, rest = found[0]
    if verdict == Verdict.BAD:
        return Signature(Verdict.BAD)
    # Which key it was is said here alone: the name beside the verdict is for people.
    if len(valid) != 1 or len(valid[0]) < 10 or valid[0][9] != key.fingerprint or valid[0][0] != material.fingerprint:
        return Signature(Verdict.BAD)
    hash_number, kind = valid[0][7], valid[0][8]
    if hash_number not in _HASHES:
        return Signature(Verdict.UNSUPPORTED, detail=f"OpenPGP, hash {hash_number}", **named)
    if kind != "00":
        # Over text it would hold for other bytes too.
        return Signature(Verdict.UNSUPPORTED, detail=f"OpenPGP, class {kind}", **named)
    # The identity that the key itself vouches for comes first.
    signer = unquote(" ".join(rest[1:])) or named["signer"]
    return Signature(verdict, **named | {"signer": signer})


def _said(payload: bytes, signature: bytes, key: bytes, folder: Path) -> list[tuple[str, list[str]]]:
    """The status lines of gpgv, taken apart."""
    gpgv = program()
    if gpgv is None:
        raise GitProblem("failed", "no_gpgv")
    ring, signed = folder / "keys.gpg", folder / "signed"
    ring.write_bytes(key)
    signed.write_bytes(payload)
    argv = [gpgv, "--homedir", str(folder), "--status-fd", "1", "--keyring", str(ring), "--", "-", str(signed)]
    env = {"LC_ALL": "C.UTF-8", "HOME": str(folder), "GNUPGHOME": str(folder), "PATH": "/usr/bin:/bin"}
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=nothing, cwd=folder, env=env) as process:
        try:
            # It reads neither key nor commit before its input comes, so the bounds are there first. They are set from
            # here: what runs between fork and exec may hang in a process with threads.
            _bind(process.pid)
            said, _none = process.communicate(signature, timeout=TIME_LIMIT_S)
        except subprocess.TimeoutExpired as error:
            raise GitProblem("failed", "gpgv") from error
        finally:
            process.kill()
    if process.returncode < 0:
        raise GitProblem("failed", "gpgv")
    matched = (_STATUS.fullmatch(line) for line in said[:_MOST_SAID].decode("utf-8", "replace").splitlines())
    return [(one[1], (one[2] or "").split(" ")) for one in matched if one]


def _bind(pid: int) -> None:
    # It may be gone already: then there is nothing to bound.
    with contextlib.suppress(ProcessLookupError):
        for what, most in _BOUNDS:
            _soft, hard = resource.prlimit(pid, what)
            at_most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.prlimit(pid, what, (at_most, at_most))
