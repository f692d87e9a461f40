"""Butane to Ignition, and validation of both: text in, text and reports out. Pure, no Django, no network, no clock."""
