"""What makes a YAML document unreadable."""


class YamlFailure(Exception):
    """The text is worded as yaml.v3 words it, without the leading `yaml: `."""
