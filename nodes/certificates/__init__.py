"""Certificates as facts: read from text, found on hosts, judged. Pure: no Django, no network, no clock.

answer = read_answer(output of the script on a host)
for one, findings in zip(answer.found, judge(answer.found)): one.place, one.use, one.certificate.not_after, findings
"""

from nodes.certificates.judge import days_left, holds_for, judge, time_finding
from nodes.certificates.places import MOST_OUTPUT_BYTES, HostAnswer, NotUnderstood, command, read_answer, script
from nodes.certificates.reading import Unreadable, read_all, read_der
from nodes.certificates.record import Certificate, Finding, Form, Found, Level, Unread, Use

__all__ = [
    "MOST_OUTPUT_BYTES",
    "Certificate",
    "Finding",
    "Form",
    "Found",
    "HostAnswer",
    "Level",
    "NotUnderstood",
    "Unread",
    "Unreadable",
    "Use",
    "command",
    "days_left",
    "holds_for",
    "judge",
    "read_all",
    "read_answer",
    "read_der",
    "script",
    "time_finding",
]
