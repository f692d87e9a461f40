"""FleetUI, the project: settings, addresses, Celery and the `up` command."""
