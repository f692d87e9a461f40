"""How long a config may be where it is handed over as user data."""

from collections.abc import Iterator

from nodes.ignition.lint.model import Found, Rule, Severity, Subject, example, file_example

# Bytes of the document itself. OpenStack counts 65,535 bytes of base64; KubeVirt's is for user data that stands
# in the object, a Secret holds more.
LIMITS = {
    "kubevirt": 2_048,
    "aws": 16_384,
    "hetzner": 32_768,
    "openstack": 49_149,
    "azure": 65_535,
    "digitalocean": 65_536,
    "gcp": 262_144,
}
PLATFORMS = tuple(LIMITS)
_USUAL = "aws"


def _user_data(subject: Subject) -> Iterator[Found]:
    """Of the platform, if it is told; else of those that most configs have to fit."""
    size = subject.size_bytes
    if subject.platform is not None:
        limit = LIMITS.get(subject.platform)
        if limit is not None and size > limit:
            yield Found((), {"size": size, "limit": limit, "platforms": (subject.platform,)})
        return
    over = {name: limit for name, limit in LIMITS.items() if size > limit >= LIMITS[_USUAL]}
    if len(over) == 1:
        ((name, limit),) = over.items()
        yield Found((), {"size": size, "limit": limit, "platforms": (name,)})
    elif over:
        yield Found((), {"size": size, "over": tuple(f"{name} {limit}" for name, limit in over.items())})


_FETCHED = example(
    "storage:\n  files:\n    - path: /etc/app/words\n      contents:\n        source: https://files.example.com/words\n"
    "        verification:\n          hash: sha256-" + "0123456789abcdef" * 4 + "\n"
)
RULES = (
    Rule(
        "user-data-size",
        Severity.WARNING,
        _user_data,
        _FETCHED,
        file_example(
            "/etc/app/words", "\n".join(f"{number:02x}{number * number % 65521:04x}" for number in range(400))
        ),
        platform="kubevirt",
    ),
)
