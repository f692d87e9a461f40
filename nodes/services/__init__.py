"""Writes of what is out there. Keyword-only, typed, one transaction each, the audit event inside it."""
