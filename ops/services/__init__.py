"""Writes of operations: request, approve, cancel, retry, stop."""
