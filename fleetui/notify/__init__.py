"""Telling people and machines what happened: channels, rules, and an outbox that is written with the event itself."""
