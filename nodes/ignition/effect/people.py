"""Users and groups: who can sign in, and as what."""

from nodes.ignition.effect.model import Effect, Effects, Weight, paired
from nodes.ignition.sections.model import Sections, User
from nodes.ignition.sections.users import ADMIN_GROUPS


def effects(before: Sections, after: Sections) -> list[Effect]:
    """Differences of users and groups."""
    found = Effects("users")
    if _may_sign_in(before) and not _may_sign_in(after):
        found.add(Weight.DISRUPTIVE, "nobody_signs_in")
    for old, new in paired(before.users, after.users, lambda user: user.name):
        if new is None and old is not None:
            found.add(Weight.NOTABLE, "user_left_out", old.at, None, user=old.name)
        elif old is None and new is not None:
            _added(found, new)
        elif old is not None and new is not None:
            _changed(found, old, new)
    for old_group, new_group in paired(before.groups, after.groups, lambda group: group.name):
        if new_group is None and old_group is not None:
            found.add(Weight.PLAIN, "group_left_out", old_group.at, None, group=old_group.name)
        elif old_group is None and new_group is not None:
            code = "group_removed" if new_group.is_removed else "group_added"
            found.add(Weight.PLAIN, code, None, new_group.at, group=new_group.name)
        elif old_group is not None and new_group is not None:
            same = (old_group.gid, old_group.is_removed, old_group.is_system) == (
                new_group.gid,
                new_group.is_removed,
                new_group.is_system,
            )
            if not same:
                found.add(Weight.NOTABLE, "group_changed", old_group.at, new_group.at, group=new_group.name)
    return found.found


def _may_sign_in(config: Sections) -> bool:
    return not config.is_whole or any((user.keys or user.has_password) and not user.is_removed for user in config.users)


def _is_admin(user: User) -> bool:
    return any(group in ADMIN_GROUPS for group in user.groups)


def _fingerprints(user: User) -> dict[str, str]:
    """Fingerprint, or type where there is none, to what people call the key."""
    return {
        one.key.fingerprint or f"{one.key.type} {one.key.comment}": one.key.comment
        or one.key.fingerprint
        or one.key.type
        for one in user.keys
    }


def _added(found: Effects, user: User) -> None:
    if user.is_removed:
        found.add(Weight.NOTABLE, "user_removed", None, user.at, user=user.name)
        return
    weight = Weight.NOTABLE if user.keys or user.has_password or _is_admin(user) else Weight.PLAIN
    found.add(weight, "user_added_admin" if _is_admin(user) else "user_added", None, user.at, user=user.name)
    if user.has_password:
        found.add(Weight.NOTABLE, "password_set", None, user.at, user=user.name)


def _changed(found: Effects, old: User, new: User) -> None:
    name = new.name
    if old.is_removed != new.is_removed:
        found.add(Weight.NOTABLE, "user_removed" if new.is_removed else "user_added", old.at, new.at, user=name)
        return
    before, after = _fingerprints(old), _fingerprints(new)
    for key in sorted(after.keys() - before.keys()):
        found.add(Weight.NOTABLE, "key_added", old.at, new.at, user=name, key=after[key])
    for key in sorted(before.keys() - after.keys()):
        found.add(Weight.NOTABLE, "key_left_out", old.at, new.at, user=name, key=before[key])
    if old.has_password != new.has_password:
        code = "password_set" if new.has_password else "password_left_out"
        found.add(Weight.NOTABLE, code, old.at, new.at, user=name)
    for group in sorted(set(new.groups) - set(old.groups)):
        weight = Weight.NOTABLE if group in ADMIN_GROUPS else Weight.PLAIN
        found.add(weight, "user_joins", old.at, new.at, user=name, group=group)
    for group in sorted(set(old.groups) - set(new.groups)):
        found.add(Weight.NOTABLE, "user_leaves", old.at, new.at, user=name, group=group)
    if (old.uid, old.home, old.shell) != (new.uid, new.home, new.shell):
        found.add(Weight.NOTABLE, "user_changed", old.at, new.at, user=name)
