"""What looks like a secret: told from what a text is, and where it will stand."""

import re

_PATHS = re.compile(
    r"(/etc/wireguard/[^/]+\.conf|.*/ssh_host_[a-z0-9]+_key|.*/(\.docker/config|containers/auth|ostree/auth)\.json"
    r"|.*/\.netrc|.*/\.pgpass|.*/id_(rsa|ed25519|ecdsa|dsa)|.*/kubeconfig|.*/kubelet/config\.json)\Z"
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
    (
        "password",
        re.compile(
            r"(?im)^[ \t]*(?:export[ \t]+|Environment=\"?|[-\w.]+=)?[\"']?[\w.-]*(?:password|passwd|secret|token|api[_-]?key)[\"']?"
            r"[ \t]*[:=][ \t]*[\"']?(?!(?:\$|\[secret|%|/|\{|<|true\b|false\b|yes\b|no\b|none\b|null\b|file\b|required\b))[^\s\"'#]{8,}"
        ),
    ),
)
_MOST_CHARACTERS = 200_000


def secret_in(text: str) -> tuple[str, int] | None:
    """What kind of secret a text seems to hold, and on which line; None when it seems to hold none."""
    text = text[:_MOST_CHARACTERS]
    found = [(match.start(), kind) for kind, pattern in _CONTENTS if (match := pattern.search(text))]
    if not found:
        return None
    start, kind = min(found)
    return kind, text.count("\n", 0, start + len(text[start:]) - len(text[start:].lstrip())) + 1


def holds_only_references(text: str) -> bool:
    """Whether the secrets of a text are variables, or what is shown for them."""
    return "${fleetui:" in text or "[secret " in text


def is_secret_path(path: str) -> bool:
    """Whether a file of this path is a secret whatever it holds."""
    return bool(_PATHS.match(path))
