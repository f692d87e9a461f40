"""FleetUI, the project: settings, addresses, Celery and the `up` command."""

__version__ = "0.1.0"
