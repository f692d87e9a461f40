"""The etcd of control planes in words: whether a member may go, how it goes, and how the new one comes."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from nodes.wording.sentences import Forms

STEPS: dict[str, Promise] = {
    "leave_etcd": _("Remove its member from etcd"),
    "await_member": _("Wait for its new member in etcd"),
}
#: How a member is, in one or two words.
STATES: dict[str, Promise] = {
    "healthy": _("healthy"),
    "unhealthy": _("not healthy"),
    "unstarted": _("never started"),
    "learner": _("learner, without a vote"),
}
CHECKS: dict[str, Forms] = {
    "etcd_is_asked": (
        _(
            "It is a control plane. Before anything changes, FleetUI asks over SSH what etcd consists of (%(names)s): the "
            "member of %(name)s is removed only when the others keep a quorum."
        ),
    ),
    "role_unread": (
        _(
            "%(name)s had no time to say whether it is a control plane, which may be replaced only when its etcd keeps a "
            "quorum. Read it again before you go on (Refresh)."
        ),
    ),
    "etcd_no_sibling": (
        _("%(name)s is a control plane, and FleetUI knows no other one of its cluster that could be asked of etcd."),
    ),
    "etcd_no_gate": (
        _(
            "No backup of this control plane is set as a gate, so that nothing proves that its etcd could be restored "
            "(in its policy: “No upgrade or replacement without a fresh, proven backup”)."
        ),
    ),
    "plane_since": (_("It is a control plane by now, and the plan did not know that. Ask again."),),
    "etcd_unread": (
        _("No other control plane could tell what etcd consists of (asked: %(names)s). The last one said: %(said)s"),
        _("No other control plane could tell what etcd consists of (asked: %(names)s)."),
        _("No other control plane could tell what etcd consists of."),
    ),
    "etcd_unknown": (
        _(
            "%(by)s has no static pod for etcd, nor does its API server name one elsewhere: what FleetUI knows is how "
            "kubeadm sets up a control plane. Take its member out by hand."
        ),
    ),
    "etcd_beside": (
        _(
            "etcd is no static pod of kubeadm here, and %(name)s is among its servers (%(servers)s). Such a member FleetUI "
            "does not remove: do it by hand first."
        ),
    ),
    "etcd_external": (
        _("etcd runs elsewhere (%(servers)s, as %(by)s says), so that no member is removed."),
        _("etcd runs elsewhere, so that no member is removed."),
    ),
    "etcd_no_quorum": (
        _(
            "etcd has no quorum now: %(healthy)s of %(voters)s members with a vote are healthy, and it takes %(needed)s. "
            "Members cannot be changed (%(by)s said so)."
        ),
    ),
    "etcd_unclear": (
        _(
            "Which member of etcd is that of %(name)s is not clear: %(members)s come into question, by name or by peer "
            "address. Remove those that are dead by hand first."
        ),
    ),
    "etcd_strange": (
        _(
            "No member of etcd has the name or an address of %(name)s, and these belong to no control plane that FleetUI "
            "knows: %(members)s. One of them may be its own."
        ),
    ),
    "etcd_gone_before": (
        ngettext_lazy(
            "etcd has no member of %(name)s any more; its %(voters)d member is that of another one (%(by)s said so).",
            "etcd has no member of %(name)s any more; its %(voters)d members are those of others (%(by)s said so).",
            "voters",
        ),
    ),
    "etcd_last": (
        _(
            "%(member)s is the only member of etcd with a vote: without it the cluster has lost its state. Restore instead."
        ),
    ),
    "etcd_quorum_lost": (
        _(
            "Without %(member)s etcd would have %(left)s members with a vote, and %(healthy)s of them healthy: a quorum "
            "needs %(needed)s. Mend first: %(ill)s."
        ),
        _(
            "Without %(member)s etcd would have %(left)s members with a vote, and %(healthy)s of them healthy: a quorum "
            "needs %(needed)s."
        ),
    ),
    "etcd_quorum_stays": (
        ngettext_lazy(
            "The member %(member)s (%(id)s) is removed from etcd by %(by)s. That leaves %(left)d member with a vote "
            "(healthy: %(healthy)s); a quorum needs %(needed)s.",
            "The member %(member)s (%(id)s) is removed from etcd by %(by)s. That leaves %(left)d members with a vote "
            "(healthy: %(healthy)s); a quorum needs %(needed)s.",
            "left",
        ),
    ),
    "etcd_thin": (_("Until the new machine has joined, etcd bears the loss of no other member."),),
}
WAITS: dict[str, Forms] = {
    "member_leaves": (
        _("The member %(member)s is removed from etcd by %(by)s. %(said)s"),
        _("The member %(member)s is removed from etcd by %(by)s."),
        _("Its member is removed from etcd."),
    ),
    "etcd_refuses": (
        _("etcd does not let the member %(member)s go yet, and is asked again. %(by)s said: %(said)s"),
        _("etcd does not let the member %(member)s go yet, and is asked again."),
    ),
    "planes_silent": (
        _("Waits for another control plane that can tell what etcd consists of. Asked: %(names)s. %(said)s"),
        _("Waits for another control plane that can tell what etcd consists of. Asked: %(names)s."),
        _("Waits for another control plane that can tell what etcd consists of."),
    ),
    "member_absent": (
        _("etcd has no member of the new machine yet, says %(by)s. It has until %(until)s to join."),
        _("etcd has no member of the new machine yet."),
    ),
    "member_unclear": (
        _("Which member of etcd is that of the new machine is not clear yet. It has until %(until)s."),
        _("Which member of etcd is that of the new machine is not clear yet."),
    ),
    "member_unstarted": (
        _("The new machine is entered in etcd (%(member)s), and has not started its member. It has until %(until)s."),
        _("The new machine is entered in etcd, and has not started its member."),
    ),
    "member_learner": (
        _("The member %(member)s of the new machine learns, and has no vote yet. It has until %(until)s."),
        _("The member of the new machine learns, and has no vote yet."),
    ),
    "member_unhealthy": (
        _("The member %(member)s of the new machine is not healthy yet. It has until %(until)s."),
        _("The member of the new machine is not healthy yet."),
    ),
}
NOTES: dict[str, Forms] = {
    "member_left": (
        ngettext_lazy(
            "The member %(member)s (%(id)s) is out of etcd, which has %(left)d member with a vote now, says %(by)s.",
            "The member %(member)s (%(id)s) is out of etcd, which has %(left)d members with a vote now, says %(by)s.",
            "left",
        ),
    ),
    "member_joined": (
        ngettext_lazy(
            "The member %(member)s (%(id)s) of the new machine votes and is healthy: etcd has %(voters)d member, says %(by)s.",
            "The member %(member)s (%(id)s) of the new machine votes and is healthy: etcd has %(voters)d members, says %(by)s.",
            "voters",
        ),
    ),
}
RESULTS: dict[str, Forms] = {
    "replaced_plane": (
        _(
            "Replaced: generation %(generation)s was made with %(version)s, showed its host key, runs %(booted)s, was healthy "
            "for %(seconds)s s, and its etcd member %(member)s is one of %(voters)s that vote."
        ),
        _(
            "Replaced: generation %(generation)s was made with %(version)s, showed its host key, is healthy, and its etcd "
            "member %(member)s is one of %(voters)s that vote."
        ),
        _("Replaced."),
    ),
    "removal_unknown": (
        _(
            "Whether the etcd member %(member)s was removed is not known: for %(minutes)s min no other control plane told "
            "(asked: %(names)s)."
        ),
    ),
    "member_changed": (
        _("Nothing was removed: the etcd member %(member)s is not what it was at the first look. Ask again."),
    ),
    "member_stays": (
        _(
            "Nothing was deleted: after %(minutes)s min etcd still did not let the member %(member)s go. %(by)s said: %(said)s"
        ),
        _("Nothing was deleted: after %(minutes)s min etcd still did not let the member %(member)s go."),
    ),
    "planes_silent": (
        _(
            "For %(minutes)s min no other control plane could tell what etcd consists of (asked: %(names)s). The last one "
            "said: %(said)s"
        ),
        _("For %(minutes)s min no other control plane could tell what etcd consists of (asked: %(names)s)."),
    ),
    "member_absent": (_("The new machine is healthy, and did not join etcd within %(minutes)s min, says %(by)s."),),
    "member_unclear": (
        _("The new machine is healthy, and which member of etcd is its own was not clear within %(minutes)s min."),
    ),
    "member_unstarted": (
        _(
            "The new machine is healthy and entered in etcd (%(member)s), and did not start its member within %(minutes)s min."
        ),
    ),
    "member_learner": (
        _("The new machine is healthy, and its member %(member)s still had no vote in etcd after %(minutes)s min."),
    ),
    "member_unhealthy": (
        _("The new machine is healthy, and its etcd member %(member)s was not within %(minutes)s min."),
    ),
}
_JOINS = _(
    "Look there for why “kubeadm join --control-plane” did not end (journalctl). Go on gives it as much time again."
)
RESULT_MENDS: dict[str, Promise] = {
    **dict.fromkeys(
        ("planes_silent", "removal_unknown"), _("See whether FleetUI reaches them. Go on asks them again.")
    ),
    **dict.fromkeys(
        ("member_absent", "member_unclear", "member_unstarted", "member_learner", "member_unhealthy"), _JOINS
    ),
}
SO_NOW: dict[str, Promise] = {
    "machine_stays": _("The machine itself was not deleted."),
    "machine_new": _(
        "A new machine stands in place of the old one, and was not looked at to the end: refresh it, and compare it with "
        "its config."
    ),
    "etcd_gone": _(
        "Its etcd member %(etcd_gone)s was removed and is not put back (members with a vote then: %(etcd_left)s). "
        "A new machine joins as a new member."
    ),
}
