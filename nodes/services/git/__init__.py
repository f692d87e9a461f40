"""Configs that follow a Git repository: setting up, looking at it, and what becomes of its commits."""
