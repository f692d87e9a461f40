"""Polling: which nodes are due, one contact with each, and what is written of it."""

from nodes.services.polling.claim import begin, claim_due, hold, release
from nodes.services.polling.contact import Outcome, contact
from nodes.services.polling.store import store

__all__ = ["Outcome", "begin", "claim_due", "contact", "hold", "release", "store"]
