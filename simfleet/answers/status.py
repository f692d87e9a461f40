"""`rpm-ostree status`, as JSON and as text."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from simfleet import seeds
from simfleet.answers.base import Answer, Call
from simfleet.model import Deployment, Fault, Host
from simfleet.releases import Catalog, Release, package_diff
from simfleet.transitions import agent_text, iso_text

BUS_PATH = "/org/projectatomic/rpmostree1/fedora_coreos"
SIGNER = seeds.hexdigest(1, "signing key")[:40].upper()
STUCK_TITLE = "upgrade"
DRIVER = {"driver-name": "Zincati", "driver-sd-unit": "zincati.service"}


def active_transaction(host: Host) -> tuple[str, str] | None:
    """Title and method of the running transaction."""
    if host.has(Fault.STUCK_TRANSACTION) and not host.stuck_cleared:
        return STUCK_TITLE, "upgrade"
    return (host.transaction.title, host.transaction.method) if host.transaction else None


def _commit_meta(release: Release, row: Deployment) -> dict[str, Any]:
    revision = seeds.hexdigest(1, "config", release.version)[:40]
    if not row.origin.image:
        return {
            "version": release.version,
            "fedora-coreos.stream": release.stream,
            "coreos-assembler.basearch": "x86_64",
            "coreos-assembler.config-gitrev": revision,
            "coreos-assembler.config-dirty": "false",
            "rpmostree.inputhash": seeds.hexdigest(1, "input", release.version),
            "rpmostree.rpmmd-repos": [{"id": "fedora-coreos-pool", "timestamp": release.timestamp - 900}],
            "ostree.bootable": True,
        }
    labels = {
        "com.coreos.osname": "fedora-coreos",
        "com.coreos.stream": release.stream,
        "containers.bootc": "1",
        "fedora-coreos.stream": release.stream,
        "org.opencontainers.image.revision": revision,
        "org.opencontainers.image.version": release.version,
        "ostree.bootable": "1",
        "ostree.commit": release.checksum,
    }
    layers = [
        {
            "digest": "sha256:" + seeds.hexdigest(1, release.version, "layer", number),
            "size": 1_600_000 + 7_000_000 * number,
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
        }
        for number in range(6)
    ]
    annotations = {
        "com.coreos.stream": release.stream,
        "fedora-coreos.stream": release.stream,
        "ostree.commit": release.checksum,
    }
    manifest = {"schemaVersion": 2, "annotations": annotations, "layers": layers}
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": iso_text(release.timestamp),
        "config": {"Labels": labels},
    }
    return {
        "ostree.importer.version": "0.15.3",
        "ostree.manifest": json.dumps(manifest, separators=(",", ":")),
        "ostree.manifest-digest": release.image_digest,
        "ostree.container.image-config": json.dumps(config, separators=(",", ":")),
    }


def _source(release: Release, row: Deployment) -> dict[str, Any]:
    if row.origin.image:
        return {"container-image-reference": row.origin.image, "container-image-reference-digest": release.image_digest}
    name = f"fedora-{release.major}-primary@fedoraproject.org"
    signature = [
        True,
        False,
        False,
        False,
        False,
        SIGNER,
        release.timestamp + 195,
        0,
        "RSA",
        "SHA256",
        "Fedora",
        name,
        SIGNER,
        0,
        0,
    ]
    return {"origin": row.origin.ref, "gpg-enabled": True, "signatures": [signature]}


def describe(row: Deployment, release: Release, *, booted: bool) -> dict[str, Any]:
    """One deployment with the keys of rpm-ostree."""
    layered = list(row.layered)
    described: dict[str, Any] = {
        "id": row.key,
        "osname": "fedora-coreos",
        "serial": row.serial,
        "checksum": row.checksum,
        "version": row.version,
        "timestamp": release.timestamp + (86_400 if layered else 0),
        "booted": booted,
        "staged": row.staged,
        "pinned": row.pinned,
        "unlocked": "none",
        "regenerate-initramfs": False,
        "requested-packages": layered,
        "packages": layered,
        "requested-local-packages": [],
        "requested-local-fileoverride-packages": [],
        "requested-base-removals": [],
        "requested-base-local-replacements": [],
        "base-removals": [],
        "base-local-replacements": [],
        "base-remote-replacements": {},
        "base-commit-meta": _commit_meta(release, row),
        **_source(release, row),
    }
    if row.staged and row.locked:
        described["finalization-locked"] = True
    if layered:
        described |= {
            "base-checksum": row.base_checksum,
            "base-version": row.version,
            "base-timestamp": release.timestamp,
        }
        described["layered-commit-meta"] = {
            "rpmostree.clientlayer": True,
            "version": row.version,
            "rpmostree.clientlayer_version": 6,
        }
    return described


@lru_cache(maxsize=512)
def _deployment_text(key: tuple[Any, ...], release: Release, *, booted: bool) -> str:
    # Thousands of hosts share few different deployments, and indented JSON is slow to make.
    fields = dict(zip(Deployment.__slots__, key, strict=True))
    text = json.dumps(describe(Deployment(**fields), release, booted=booted), indent=2, separators=(",", " : "))
    return text.replace("\n", "\n    ")


def status_json(host: Host, catalog: Catalog, *, only_booted: bool) -> str:
    """The whole document, as the daemon's client prints it."""
    texts = []
    for row in host.deployments:
        booted = row.key == host.booted_key
        if booted or not only_booted:
            key = tuple(getattr(row, name) for name in Deployment.__slots__)
            texts.append("    " + _deployment_text(key, catalog.known(row.version), booted=booted))
    active = active_transaction(host)
    transaction = json.dumps([active[1], ":1.18", BUS_PATH] if active else None)
    driver = json.dumps(DRIVER, indent=2, separators=(",", " : ")).replace("\n", "\n  ")
    rows = ",\n".join(texts)
    return (
        f'{{\n  "deployments" : [\n{rows}\n  ],\n  "transaction" : {transaction},\n'
        f'  "cached-update" : null,\n  "update-driver" : {driver}\n}}\n'
    )


def _text_rows(host: Host, row: Deployment, release: Release) -> list[tuple[str, str]]:
    rows = []
    if row.origin.image:
        rows.append(("Digest", release.image_digest))
    rows.append(("Version", f"{row.version} ({iso_text(release.timestamp)})"))
    if not row.origin.image:
        rows.append(("BaseCommit" if row.layered else "Commit", row.base_checksum or row.checksum))
        rows.append(("GPGSignature", f"Valid signature by {SIGNER}"))
    if row is host.pending:
        diff = package_diff(host.booted.version, row.version)
        if diff:
            rows.append(("Diff", ", ".join(f"{len(names)} {kind.lower()}" for kind, names in diff.items())))
    if row.layered:
        rows.append(("LayeredPackages", " ".join(row.layered)))
    if row.pinned:
        rows.append(("Pinned", "yes"))
    return rows


def status_text(host: Host, catalog: Catalog, now: float) -> str:
    """The text for people."""
    active = active_transaction(host)
    lines = [f"State: {'busy' if active else 'idle'}"]
    if active:
        lines += [f"Transaction: {active[0]}", "  Initiator: caller :1.18"]
    text = agent_text(host, now)
    state = "active" if host.agent_running else "inactive"
    lines += ["AutomaticUpdatesDriver: Zincati", f"  DriverState: {state}" + (f"; {text}" if text else "")]
    if host.finalize_error:
        lines += [
            "Warning: failed to finalize previous deployment",
            f"         {host.finalize_error}",
            "         check `journalctl -b -1 -u ostree-finalize-staged.service`",
        ]
    lines.append("Deployments:")
    for index, row in enumerate(host.deployments):
        if index:
            lines.append("")
        lines.append(("* " if row.key == host.booted_key else "  ") + row.origin.text)
        lines += [f"{name:>25}: {value}" for name, value in _text_rows(host, row, catalog.known(row.version))]
    return "\n".join(lines) + "\n"


def status(call: Call, flags: set[str]) -> Answer:
    """`rpm-ostree status` with its flags."""
    host = call.host
    code = 77 if "--pending-exit-77" in flags and host.pending else 0
    if "--json" not in flags:
        return Answer(code, status_text(host, call.world.catalog, call.now).encode())
    out = status_json(host, call.world.catalog, only_booted=bool(flags & {"-b", "--booted"})).encode()
    if host.has(Fault.GARBAGE):
        return Answer(0, out[: len(out) // 2] + b"\xff\xfe\x00\n")
    return Answer(code, out)
