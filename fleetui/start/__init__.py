"""The `up` command: what is looked at before a start, the preparation, and the process tree that it keeps running."""
