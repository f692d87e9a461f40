"""Polling: which nodes are due, one contact with each, and what is written of it."""

from nodes.services.polling.claim import claim_due, hold
from nodes.services.polling.contact import Outcome, contact
from nodes.services.polling.store import store

__all__ = ["Outcome", "claim_due", "contact", "hold", "store"]
