"""Ignition configs as code: versions that never change, their review, what pools should have, and what nodes were born with."""
