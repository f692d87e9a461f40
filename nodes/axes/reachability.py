"""The reachability axis."""

from nodes.axes.values import AxisValue, Contact, Reachability

KEY_MISMATCH = "key_mismatch"
NOT_CONTACTED = "not_contacted"
PROVISIONING = "provisioning"


def reachability(contact: Contact) -> AxisValue:
    """Whether the node can be reached, from the contacts alone. The reason is the kind of host error."""
    if not contact.failing:
        if contact.reached:
            return AxisValue(Reachability.REACHABLE.value)
        return AxisValue(Reachability.NEVER_SEEN.value, PROVISIONING if contact.is_on_its_way else NOT_CONTACTED)
    kind = contact.last_error_kind or ""
    params = {**contact.error_params, "failures": contact.failures}
    if kind == KEY_MISMATCH:
        return AxisValue(Reachability.KEY_MISMATCH.value, kind, params)
    if contact.is_on_its_way and not contact.reached:
        return AxisValue(Reachability.NEVER_SEEN.value, PROVISIONING)
    value = Reachability.UNREACHABLE if contact.reached else Reachability.NEVER_SEEN
    return AxisValue(value.value, kind, params)
