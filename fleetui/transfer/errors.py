"""Why an export or an import was refused."""

from __future__ import annotations

from fleetui.core.errors import FleetError


class TransferRefused(FleetError):
    """Nothing was written; the sentence says why and what to do."""

    code = "transfer_refused"
