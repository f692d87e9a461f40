"""What the kinds that work on containers share: how facts tell of one, and what is checked before it is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodes.axes.reading import objects, text
from nodes.facts.containers import described
from nodes.hosts.drivers import podman_commands, units
from nodes.hosts.drivers.base import BOOT_CHANGED_STATUS
from nodes.hosts.references import Reference, parse
from ops.actions.base import Context, ParamsRefused, as_failure, effect
from ops.outcomes import Fail
from ops.preflight import Check

#: From this version on Podman reads drop-ins of Quadlets.
QUADLET_DROPINS = 5
CAPABILITY = "containers"
#: Where Podman keeps images.
DISKS = ("/", "/var")
#: Without these, or with a part of them, nobody knows what runs and what is used.
_NEEDED = ("podman_root_ps", "podman_root_images", "podman_units")
Facts = Mapping[str, Any]


def unit_param(given: dict[str, Any]) -> str:
    value = given.pop("unit", "")
    if not isinstance(value, str) or not value.strip():
        raise ParamsRefused("unit", "not_a_unit", value=str(value)[:100])
    name = units.whole_name(value.strip())
    if code := units.refusal(name):
        raise ParamsRefused("unit", code, value=name[:100])
    if not name.endswith(".service"):
        raise ParamsRefused("unit", "not_a_container_unit", value=name[:100])
    return name


def image_param(given: dict[str, Any]) -> str:
    """A whole reference: with its registry, and with a tag or a digest."""
    value = given.pop("image", "")
    found = parse(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ParamsRefused("image", "not_an_image", value=str(value)[:200])
    if not found.registry:
        raise ParamsRefused("image", "image_without_registry", value=str(found))
    if not (found.tag or found.digest):
        raise ParamsRefused("image", "image_without_tag", value=str(found))
    return str(found)


def reference_of(params: Mapping[str, Any]) -> Reference:
    found = parse(str(params.get("image", "")))
    assert found is not None  # noqa: S101  (checked when it was asked for)
    return found


def podman_of(facts: Facts) -> Mapping[str, Any]:
    """Podman of root; empty where it is not there."""
    found = (facts.get("containers") or {}).get("runtimes") or []
    return next((one for one in found if one.get("name") == "podman"), {})


def unit_of(facts: Facts, name: str) -> Mapping[str, Any]:
    """What the files of a unit say of its container; empty where it runs none."""
    found = (facts.get("containers") or {}).get("units") or []
    return next((one for one in found if one.get("name") == name), {})


def container_of(facts: Facts, unit: str) -> Mapping[str, Any]:
    """The container that a unit runs now; empty where there is none."""
    found = [one for one in described(facts) if one["runtime"] == "podman" and one["unit"] == unit]
    return next((one for one in found if one.get("image_id")), {})


def named_container(facts: Facts, name: str) -> Mapping[str, Any]:
    """A container of root by its name, or what is known of one whose unit does not run."""
    found = (one for one in described(facts) if one["runtime"] == "podman")
    return next((one for one in found if one.get("name") == name), {})


def image_by_name(facts: Facts, name: str) -> Mapping[str, Any]:
    """An image on the host by one of its names."""
    return next((one for one in objects(podman_of(facts), "images") if name in (one.get("names") or [])), {})


def podman_there(facts: Facts) -> Check:
    found = podman_of(facts)
    if not found:
        return Check("podman_absent", "block")
    return Check("podman_there", params={"version": found.get("version") or ""})


def unread_of(facts: Facts) -> list[str]:
    """The parts without which nobody knows what Podman runs, as far as this look lacks them."""
    found = {text(one, "section") for one in objects(facts, "unread")}
    return [section for section in _NEEDED if section in found]


def containers_read(facts: Facts) -> list[Check]:
    """Empty where all of it was read. What a busy host did not say in time would look as if it were not there: a unit
    without a container, a container without an image to keep."""
    unread = unread_of(facts)
    return [Check("containers_unread", "block", {"sections": ", ".join(unread)})] if unread else []


def unit_runs_container(facts: Facts, name: str) -> list[Check]:
    """Whether the image of this unit can be changed by a drop-in."""
    unit = unit_of(facts, name)
    if not unit:
        return [Check("container_unit_absent", "block", {"unit": name})]
    path = podman_commands.dropin_path(name, text(unit, "kind"), text(unit, "source"))
    if "@" in name:
        return [Check("container_unit_template", "block", {"unit": name})]
    if text(unit, "kind") == "quadlet":
        major = text(podman_of(facts), "version").partition(".")[0]
        if major.isdigit() and int(major) < QUADLET_DROPINS:
            version = text(podman_of(facts), "version")
            return [Check("quadlet_too_old", "block", {"version": version, "least": QUADLET_DROPINS})]
    elif not unit.get("image"):
        return [Check("unit_image_unclear", "block", {"unit": name})]
    return [Check("dropin_written", params={"path": path, "source": text(unit, "source")})]


def previous_kept(facts: Facts, name: str) -> Check:
    """What runs now, and is kept for the way back."""
    now = container_of(facts, name)
    if not now:
        return Check("nothing_to_keep", "warn", {"unit": name})
    return Check("image_kept", params={"image": now.get("image") or "", "digest": str(now.get("digest") or "")[:19]})


def moved_by_podman(facts: Facts, name: str) -> list[Check]:
    """A unit that `podman auto-update` looks after may be given another image at any time."""
    label = (container_of(facts, name).get("labels") or {}).get("io.containers.autoupdate")
    return [Check("auto_update_moves", "warn", {"unit": name})] if label == "registry" else []


def shown_image(ctx: Context, image: str) -> tuple[str, tuple[str, ...]]:
    """The id of an image on the host and its digests; empty where it has none of this name."""
    result = ctx.host.run(ctx.driver.command("image_shown", image=image))
    words = result.stdout.decode("utf-8", "replace").split()
    if result.exit_status or not words:
        return "", ()
    return words[0], tuple(words[1:])


def name_pulled(ctx: Context, name: str, target: Mapping[str, Any]) -> Fail | None:
    """What was pulled by its digest has no name of its own on the host: the tag that was asked for means it from now on."""
    asked = parse(name)
    if asked is None or not asked.tag or asked.digest or not target["digest"]:
        return None
    result = effect(ctx, ctx.driver.command("image_tag", image=target["id"], name=name))
    if result.exit_status:
        return as_failure(result, "image_not_tagged", again=result.exit_status != BOOT_CHANGED_STATUS)
    return None


def same_id(one: str, other: str) -> bool:
    return bool(one) and one.removeprefix("sha256:") == other.removeprefix("sha256:")


#: Why a registry could not say whether it has an image.
_NOT_ASKED = {
    "unnamed": "registry_unnamed",
    "here": "registry_on_host",
    "sign_in": "registry_wants_sign_in",
    "status": "registry_status",
}


def said_by_registry(plan: Mapping[str, Any]) -> Sequence[Check]:
    """What the registry answered when the plan was made."""
    found: Mapping[str, Any] = (plan.get("target") or {}).get("registry") or {}
    params = {
        "image": found.get("image", ""),
        "digest": str(found.get("digest", ""))[:19],
        "said": found.get("said", ""),
    }
    if not found:
        return []
    state = found.get("state")
    if state == "there":
        return [Check("registry_has_it", params=params)]
    if state == "absent":
        return [Check("registry_lacks_it", "block", params)]
    return [Check(_NOT_ASKED.get(str(found.get("why")), "registry_not_asked"), "warn", params)]
