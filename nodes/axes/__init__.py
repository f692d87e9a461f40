"""The three axes of a node, computed in one pure place from contacts, facts, measurements and releases.

Nothing here reads a clock, a database or a network; `compute` never raises, whatever shape the facts have.

Reachability, first rule that holds:

| value        | when                                                    | reason                |
|--------------|---------------------------------------------------------|-----------------------|
| reachable    | the last contact succeeded                              |                       |
| key_mismatch | the host shows another key than the pinned one          | key_mismatch          |
| never_seen   | its first machine has fetched a config and has time yet | provisioning          |
| never_seen   | nobody has tried yet                                    | not_contacted         |
| never_seen   | every contact so far failed                             | kind of the HostError |
| unreachable  | the last contact failed, an earlier one succeeded       | kind of the HostError |

Health: unknown without facts, or while contacts fail and the last success is over 15 minutes ago; then degraded
with the worst of these reasons, the others in `params["also"]`; then unknown while the host starts or stops or did
not say; else healthy.

| reason                    | when                                                                           |
|---------------------------|--------------------------------------------------------------------------------|
| maintenance_mode          | systemd is in its rescue or emergency target                                   |
| finalize_failed           | the last staged update could not be written at shutdown                        |
| disk_full, inodes_full    | /boot, /, /var or /sysroot above 90 % (read-only OS images do not count)       |
| units_failed              | units have failed, named                                                       |
| system_degraded           | systemd says degraded and no unit could be named                               |
| start_hangs               | the start goes on for over 10 minutes after boot                               |
| memory_low                | less than 5 % of the memory is available                                       |
| clock_not_synchronized    | the clock is not synchronised, 10 minutes after boot or later                  |
| containers_restarting     | containers that restart again and again, where the facts say so                |

Update state, first rule that holds:

| value            | reason                 | when                                                                    |
|------------------|------------------------|-------------------------------------------------------------------------|
| unknown          | no_facts               | nothing was read yet                                                    |
| unknown          | status_not_read        | the status of the deployments was not understood or not read            |
| unknown          | booted_from_none       | the host runs none of its deployments (live system)                     |
| unknown          | not_image_based        | a host that is no image-based OS                                        |
| unknown          | no_deployments         | the host lists none                                                     |
| reboot_pending   | agent_waits_for_reboot | the agent has finalized an update                                       |
| rolled_back      | boot_failed            | the boot loader tried a deployment, and the host runs another one       |
| rolled_back      | booted_is_not_default  | nothing is staged, the default is newer than what runs since the boot   |
| reboot_pending   | rollback_queued        | nothing is staged, the default is older: a rollback waits for a reboot  |
| reboot_pending   | other_deployment_first | nothing is staged, the default is another deployment, not newer or older |
| deferred         | user_session           | staged, and the agent waits for people who are signed in                |
| deferred         | update_strategy        | staged, and the strategy of the agent does not allow the reboot yet     |
| deferred         | finalization_locked    | staged and locked: a plain reboot does not apply it                     |
| staged           |                        | staged, the next reboot applies it                                      |
| reboot_pending   | host_asks_for_reboot   | the host says so in another way                                         |
| rolled_back      | newer_in_rollback      | the rollback deployment is newer than the booted one, in one stream     |
| update_available | dead_end               | newer releases exist, but none can be reached from the booted one       |
| unknown          | dead_end               | the booted release is a dead end and nothing newer is known             |
| update_available | staging_fails          | the agent tries to stage it and fails                                   |
| update_available | agent_off              | the update agent does not run                                           |
| update_available | agent_disabled         | the settings of the update agent disable it                             |
| update_available | barrier                | the next step is a barrier, the newest comes after it                   |
| update_available | newer_release          | the newest release can be taken at once                                 |
| up_to_date       |                        | nothing newer is offered                                                |
| up_to_date       | ahead_of_releases      | runs something newer than every release that is offered                 |
| update_available | cached_update, pulled  | no release is known; the host itself knows of an update                 |
| update_available | agent_found_update     | no release is known; the update agent of the host has found one         |
| up_to_date       | host_says              | no release is known; the host checked and found what it runs            |
| unknown          | no_version             | the booted deployment has no version                                    |
| unknown          | no_stream, no_releases | there is nothing to compare with                                        |
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from nodes.axes.health import health
from nodes.axes.reachability import reachability
from nodes.axes.update_state import update_state
from nodes.axes.values import (
    Axes,
    AxisValue,
    Contact,
    Health,
    Lifecycle,
    Reachability,
    StoredAxis,
    UpdateState,
)
from nodes.releases.graph import ReleasesView

__all__ = [
    "Axes",
    "AxisValue",
    "Contact",
    "Health",
    "Lifecycle",
    "Reachability",
    "ReleasesView",
    "StoredAxis",
    "UpdateState",
    "carry",
    "compute",
]


def compute(
    facts: Mapping[str, Any] | None,
    measurement: Mapping[str, Any] | None,
    releases: ReleasesView,
    contact: Contact,
    now: datetime,
) -> Axes:
    """All three axes at `now`. `facts` and `measurement` are in the shape of their `as_json()`."""
    return Axes(
        reachability=reachability(contact),
        health=health(facts, measurement, contact, now),
        update_state=update_state(facts, releases, now),
    )


def carry(old: StoredAxis | None, new: AxisValue, now: datetime) -> StoredAxis:
    """The record to keep: its time moves only when value or reason changed, not with the details."""
    same = old is not None and (old.value, old.reason) == (new.value, new.reason)
    since = old.since if old is not None and same else now
    return StoredAxis(new.value, new.reason, new.params, since)
