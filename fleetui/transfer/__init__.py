"""Moves a whole installation from one database to another: `manage.py export` and `manage.py import`."""
