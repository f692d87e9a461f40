"""Machines that boot fetch their Ignition config here, and are known by a host key that was made for them."""
