"""Which pods leave a node that is drained, which stay, and which stand against it: as kubectl drain decides it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ops.kubernetes.objects import Budget, Pod


@dataclass
class Sorted:
    """`left` stay (of DaemonSets, and static ones); `going` are to leave. The others need a word that their data may be lost."""

    left: list[Pod] = field(default_factory=list)
    going: list[Pod] = field(default_factory=list)
    local: list[Pod] = field(default_factory=list)
    unmanaged: list[Pod] = field(default_factory=list)


def sort_pods(pods: Iterable[Pod], *, delete_emptydir: bool, delete_unmanaged: bool) -> Sorted:
    """A pod that has ended loses nothing; one that stands against it for two reasons is named for the first."""
    found = Sorted()
    for pod in pods:
        if pod.is_mirror or (pod.owner == "DaemonSet" and not pod.is_over):
            found.left.append(pod)
        elif pod.local and not pod.is_over and not delete_emptydir:
            found.local.append(pod)
        elif not pod.owner and not pod.is_over and not delete_unmanaged:
            found.unmanaged.append(pod)
        else:
            found.going.append(pod)
    return found


@dataclass(frozen=True)
class Hindrance:
    """A budget that does not let a pod go now."""

    pod: Pod
    budget: Budget


def hindrances(pods: Sequence[Pod], budgets: Sequence[Budget]) -> list[Hindrance]:
    return [Hindrance(pod, one) for pod in pods for one in budgets if one.covers(pod) and not one.allows(pod)]


def doubly_covered(pods: Sequence[Pod], budgets: Sequence[Budget]) -> list[Pod]:
    """Pods of more than one budget, which the API evicts under no circumstances (it answers 500)."""
    asked = [pod for pod in pods if not (pod.is_over or pod.is_going or pod.phase == "Pending")]
    return [pod for pod in asked if sum(one.covers(pod) for one in budgets) > 1]
