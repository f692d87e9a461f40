"""Pages of what we do about it: the overview, and operations."""
