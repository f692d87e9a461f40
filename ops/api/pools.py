"""What the API tells of a pool and of its operations at once."""

from __future__ import annotations

from fleetui.access.principals import Principal
from fleetui.core.errors import NotAllowed, NotFound
from nodes.models import Pool


def pool_with_operations(principal: Principal, name: str, what: str) -> Pool:
    """The pool, for whoever sees it and its operations; raises NotFound or NotAllowed. `what` tells of operations."""
    found: Pool | None = Pool.objects.visible_to(principal).filter(name=name).first()
    if found is None:
        raise NotFound(f"There is no pool {name} that you may see.", mend="Look at pools/.")
    if not principal.may("operations.read", found):
        raise NotAllowed(f"{what} tells of operations.", mend="It takes the permission operations.read.")
    return found
