"""Clusters that have an API: how they are signed in to, what they say of their nodes, and what FleetUI left cordoned there."""
