"""ignition/: configs, versions, their review, and a check that stores nothing; ignition/ of pools and nodes."""
