"""The engine: starts what may start, claims what is due, and runs one step of it. The row is the truth."""

from ops.engine.claim import claim_due, streaming
from ops.engine.start import start_queued
from ops.engine.work import run_step

__all__ = ["claim_due", "run_step", "start_queued", "streaming"]
