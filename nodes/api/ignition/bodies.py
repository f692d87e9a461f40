"""What the API takes about Ignition."""

from __future__ import annotations

from rest_framework import serializers

from fleetui.core.api.bodies import Body, Flag, Integer, Part, Text
from nodes.services.ignition.check import MOST_SOURCE_BYTES
from nodes.services.ignition.values import MOST_CHARACTERS


class ConfigBody(Body):
    """A config, and the names of the pools that it is for."""

    name = Text(min_length=1, max_length=100)
    description = Text(max_length=300, allow_blank=True, default="")
    pools = serializers.ListField(child=Text(max_length=100), default=list, max_length=500)


class FileBody(Part):
    """A file that the source embeds."""

    base64 = Text(allow_blank=True, trim_whitespace=False)
    executable = Flag(default=False)


class _SourceBody(Body):
    # A field of this name is taken off the class before it can stand in for the attribute of serializers.
    source = Text(  # type: ignore[assignment]
        max_length=MOST_SOURCE_BYTES, trim_whitespace=False, help_text="Butane, at most 1 MiB."
    )
    files = serializers.DictField(
        child=FileBody(), default=dict, help_text="Files that the source embeds, by path: at most 4 MiB together."
    )


class CheckBody(_SourceBody):
    """A source to look at. Values are for its variables; without them examples stand in the answer."""

    values = serializers.DictField(
        child=Text(max_length=MOST_CHARACTERS, allow_blank=True, trim_whitespace=False),
        allow_null=True,
        default=None,
        help_text="Values by name; null: examples.",
    )


class VersionBody(_SourceBody):
    """A new version of a config. `expected_number` is the version that it is based on, 0 for none."""

    config = Text(min_length=1, max_length=100)
    message = Text(max_length=2000, allow_blank=True, default="")
    expected_number = Integer(
        min_value=0, allow_null=True, default=None, help_text="Refused when there is a newer one; null: not compared."
    )


class ChooseBody(Body):
    """A version by its id; null for none."""

    version = serializers.UUIDField(allow_null=True)
    reason = Text(max_length=300, allow_blank=True, default="")


class AppliedBody(Body):
    """The version that the machine was provisioned with, by its id; null where it is not known."""

    version = serializers.UUIDField(allow_null=True)


class PermanentBody(Body):
    """The path of a drop-in that FleetUI wrote beside the unit of a container."""

    path = Text(max_length=500)


class ValueBody(Body):
    """The value of a variable. A secret goes in and never comes out."""

    secrets = frozenset({"value"})

    value = Text(max_length=MOST_CHARACTERS, allow_blank=True, trim_whitespace=False)
    is_secret = Flag(default=False)
