"""Backups: where they lie, what is backed up, and what became of it."""
