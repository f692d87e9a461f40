"""What versions exist: streams, releases, barriers and dead ends. Pure, no Django."""
