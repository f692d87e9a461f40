"""Container image references as ostree writes them, and what an image says of itself."""

import re
from dataclasses import dataclass

from nodes.hosts.drivers.documents import Fields, NotUnderstood, load_json
from nodes.hosts.drivers.os_release import STREAM_NAMES

_DIGEST = re.compile(r"@(sha\d{3}:[0-9a-f]{32,128})$")
_TRANSPORTS = ("docker://", "registry:", "docker:")
# The manifest of an image with many layers is about 25 KB; more than this is not one.
MAX_INNER_DOCUMENT = 1_000_000


@dataclass(frozen=True)
class ImageReference:
    """`image` is the reference without ostree's prefix, `signature` how its origin is verified."""

    image: str
    digest: str | None
    signature: str | None


def parse_reference(reference: str) -> ImageReference:
    """Read `ostree-image-signed:docker://...`, `ostree-unverified-registry:...`, `ostree-remote-image:R:...`."""
    prefix, _, rest = reference.partition(":")
    signature: str | None
    if prefix == "ostree-image-signed":
        signature = "image_signed"
    elif prefix in ("ostree-unverified-image", "ostree-unverified-registry"):
        signature = "image_unverified"
    elif prefix in ("ostree-remote-image", "ostree-remote-registry"):
        remote, _, rest = rest.partition(":")
        signature = f"image_remote:{remote}"
    else:
        signature, rest = None, reference
    for transport in _TRANSPORTS:
        rest = rest.removeprefix(transport)
    found = _DIGEST.search(rest)
    return ImageReference(rest, found[1] if found else None, signature)


def tag_of(image: str) -> str | None:
    """The tag of a reference without digest, `stable` of `quay.io/x/y:stable`."""
    name = image.partition("@")[0].rpartition("/")[2]
    return name.partition(":")[2] or None


def image_labels(meta: Fields) -> dict[str, str]:
    """Labels and annotations of the image, from the documents that the commit metadata holds as text."""
    found: dict[str, str] = {}
    annotations = _inner(meta, "ostree.manifest")
    if annotations is not None:
        found.update(annotations.labels("annotations"))
    config = _inner(meta, "ostree.container.image-config")
    inner = config.part("config") if config is not None else None
    if inner is not None:
        found.update(inner.labels("Labels"))
    return found


def _inner(meta: Fields, key: str) -> Fields | None:
    text = meta.values.get(key)
    if text is None:
        return None
    at = f"{meta.path}.{key}"
    if not isinstance(text, str) or len(text) > MAX_INNER_DOCUMENT:
        meta.problems.append(f"{at} should be a JSON text")
        return None
    try:
        return Fields.of(load_json(text), at, meta.problems)
    except NotUnderstood as error:
        meta.problems.append(f"{at}: {error}")
        return None


def stream_of(labels: dict[str, str], image: str | None) -> str | None:
    """The stream an image belongs to: its label, else its annotation, else a tag that is a stream's name."""
    for key in ("com.coreos.stream", "fedora-coreos.stream"):
        if labels.get(key):
            return labels[key]
    tag = tag_of(image) if image else None
    return tag if tag in STREAM_NAMES else None
