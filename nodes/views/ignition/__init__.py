"""Pages of Ignition configs: the list, one config, one version, two compared, and the editor."""
