"""Drift: nodes compared with the Ignition version that they were provisioned with, and the state that follows from it."""
