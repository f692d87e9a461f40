"""What the API answers about Ignition."""

from __future__ import annotations

from typing import Any

from fleetui.core.api.shapes import (
    ANY_OBJECT,
    FLAG,
    INTEGER,
    TEXT,
    TEXTS,
    TIME,
    UUID,
    Document,
    Field,
    Row,
    Shape,
    column,
    json_column,
    known,
    list_of,
    nullable,
    object_of,
    one_of,
)
from nodes.ignition.effect import Effect
from nodes.models.ignition import APPLIED_HOW, ReviewState
from nodes.wording.configs import effect_sentence

_STATE = one_of([one.value for one in ReviewState])
_PLACE = nullable({**INTEGER, "minimum": 1})
FINDING = object_of(
    {
        "kind": one_of(["error", "warning", "advice", "info"]),
        "rule": {**TEXT, "description": "The rule of lint; empty for what the translator itself says."},
        "message": TEXT,
        "fix": TEXT,
        "params": ANY_OBJECT,
        "path": TEXT,
        "line": _PLACE,
        "column": _PLACE,
    }
)
VARIABLE = object_of(
    {
        "name": TEXT,
        "type": one_of(["string", "hostname", "address", "integer", "boolean", "ssh_key", "secret"]),
        "default": nullable(TEXT),
        "description": TEXT,
    }
)

CONFIG = Shape(
    "IgnitionConfig",
    {
        "id": column("id", UUID),
        "name": column("name", TEXT),
        "description": column("description", TEXT),
        # Filled in for all rows of a page at once.
        "pools": Field(TEXTS, ("id",), lambda row: row["id"]),
        "versions": column("last_number", INTEGER),
        "approved": column("approved_number", nullable(INTEGER)),
        "revision": column("revision", INTEGER),
        "created_at": column("created_at", TIME),
    },
)

_VERSION_FIELDS = {
    "id": column("id", UUID),
    "config": column("config__name", TEXT),
    "number": column("number", INTEGER),
    "state": column("state", _STATE),
    "state_since": column("state_since", TIME),
    "is_valid": column("is_valid", FLAG),
    "errors": column("errors", INTEGER),
    "warnings": column("warnings", INTEGER),
    "author": column("author", TEXT),
    "message": column("message", TEXT),
    "commit": known("commit_id", TEXT),
    "sha512": known("sha512", TEXT),
    "content_hash": column("content_hash", TEXT),
    "created_at": column("created_at", TIME),
}
VERSION = Shape("IgnitionVersion", _VERSION_FIELDS)


def _paths(row: Row) -> Any:
    return sorted(row["files"])


WHOLE_VERSION = Shape(
    "IgnitionVersionWhole",
    {
        **_VERSION_FIELDS,
        "source": column("source", TEXT),
        "source_path": known("source_path", TEXT),
        "files": Field(TEXTS, ("files",), _paths),
        "variables": json_column("declarations", list_of(VARIABLE)),
        "failure": known("failure", TEXT),
        "report": json_column("report", list_of(FINDING)),
    },
)

RENDERED = Document(
    "IgnitionRendered",
    object_of(
        {
            "node": nullable(TEXT),
            "sha512": {
                **nullable(TEXT),
                "description": "Null where secrets were left out: then this is not what a machine gets.",
            },
            "has_secrets": FLAG,
            "ignition": ANY_OBJECT,
        }
    ),
)
_LINE = object_of(
    {
        "kind": one_of(["same", "added", "removed"]),
        "old": nullable(INTEGER),
        "new": nullable(INTEGER),
        "text": TEXT,
    }
)
_HUNKS = {**nullable(list_of(list_of(_LINE))), "description": "Null where a text is too long to be compared."}
EFFECT = object_of(
    {
        "weight": one_of(["disruptive", "notable", "plain"]),
        "section": TEXT,
        "code": TEXT,
        "params": ANY_OBJECT,
        "sentence": TEXT,
    }
)
DIFF = Document(
    "IgnitionDiff",
    object_of(
        {
            "version": INTEGER,
            "against": INTEGER,
            "effect": {
                **nullable(list_of(EFFECT)),
                "description": "Null where one of the two does not convert.",
            },
            "source": _HUNKS,
            "rendered": _HUNKS,
            "files": list_of(object_of({"path": TEXT, "kind": one_of(["added", "removed", "changed"])})),
        }
    ),
)
CHECKED = Document(
    "IgnitionChecked",
    object_of(
        {
            "is_valid": FLAG,
            "failure": nullable(TEXT),
            "report": list_of(FINDING),
            "variables": list_of(VARIABLE),
            "sha512": nullable(TEXT),
            "ignition": nullable(ANY_OBJECT),
        }
    ),
)

_VERSION_NAMED = nullable(object_of({"id": UUID, "config": TEXT, "number": INTEGER}))
POOL_IGNITION = Document(
    "PoolIgnition",
    object_of({"pool": TEXT, "intended": _VERSION_NAMED, "since": nullable(TIME), "by": nullable(TEXT)}),
)
NODE_IGNITION = Document(
    "NodeIgnition",
    object_of(
        {
            "node": TEXT,
            "intended": _VERSION_NAMED,
            "applied": _VERSION_NAMED,
            "applied_how": nullable(one_of(APPLIED_HOW)),
            "applied_at": nullable(TIME),
            "marker": nullable(
                object_of(
                    {
                        "verdict": one_of(["agrees", "contradicts", "unknown", "unread"]),
                        "config": nullable(TEXT),
                        "number": nullable(INTEGER),
                        "id": nullable(TEXT),
                        "source_sha256": nullable(TEXT),
                        "verbatim": nullable(TEXT),
                    }
                )
            ),
        }
    ),
)
VALUE = Shape(
    "IgnitionValue",
    {
        "name": column("name", TEXT),
        "is_secret": column("is_secret", FLAG),
        "value": Field(nullable(TEXT), ("value", "is_secret"), lambda row: None if row["is_secret"] else row["value"]),
        "set_at": column("set_at", TIME),
        "set_by": column("set_by", TEXT),
    },
)
VALUES = Document("IgnitionValues", object_of({"results": list_of(VALUE.schema())}))


def effect_shown(one: Effect) -> dict[str, Any]:
    """As EFFECT says."""
    return {
        "weight": str(one.weight),
        "section": one.section,
        "code": one.what.code,
        "params": dict(one.what.params),
        "sentence": effect_sentence(one.what),
    }
