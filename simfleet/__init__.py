"""A simulated fleet: real SSH servers on loopback that play Fedora CoreOS hosts. The product never imports it."""

from simfleet import control
from simfleet.fleet import Fleet, Settings
from simfleet.model import Fault
from simfleet.running import run, serve
from simfleet.storage import FleetError

__all__ = ["Fault", "Fleet", "FleetError", "Settings", "control", "run", "serve"]
