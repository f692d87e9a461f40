"""How nodes and what belongs to them look in the API."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.urls import get_script_prefix, reverse
from django.utils.translation import get_language

from fleetui.core.api.shapes import (
    ANY_OBJECT,
    FLAG,
    INTEGER,
    NUMBER,
    TEXT,
    TEXTS,
    TIME,
    UUID,
    Document,
    Field,
    Row,
    Shape,
    column,
    document,
    json_column,
    known,
    list_of,
    nullable,
    object_of,
    one_of,
)
from nodes import wording
from nodes.axes.values import Health, Lifecycle, Reachability, UpdateState
from nodes.hosts.ssh import HostKey as SshHostKey
from nodes.models import ContainerOnNode, HostKey
from nodes.models.node import IgnitionState
from nodes.services.history import RANGES
from nodes.services.samples import KINDS as HISTORY_KINDS

AXES = {"reachability": Reachability, "health": Health, "update_state": UpdateState}
LABELS = {"type": "object", "additionalProperties": TEXT}

_DEPLOYMENT_FIELDS = {
    "version": nullable(TEXT),
    "checksum": nullable(TEXT),
    "origin": nullable(TEXT),
    "image": nullable(TEXT),
    "image_digest": nullable(TEXT),
    "layered": TEXTS,
    "pinned": FLAG,
}
DEPLOYMENT_BRIEF = object_of(_DEPLOYMENT_FIELDS)
OS = object_of({name: nullable(TEXT) for name in ("family", "variant", "version", "stream", "name")})
_REASON = object_of({"code": TEXT, "sentence": TEXT, "params": ANY_OBJECT})


def deployment_brief(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What lists say of a deployment; None when there is none."""
    if not document:
        return None
    brief: dict[str, Any] = {name: document.get(name) or None for name in _DEPLOYMENT_FIELDS}
    return {**brief, "layered": document.get("layered") or [], "pinned": bool(document.get("pinned"))}


@lru_cache(maxsize=4096)
def _brief_of(text: str) -> dict[str, Any] | None:
    return deployment_brief(document(text))


def _brief(name: str) -> Field:
    def build(row: Row) -> Any:
        return _brief_of(row[name]) if isinstance(row[name], str) else deployment_brief(row[name])

    return Field(nullable(DEPLOYMENT_BRIEF), (name,), build, documents=(name,))


def _os(row: Row) -> dict[str, Any]:
    return {name: row[f"os_{name}"] or None for name in ("family", "variant", "version", "stream", "name")}


_REASON_PARTS = tuple((axis, f"{axis}_reason", f"{axis}_params") for axis in AXES)


def _reasons(row: Row) -> dict[str, Any]:
    language = get_language()
    return {
        axis: _worded(language, axis, row[axis], row[reason], row[params])
        if isinstance(row[params], str)
        else _reason(axis, row[axis], row[reason], row[params])
        for axis, reason, params in _REASON_PARTS
    }


def _reason(axis: str, value: str, code: str, params: Any) -> dict[str, Any]:
    return {"code": code, "sentence": wording.axis_sentence(axis, value, code, params), "params": params}


@lru_cache(maxsize=8192)
def _worded(_language: str | None, axis: str, value: str, code: str, params: str) -> dict[str, Any]:
    """Most nodes of a fleet stand alike: their sentence is made once per language."""
    return _reason(axis, value, code, document(params))


_REASON_COLUMNS = tuple(column for parts in _REASON_PARTS for column in parts)
_REASON_DOCUMENTS = tuple(params for _axis, _code, params in _REASON_PARTS)


def _axis(name: str) -> dict[str, Field]:
    return {
        name: column(name, one_of(member.value for member in AXES[name])),
        f"{name}_reason": column(f"{name}_reason", TEXT),
        f"{name}_since": column(f"{name}_since", TIME),
    }


def node_url(name: str) -> str:
    """Names hold only letters, digits, dots, hyphens and underscores, so that they stand in an address as they are."""
    return _node_url(get_script_prefix()).replace("NAME", name)


@lru_cache
def _node_url(_prefix: str) -> str:
    return reverse("api:node", args=["NAME"])


NODE = Shape(
    "Node",
    {
        "id": column("id", UUID),
        "name": column("name", TEXT),
        "url": Field(TEXT, ("name",), lambda row: node_url(row["name"])),
        "address": column("address", TEXT),
        "port": column("port", INTEGER),
        "os": Field(OS, ("os_family", "os_variant", "os_version", "os_stream", "os_name"), _os),
        "os_family_given": known("os_family_given", TEXT),
        "arch": known("arch", TEXT),
        "kernel": known("kernel", TEXT),
        "pool": column("pool__name", nullable(TEXT)),
        "cluster": column("pool__cluster__name", nullable(TEXT)),
        "credential": column("credential__name", nullable(TEXT)),
        "jump_host": column("jump_host__name", nullable(TEXT)),
        "labels": json_column("labels", LABELS),
        "generation": column("generation", INTEGER),
        "revision": column("revision", INTEGER),
        "lifecycle": column("lifecycle", one_of(member.value for member in Lifecycle)),
        "lifecycle_reason": column("lifecycle_reason", TEXT),
        "lifecycle_since": column("lifecycle_since", TIME),
        "maintenance_until": column("maintenance_until", nullable(TIME)),
        **_axis("reachability"),
        **_axis("health"),
        **_axis("update_state"),
        "ignition_state": column("ignition_state", one_of(one.value for one in IgnitionState)),
        "reasons": Field(
            object_of(dict.fromkeys(AXES, _REASON)), _REASON_COLUMNS, _reasons, documents=_REASON_DOCUMENTS
        ),
        "booted": _brief("booted"),
        "staged": _brief("staged"),
        "rollback": _brief("rollback"),
        "boot_id": known("boot_id", TEXT),
        "booted_at": column("booted_at", nullable(TIME)),
        "facts_at": column("facts_at", nullable(TIME)),
        "unread_sections": column("unread_sections", INTEGER),
        "last_seen_at": column("last_seen_at", nullable(TIME)),
        "failing_since": column("failing_since", nullable(TIME)),
        "failures": column("failures", INTEGER),
        "poll_due_at": column("poll_due_at", TIME),
        "machine_id": known("machine_id", TEXT),
        "enrolled_at": column("enrolled_at", nullable(TIME)),
        "created_at": column("created_at", TIME),
    },
)

_FACTS_BY_PATH = {
    "type": "object",
    "description": "With `facts=`: for each path its values, each once, sorted.",
    "additionalProperties": list_of({}),
}
NODE_ROW = Document(
    "NodeRow", {"type": "object", "properties": {**NODE.schema()["properties"], "facts": _FACTS_BY_PATH}}
)
FACT_PATH = object_of(
    {
        "path": TEXT,
        "holds": one_of(["text", "number", "flag", "any"]),
        "indexed": FLAG,
        "operators": TEXTS,
        "sentence": TEXT,
    }
)
FACT_PATHS = Document("FactPaths", object_of({"results": list_of(FACT_PATH)}))

DEPLOYMENT = Shape(
    "Deployment",
    {
        "index": column("index", INTEGER),
        "version": known("version", TEXT),
        "checksum": known("checksum", TEXT),
        "origin": known("origin", TEXT),
        "image": known("image", TEXT),
        "image_digest": known("image_digest", TEXT),
        "booted": column("is_booted", FLAG),
        "staged": column("is_staged", FLAG),
        "rollback": column("is_rollback", FLAG),
        "pinned": column("is_pinned", FLAG),
        "layered": Field(
            TEXTS, ("document",), lambda row: document(row["document"]).get("layered") or [], documents=("document",)
        ),
        "document": json_column("document", ANY_OBJECT),
    },
)

CONTAINER_FIELDS = {
    "id": column("id", INTEGER),
    "runtime": column("runtime", TEXT),
    "name": column("name", TEXT),
    "image": Field(
        TEXT,
        ("repository", "tag"),
        lambda row: f"{row['repository']}:{row['tag']}" if row["tag"] else row["repository"],
    ),
    "repository": column("repository", TEXT),
    "tag": known("tag", TEXT),
    "digest": known("digest", TEXT),
    "state": column("state", TEXT),
    "health": known("health", TEXT),
    "unit": known("unit", TEXT),
    "managed_by": column("managed_by", one_of(ContainerOnNode.MANAGERS)),
    "started_at": column("started_at", nullable(TIME)),
    "ports": json_column("ports", TEXTS),
}
NODE_CONTAINER = Shape("NodeContainer", CONTAINER_FIELDS)
CONTAINER = Shape(
    "Container",
    {"node": column("node_name", TEXT), "pool": column("pool_name", nullable(TEXT)), **CONTAINER_FIELDS},
)
IMAGE = object_of(
    {
        "repository": TEXT,
        "tag": nullable(TEXT),
        "digest": nullable(TEXT),
        "nodes": INTEGER,
        "containers": INTEGER,
        "running": INTEGER,
    }
)
IMAGES = Document("ContainerImages", object_of({"results": list_of(IMAGE), "next": nullable(TEXT)}))

TIMELINE = Shape(
    "TimelineEvent",
    {
        "id": column("id", UUID),
        "at": column("at", TIME),
        "kind": column("kind", TEXT),
        "sentence": Field(
            TEXT,
            ("kind", "params"),
            lambda row: wording.timeline_sentence(row["kind"], document(row["params"])),
            documents=("params",),
        ),
        "params": json_column("params", ANY_OBJECT),
        "actor": known("actor", TEXT),
        "generation": column("generation", INTEGER),
    },
)

FLEET_TIMELINE = Shape("FleetTimelineEvent", {"node": column("node_name", TEXT), **TIMELINE.fields})

HOST_KEY = Shape(
    "HostKey",
    {
        "id": column("id", UUID),
        "node": column("node__name", TEXT),
        "type": column("type", TEXT),
        "public_key": column("public_key", TEXT),
        "fingerprint": column("fingerprint", TEXT),
        "state": column("state", one_of(HostKey.STATES)),
        "seen_at": column("seen_at", TIME),
        "decided_at": column("decided_at", nullable(TIME)),
        "decided_by": known("decided_by", TEXT),
        "reason": known("reason", TEXT),
    },
)

ACCEPTED = Document(
    "HostKeysAccepted",
    object_of(
        {
            "accepted": TEXTS,
            "left": list_of(
                object_of(
                    {
                        "id": UUID,
                        "node": nullable(TEXT),
                        "why": one_of(["not_found", "not_allowed", "not_offered", "other_fingerprint", "changed_key"]),
                    }
                )
            ),
        }
    ),
)

HOST_CERTIFICATE = Shape(
    "HostCertificate",
    {
        "authority_fingerprint": column("authority_fingerprint", TEXT),
        "key_type": column("key_type", TEXT),
        "key_fingerprint": column("key_fingerprint", TEXT),
        "key_id": column("key_id", TEXT),
        "serial": column("serial", TEXT),
        "principals": column("principals", TEXTS),
        "valid_after": column("valid_after", nullable(TIME)),
        "valid_before": column("valid_before", nullable(TIME)),
        "seen_at": column("seen_at", TIME),
    },
)

POOL = Shape(
    "Pool",
    {
        "id": column("id", UUID),
        "name": column("name", TEXT),
        "description": column("description", TEXT),
        "cluster": column("cluster__name", nullable(TEXT)),
        "role": column("role", TEXT),
        "credential": column("credential__name", nullable(TEXT)),
        "poll_interval_s": column("poll_interval_s", nullable(INTEGER)),
        "retire_absent_after_s": column("retire_absent_after_s", nullable(INTEGER)),
        "jump_host": column("jump_host__name", nullable(TEXT)),
        "host_ca_keys": column("host_ca_keys", TEXT),
        "next_credential": column("next_credential__name", nullable(TEXT)),
        "nodes": column("node_count", INTEGER),
        "revision": column("revision", INTEGER),
        "created_at": column("created_at", TIME),
    },
)

_COUNT_BY_VALUE = {"type": "object", "additionalProperties": INTEGER}
#: Counted for all rows of a page at once, so a row first holds its id where the counts go.
CLUSTER_COUNTS = {
    "nodes": INTEGER,
    "needing_attention": INTEGER,
    **dict.fromkeys(AXES, _COUNT_BY_VALUE),
    "versions": _COUNT_BY_VALUE,
    "kubelet_versions": _COUNT_BY_VALUE,
}
CLUSTER = Shape(
    "Cluster",
    {
        "id": column("id", UUID),
        "name": column("name", TEXT),
        "description": column("description", TEXT),
        "pools": column("pool_count", INTEGER),
        **{name: Field(schema, ("id",), lambda row: row["id"]) for name, schema in CLUSTER_COUNTS.items()},
        "revision": column("revision", INTEGER),
        "created_at": column("created_at", TIME),
    },
)

CREDENTIAL = Shape(
    "Credential",
    {
        "id": column("id", UUID),
        "name": column("name", TEXT),
        "username": column("username", TEXT),
        "public_key": column("public_key", TEXT),
        "fingerprint": column("fingerprint", TEXT),
        "certificate": column("certificate", TEXT),
        "revision": column("revision", INTEGER),
        "created_at": column("created_at", TIME),
        "rotated_at": column("rotated_at", nullable(TIME)),
    },
)


def _fingerprint(row: Row) -> str | None:
    return SshHostKey.parse(row["host_key"]).fingerprint if row["host_key"] else None


JUMP_HOST = Shape(
    "JumpHost",
    {
        "id": column("id", UUID),
        "name": column("name", TEXT),
        "address": column("address", TEXT),
        "port": column("port", INTEGER),
        "credential": column("credential__name", TEXT),
        "through": column("through__name", nullable(TEXT)),
        "host_key": known("host_key", TEXT),
        "fingerprint": Field(nullable(TEXT), ("host_key",), _fingerprint),
        "nodes": column("node_count", INTEGER),
        "pools": column("pool_count", INTEGER),
        "revision": column("revision", INTEGER),
        "created_at": column("created_at", TIME),
    },
)
SHOWN_HOST_KEY = Document(
    "ShownHostKey",
    object_of({"jump_host": TEXT, "type": TEXT, "fingerprint": TEXT, "host_key": TEXT, "trusted": FLAG}),
)
SIGNED_IN = Document("SignedIn", object_of({"jump_host": TEXT, "username": TEXT}))

RELEASE = Shape(
    "Release",
    {
        "id": column("id", UUID),
        "os": column("stream__os_family", TEXT),
        "stream": column("stream__name", TEXT),
        "version": column("version", TEXT),
        "released_at": column("released_at", nullable(TIME)),
        "checksums": column("checksums", ANY_OBJECT),
        "is_barrier": column("is_barrier", FLAG),
        "barrier": known("barrier", TEXT),
        "is_deadend": column("is_deadend", FLAG),
        "deadend": known("deadend", TEXT),
    },
)

IMPORTED = Document(
    "ReleaseImport", object_of({"streams": TEXTS, "added": INTEGER, "changed": INTEGER, "unchanged": INTEGER})
)
POLL_ACCEPTED = Document("PollAccepted", object_of({"nodes": INTEGER, "url": TEXT}))
FACTS = Document(
    "Facts",
    {
        "type": "object",
        "description": "The sections of the newest facts, with when they were read and the newest measurement.",
        "properties": {
            "node": TEXT,
            "generation": INTEGER,
            "read_at": TIME,
            "hash": TEXT,
            "measured_at": nullable(TIME),
            "measurement": nullable(ANY_OBJECT),
            "os": ANY_OBJECT,
            "deployments": list_of(ANY_OBJECT),
            "unread": list_of(ANY_OBJECT),
        },
        "required": ["node", "generation", "read_at", "hash", "measured_at", "measurement"],
        "additionalProperties": True,
    },
)
_COUNTS = {"type": "object", "additionalProperties": INTEGER}
STATS = Document(
    "Stats",
    object_of(
        {
            "nodes": INTEGER,
            "needing_attention": INTEGER,
            **dict.fromkeys(AXES, _COUNTS),
            "lifecycle": _COUNTS,
            "pools": list_of(object_of({"name": nullable(TEXT), "nodes": INTEGER, "needing_attention": INTEGER})),
            "versions": list_of(object_of({"os": TEXT, "stream": TEXT, "version": TEXT, "nodes": INTEGER})),
            "unread": object_of({"nodes": INTEGER, "sections": INTEGER}),
            "polls": object_of(
                {"due": INTEGER, "running": INTEGER, "lag_s": nullable(NUMBER), "oldest_due_at": nullable(TIME)}
            ),
        }
    ),
)
HISTORY = Document(
    "History",
    object_of(
        {
            "kind": one_of(HISTORY_KINDS),
            "range": one_of(RANGES),
            "since": TIME,
            "until": TIME,
            "step_s": INTEGER,
            "at": list_of(TIME),
            "series": list_of(object_of({"value": nullable(TEXT), "nodes": list_of(nullable(INTEGER))})),
            "gaps": list_of(object_of({"since": TIME, "until": TIME})),
        }
    ),
)
