"""Files, directories and links."""

from nodes.ignition.effect.model import Effect, Effects, Weight, paired
from nodes.ignition.sections.model import FileNode, Sections

# What changes how the machine is reached or run, not only what lies on it.
_NOTABLE = frozenset(
    (
        *("hostname", "hosts", "time_zone", "zincati", "flatcar_update", "networkmanager_connection", "networkd"),
        *("nmstate", "resolver", "quadlet", "registries", "ssh_server", "ssh_host_key", "authorized_keys", "sudo"),
        *("polkit", "sysctl", "modules", "udev", "certificates", "sysupdate", "sysext", "systemd_unit", "kubernetes"),
        *("selinux", "boot_loader", "wireguard"),
    )
)


def effects(before: Sections, after: Sections) -> list[Effect]:
    """Differences of what will lie on the disk."""
    found = Effects("files")
    for old, new in paired(before.files, after.files, lambda node: node.path):
        if new is None and old is not None:
            found.add(_weight(old), f"{old.kind}_left_out", old.at, None, path=old.path, purpose=old.purpose)
        elif old is None and new is not None:
            found.add(_weight(new), f"{new.kind}_added", None, new.at, path=new.path, purpose=new.purpose)
        elif old is not None and new is not None:
            _changed(found, old, new)
    return found.found


def _weight(node: FileNode) -> Weight:
    return Weight.NOTABLE if node.purpose in _NOTABLE or node.is_secret else Weight.PLAIN


def _changed(found: Effects, old: FileNode, new: FileNode) -> None:
    path = new.path
    if old.kind != new.kind:
        found.add(Weight.NOTABLE, "node_kind", old.at, new.at, path=path, old=old.kind, new=new.kind)
        return
    if _content(old) != _content(new):
        found.add(_weight(new), "file_changed", old.at, new.at, path=path, purpose=new.purpose)
    if old.target != new.target or old.is_hard != new.is_hard:
        found.add(_weight(new), "link_changed", old.at, new.at, path=path, old=old.target, new=new.target)
    if old.mode != new.mode:
        found.add(
            Weight.NOTABLE if new.mode & ~old.mode & 0o7022 else Weight.PLAIN,
            *("mode_changed", old.at, new.at),
            path=path,
            old=old.mode_text,
            new=new.mode_text,
        )
    if (old.owner, old.group) != (new.owner, new.group):
        owners = {"old": f"{old.owner}:{old.group}", "new": f"{new.owner}:{new.group}"}
        found.add(Weight.PLAIN, "owner_changed", old.at, new.at, path=path, **owners)
    if old.overwrites != new.overwrites:
        code = "overwrites" if new.overwrites else "overwrites_not"
        found.add(Weight.PLAIN, code, old.at, new.at, path=path)


def _content(node: FileNode) -> tuple[str | None, ...]:
    return (node.content.identity if node.content else None, *(one.identity for one in node.appended))
