"""Provisioners, what a plan to replace says, and what people confirm by hand."""
