"""Another reboot manager on the host: two of them on one host undo each other's work, or restart it at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodes.axes.reading import objects, text
from nodes.hosts.drivers.base import Command
from nodes.hosts.drivers.systemd import parse_show
from ops.actions.base import Context
from ops.preflight import Check

#: Units that update or restart a host by themselves. The host's own update agent is none of them: it is held.
_UNITS = (
    "kured.service",
    "flightctl-agent.service",
    "rpm-ostreed-automatic.timer",
    "bootc-fetch-apply-updates.timer",
    "dnf-automatic.timer",
    "dnf-automatic-install.timer",
    "unattended-upgrades.service",
    "systemd-sysupdate-reboot.timer",
)
#: Likewise on one family, where they are the agent of another.
_OF_FAMILY = {"fcos": ("locksmithd.service",)}
#: Images that do so from a container.
_IMAGES = ("/kured", "/system-upgrade-controller", "/machine-config-operator", "/flatcar-linux-update-operator")


def see_managers(ctx: Context, _facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Asks the host for those that are active now."""
    units = (*_UNITS, *_OF_FAMILY.get(ctx.driver.family, ()))
    asked = Command(("systemctl", "show", "--property=Id,ActiveState", *units), changes=False)
    shown = parse_show(ctx.host.run(asked).stdout.decode("utf-8", "replace"))
    return {"reboot_managers": [one["Id"] for one in shown if one.get("ActiveState") == "active" and one.get("Id")]}


def no_other_manager(facts: Mapping[str, Any], *, ignored: bool) -> Check:
    """The plan knows of containers only; the first step asks for units too."""
    found = [str(name) for name in facts.get("reboot_managers") or ()]
    for runtime in objects(facts, "containers", "runtimes"):
        for container in objects(runtime, "containers"):
            image = text(container, "image").partition("@")[0]
            if text(container, "state") == "running" and any(name in image for name in _IMAGES):
                found.append(image)
    if not found:
        return Check("no_other_manager")
    told = {"count": len(found), "managers": ", ".join(sorted(set(found))[:5])}
    return Check("other_manager", "warn" if ignored else "block", told)
