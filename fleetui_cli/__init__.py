"""fleetui-cli: the API of FleetUI for scripts and shells. Standard library only, and nothing of the server."""

__version__ = "0.1.0"
