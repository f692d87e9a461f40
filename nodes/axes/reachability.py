"""The reachability axis."""

from nodes.axes.values import AxisValue, Contact, Reachability

KEY_MISMATCH = "key_mismatch"
NOT_CONTACTED = "not_contacted"
PROVISIONING = "provisioning"
#: A machine that fails in this way is up: to wait for it would hide what is wrong.
_IS_UP = frozenset({"authentication", "bad_identity", "channel_refused", "command_failed", "output_too_large"})
_IS_UP_AT = frozenset({"auth", "channel", "command"})


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
    is_up = kind in _IS_UP or (kind == "timed_out" and params.get("phase") in _IS_UP_AT)
    if contact.is_on_its_way and not contact.reached and not is_up:
        return AxisValue(Reachability.NEVER_SEEN.value, PROVISIONING)
    value = Reachability.UNREACHABLE if contact.reached else Reachability.NEVER_SEEN
    return AxisValue(value.value, kind, params)
