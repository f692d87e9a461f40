"""What an IP address says of where it leads."""

from __future__ import annotations

import ipaddress


def is_loopback(address: str) -> bool:
    """Whether it is this machine itself; text that is no address is not."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    # ::ffff:127.0.0.1 is this machine too, which Python does not say before 3.13.
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback
