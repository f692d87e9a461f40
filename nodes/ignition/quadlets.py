"""Names of Podman Quadlets."""

_EXTENSIONS = (".container", ".volume", ".network", ".kube", ".image", ".build", ".pod", ".artifact")


def has_quadlet_extension(name: str) -> bool:
    return name.endswith(_EXTENSIONS)


def template_of(name: str) -> str | None:
    """The template of an instance: `web@.container` of `web@1.container`; None for anything else."""
    at, dot = name.find("@"), name.rfind(".")
    if at < 0 or dot < 0 or at + 1 == dot:
        return None
    return f"{name[:at]}@.{name[dot + 1 :]}"
