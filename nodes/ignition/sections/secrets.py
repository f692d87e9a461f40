"""What looks like a secret: told from what a text is, and where it will stand."""

import re

_PATHS = re.compile(
    r"(/etc/wireguard/[^/]+\.conf|.*/ssh_host_[a-z0-9]+_key|.*/(\.docker/config|containers/auth|ostree/auth)\.json"
    r"|.*/\.netrc|.*/\.pgpass|.*/id_(rsa|ed25519|ecdsa|dsa)|.*/kubeconfig|.*/kubelet/config\.json)\Z"
)
# What stands where a secret would, and is none: a reference, a path, a word that switches.
_NO_VALUE = r"(?:\$|\[secret|%|/|\{|<|true\b|false\b|yes\b|no\b|none\b|null\b|file\b|required\b)"
# Settings that name a secret which is kept elsewhere, or sealed: Podman's, systemd's credentials, Kubernetes' objects.
_QUADLET = re.compile(r"(?m)^\[(?:Container|Build|Kube)\]")
_NAME_IN_QUADLET = re.compile(r"(?m)^[ \t]*Secret[ \t]*=[^\n]*")
_NAME = re.compile(
    r"(?m)^[ \t-]*(?:(?:Load|Import)Credential(?:Encrypted)?[ \t]*=|SetCredentialEncrypted[ \t]*="
    r"|(?:existingSecret|imagePullSecrets?|serviceAccountToken)[ \t]*:)[^\n]*"
)
_CONTENTS = (
    ("private_key", re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")),
    (
        "private_key",
        re.compile(
            r"(?m)^[ \t]*(?:PrivateKey|PresharedKey|private-key|preshared-key)[ \t]*=[ \t]*[A-Za-z0-9+/]{42,44}=*[ \t\r]*$"
        ),
    ),
    ("aws_key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    (
        "token",
        re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,}|tskey-auth-[\w-]{10,})"),
    ),
    ("token", re.compile(r"\bK10[0-9a-f]{64}::[^\s\"']+")),
    ("kubernetes_key", re.compile(r"(?m)^[ \t]*client-key-data:[ \t]*\S{40,}")),
    ("registry_login", re.compile(r'"auth"\s*:\s*"[A-Za-z0-9+/]{8,}=*"')),
    ("wifi_password", re.compile(r"(?m)^[ \t]*psk[ \t]*=[ \t]*(?!\$|\[secret )\S+")),
    ("token", re.compile(r"(?i)\bauthorization[\"']?[ \t]*[:=][ \t]*[\"']?(?:bearer|basic)[ \t]+[\w.~+/-]{16,}")),
    ("token", re.compile(r"\beyJ[\w-]{10,500}\.eyJ[\w-]{10,500}\.[\w-]{10}")),
    ("token", re.compile(r"(?i)(?:^|\s)--(?:token|password)[= \t]+[\"']?(?!" + _NO_VALUE + r")[^\s\"'#]{8,}")),
    (
        "password",
        re.compile(r"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"']{0,64}:(?!" + _NO_VALUE + r")[^\s:/@\"']{3,}@[\w\[]"),
    ),
    (
        "password",
        re.compile(
            r"(?im)^[ \t]*(?:export[ \t]+|Environment=\"?|[-\w.]+=)?[\"']?[\w.-]*"
            r"(?:password|passwd|passphrase|[_.-]pass|secret|token|api[_-]?key|(?:secret|access|private|signing)[_-]?(?:access[_-]?)?key)"
            r"[\"']?[ \t]*[:=][ \t]*(?:[\"'](?!"
            + _NO_VALUE
            + r")[^\"'\n]{8,}[\"']|[\"']?(?!"
            + _NO_VALUE
            + r")[^\s\"'#]{8,})"
        ),
    ),
)
_MOST_CHARACTERS = 200_000


def secret_in(text: str) -> tuple[str, int] | None:
    """What kind of secret a text seems to hold, and on which line; None when it seems to hold none."""
    text = _without_names(text[:_MOST_CHARACTERS])
    found = [(match.start(), kind) for kind, pattern in _CONTENTS if (match := pattern.search(text))]
    if not found:
        return None
    # Of two that begin together the one that is told first above knows more.
    start, kind = min(found, key=lambda one: one[0])
    return kind, text.count("\n", 0, start + len(text[start:]) - len(text[start:].lstrip())) + 1


def _without_names(text: str) -> str:
    """The same text with blanks where a secret is only named."""
    if _QUADLET.search(text):
        text = _NAME_IN_QUADLET.sub(_blank, text)
    return _NAME.sub(_blank, text)


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])


def holds_only_references(text: str) -> bool:
    """Whether the secrets of a text are variables, or what is shown for them."""
    return "${fleetui:" in text or "[secret " in text


def is_secret_path(path: str) -> bool:
    """Whether a file of this path is a secret whatever it holds."""
    return bool(_PATHS.match(path))
