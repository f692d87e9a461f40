"""Containers: how they are run, and which image they are."""

import re
import shlex
from collections.abc import Iterator

from nodes.ignition.contents import Content
from nodes.ignition.lint.model import FLATCAR, Found, Rule, Severity, Subject, file_example, unit_example
from nodes.ignition.options import Option, read_options
from nodes.ignition.paths import Path
from nodes.ignition.sections.units import container_runtime

_DIGEST = re.compile(r"@sha(256|512):[0-9a-f]{64,128}\Z")
_OTHER_TRANSPORT = re.compile(r"(oci|oci-archive|dir|docker-archive|docker-daemon|containers-storage|sif):")
_HAS_TAG = re.compile(r":([\w][\w.-]{0,127})\Z")
_RUN = re.compile(r"\s(?:podman|docker)\s|/(?:podman|docker)\s|\A(?:podman|docker)\s")
_MOVING = ("latest", "stable", "edge", "main", "master", "nightly", "dev", "rolling", "next")
# Options of `podman run` and `docker run` that take no value of their own.
_FLAGS = frozenset(
    (
        *(
            "--rm",
            "--init",
            "--privileged",
            "--read-only",
            "--detach",
            "-d",
            "--interactive",
            "-i",
            "--tty",
            "-t",
            "-it",
        ),
        *(
            "--replace",
            "--no-healthcheck",
            "--quiet",
            "-q",
            "--rmi",
            "--publish-all",
            "-P",
            "--no-hosts",
            "--http-proxy",
        ),
        *("--oom-kill-disable", "--sig-proxy", "--tls-verify", "--read-only-tmpfs", "--env-host", "-dt", "-td", "-ti"),
        *("--disable-content-trust", "--unsetenv-all", "--no-hostname", "--passwd", "-itd", "-dit"),
    )
)


def _run_commands(subject: Subject) -> Iterator[tuple[Path, str, Option, str]]:
    """Unit path, name, assignment and runtime of each command that runs a container."""
    for unit in subject.sections.units:
        for command in read_options(unit.contents or "").find("Service", "ExecStart"):
            runtime = container_runtime(command.value)
            if runtime:
                yield (*unit.at, "contents"), unit.name, command, runtime


def _by_hand(subject: Subject) -> Iterator[Found]:
    """Podman makes a better unit of a Quadlet than people write."""
    if subject.variant == FLATCAR:
        return
    for at, name, command, runtime in _run_commands(subject):
        if runtime == "podman" or subject.is_fcos:
            yield Found(at, {"unit": name, "runtime": runtime}, command.line)


def image_of(command: str) -> str | None:
    """The image of a `podman run` or `docker run`; None where it cannot be told."""
    try:
        words = shlex.split(command, comments=False)
    except ValueError:
        return None
    if "run" not in words:
        # The command of a shell: sh -c "podman run ...".
        script = next((word for word in words if _RUN.search(word)), None)
        return image_of(script) if script else None
    rest = iter(words[words.index("run") + 1 :])
    for word in rest:
        if not word.startswith("-"):
            return None if "$" in word or "%" in word else word
        if word in _FLAGS or "=" in word or (not word.startswith("--") and len(word) > 2 and word[1] in "pvehuwlm"):
            continue
        next(rest, None)
    return None


def _images(subject: Subject) -> Iterator[tuple[Path, int, str]]:
    """Every image that is named, but not those that Podman keeps up to date by their tag."""
    for at, _, command, _ in _run_commands(subject):
        image = image_of(command.value)
        if image:
            yield at, command.line, image
    for node in subject.sections.files:
        text = node.content.text if node.purpose == "quadlet" and node.content else None
        options = read_options(text or "")
        if options.value("Container", "AutoUpdate") == "registry":
            continue
        for section in ("Container", "Image", "Volume"):
            option = options.last(section, "Image")
            # A name with an ending means another Quadlet.
            if option is not None and not option.value.endswith((".image", ".build")):
                yield node.content_at, option.line, option.value


def image_tag(image: str) -> str | None:
    """The tag of an image, `latest` where there is none; None for one by digest, or no image by name."""
    name = image.removeprefix("docker://")
    if (
        _DIGEST.search(name)
        or _OTHER_TRANSPORT.match(name)
        or "://" in name
        or "$" in name
        or "%" in name
        or name.startswith(("/", "."))
    ):
        return None
    match = _HAS_TAG.search(name.rpartition("/")[2])
    return match[1] if match else "latest"


def _moving_tag(subject: Subject) -> Iterator[Found]:
    for at, line, image in _images(subject):
        tag = image_tag(image)
        if tag in _MOVING:
            yield Found(at, {"image": image, "tag": tag}, line)


def _tag(subject: Subject) -> Iterator[Found]:
    for at, line, image in _images(subject):
        tag = image_tag(image)
        if tag is not None and tag not in _MOVING:
            yield Found(at, {"image": image, "tag": tag}, line)


def _short_name(subject: Subject) -> Iterator[Found]:
    for at, line, image in _images(subject):
        first, slash, _ = image.removeprefix("docker://").partition("/")
        if image_tag(image) is not None and (
            not slash or ("." not in first and ":" not in first and first != "localhost")
        ):
            yield Found(at, {"image": image}, line)


def _not_read(subject: Subject) -> Iterator[Found]:
    """Podman passes over what lies in the folder of Quadlets under another name."""
    for node in subject.sections.files_below("/etc/containers/systemd"):
        name = node.path.rpartition("/")[2]
        is_dropin = ".d/" in node.path and name.endswith(".conf")
        if node.kind == "file" and node.purpose != "quadlet" and not is_dropin and _looks_like_quadlet(node.content):
            yield Found((*node.at, "path"), {"path": node.path})


def _looks_like_quadlet(content: Content | None) -> bool:
    options = read_options((content.text if content else None) or "")
    return any(options.has_section(section) for section in ("Container", "Pod", "Kube", "Volume", "Network"))


_DIGEST_IMAGE = "quay.io/example/app@sha256:" + "0123456789abcdef" * 4
_QUADLET = "/etc/containers/systemd/app.container"


def _container(image: str, path: str = _QUADLET) -> str:
    return file_example(
        path, f"[Container]\nImage={image}\n\n[Service]\nRestart=always\n\n[Install]\nWantedBy=multi-user.target"
    )


_BY_HAND = (
    f"[Service]\nExecStart=/usr/bin/podman run --rm --name app {_DIGEST_IMAGE}\nRestart=always\n\n"
    "[Install]\nWantedBy=multi-user.target"
)
RULES = (
    Rule(
        "container-by-hand",
        Severity.ADVICE,
        _by_hand,
        _container(_DIGEST_IMAGE),
        unit_example("app.service", _BY_HAND),
    ),
    Rule(
        "image-moving-tag",
        Severity.WARNING,
        _moving_tag,
        _container(_DIGEST_IMAGE),
        _container("quay.io/example/app:latest"),
    ),
    Rule("image-tag", Severity.ADVICE, _tag, _container(_DIGEST_IMAGE), _container("quay.io/example/app:1.0")),
    Rule(
        "image-short-name",
        Severity.WARNING,
        _short_name,
        _container("docker.io/library/nginx:1.27"),
        _container("nginx:1.27"),
    ),
    Rule(
        "quadlet-not-read",
        Severity.ERROR,
        _not_read,
        _container(_DIGEST_IMAGE),
        _container(_DIGEST_IMAGE, "/etc/containers/systemd/app.service"),
    ),
)
