"""The pages of the nodes app."""
