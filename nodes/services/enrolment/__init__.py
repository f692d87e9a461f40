"""Instances that announce themselves: tokens of a pool, the announcement, and what becomes of those that stay away."""

from nodes.services.enrolment.absence import Hold, holds, retire_absent
from nodes.services.enrolment.announce import Announcement, Enrolled, announce
from nodes.services.enrolment.refusals import record_refusal
from nodes.services.enrolment.tokens import add_enrolment_token, presented_token, revoke_enrolment_token

__all__ = [
    "Announcement",
    "Enrolled",
    "Hold",
    "add_enrolment_token",
    "announce",
    "holds",
    "presented_token",
    "record_refusal",
    "retire_absent",
    "revoke_enrolment_token",
]
