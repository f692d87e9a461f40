"""Users and groups of a config."""

from nodes.ignition.paths import Path
from nodes.ignition.record import Record
from nodes.ignition.said import Said, said
from nodes.ignition.sections.model import Group, Key, User
from nodes.ignition.sshkeys import read_key

# Groups whose members may become root without further ado on the supported systems.
ADMIN_GROUPS = ("wheel", "sudo", "docker", "root")
_MADE_BY_OS = ("core", "root")


def users(config: Record) -> tuple[User, ...]:
    """The users that the config makes or changes."""
    found = config.record("passwd").records("users")
    return tuple(_user(record, ("passwd", "users", index)) for index, record in enumerate(found))


def groups(config: Record) -> tuple[Group, ...]:
    """The groups that the config makes or removes."""
    found = config.record("passwd").records("groups")
    return tuple(_group(record, ("passwd", "groups", index)) for index, record in enumerate(found))


def _user(record: Record, at: Path) -> User:
    name = record.string("name")
    keys = tuple(
        Key(key, (*at, "sshAuthorizedKeys", index))
        for index, line in enumerate(record.texts("sshAuthorizedKeys"))
        if (key := read_key(line)) is not None
    )
    user = User(
        name,
        at,
        keys,
        has_password=_opens(record.text("passwordHash")),
        groups=tuple(record.texts("groups")),
        uid=record.number("uid"),
        shell=record.text("shell"),
        home=record.text("homeDir"),
        is_system=bool(record.flag("system")),
        is_removed=record.flag("shouldExist") is False,
    )
    return User(**{**vars(user), "lines": tuple(_user_lines(user))})


def _opens(password_hash: str | None) -> bool:
    """Whether somebody can sign in with it: `!` and `*` lock the password (shadow(5))."""
    return bool(password_hash) and not str(password_hash).startswith(("!", "*"))


def _user_lines(user: User) -> list[Said]:
    name = user.name
    if user.is_removed:
        return [said("user_removed", user=name)]
    lines = [said("user_changed" if name in _MADE_BY_OS else "user_made", user=name)]
    if user.keys:
        lines.append(said("user_keys", user=name, count=len(user.keys)))
    if user.has_password:
        lines.append(said("user_password", user=name))
    if not user.keys and not user.has_password:
        lines.append(said("user_no_way_in", user=name))
    admin = tuple(group for group in user.groups if group in ADMIN_GROUPS)
    others = tuple(group for group in user.groups if group not in ADMIN_GROUPS)
    if admin:
        lines.append(said("user_admin", user=name, groups=admin))
    if others:
        lines.append(said("user_groups", user=name, groups=others))
    if user.shell:
        lines.append(said("user_shell", user=name, shell=user.shell))
    return lines


def _group(record: Record, at: Path) -> Group:
    name, gid = record.string("name"), record.number("gid")
    is_removed = record.flag("shouldExist") is False
    return Group(
        name,
        at,
        gid,
        has_password=bool(record.text("passwordHash")),
        is_system=bool(record.flag("system")),
        is_removed=is_removed,
        lines=(said("group_removed" if is_removed else "group_made", group=name, gid=gid),),
    )
