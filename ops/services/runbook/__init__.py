"""The runbook of pools: how its tasks stand, how often they should happen, and that one is overdue."""
