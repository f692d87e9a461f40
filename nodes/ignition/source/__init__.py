"""YAML as Go's yaml.v3 reads it: nodes with positions, scalar rules, typed decoding."""
