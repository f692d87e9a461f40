"""The packages that differ between what ran before and what boots next, kept with the operation. Never a reason to fail."""

from __future__ import annotations

from nodes.hosts.drivers.base import CommandRefused
from nodes.hosts.drivers.package_diff import CHANGES, parse_package_diff
from nodes.hosts.errors import HostError
from ops.actions.base import Context, said


def keep_packages(ctx: Context, after: str | None) -> None:
    """`after` is the checksum of the deployment that boots next; both have to be on the host now."""
    before = str((ctx.memory.get("before") or {}).get("checksum") or "")
    capability = ctx.driver.capabilities.get("package_diff")
    if not capability or not capability.supported or not before or not after or before == after:
        return
    try:
        result = ctx.host.run(ctx.driver.command("package_diff", before=before, after=after))
    except (HostError, CommandRefused) as error:
        ctx.log.note("not_kept", kind="packages", title="", message=str(error))
        return
    if result.exit_status:
        ctx.log.note("not_kept", kind="packages", title="", message=said(result))
        return
    text = result.stdout.decode("utf-8", "replace")
    packages = parse_package_diff(text)
    counts = {change: sum(one.change == change for one in packages) for change in CHANGES}
    document = {"counts": counts, "packages": [one.as_json() for one in packages]}
    ctx.log.attach("packages", "", text, document)
    ctx.log.note("packages_differ", count=len(packages), **counts)
