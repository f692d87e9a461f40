"""Encrypted volumes and how they are opened."""

from nodes.ignition.document.reader import DocumentFailure, has_overflow, read
from nodes.ignition.gotext import byte_length
from nodes.ignition.limits import DEFAULT, Refused
from nodes.ignition.paths import Path
from nodes.ignition.record import Record
from nodes.ignition.report import Report
from nodes.ignition.rules.files import path_problem
from nodes.ignition.rules.resources import optional_url_problem
from nodes.ignition.rules.spec import Spec
from nodes.ignition.urls import UrlFailure, parse

_LABEL_BYTES = 47
_PINS = ("tpm2", "tang", "sss")


def _luks(record: Record, path: Path, report: Report, spec: Spec) -> None:
    if "/" in record.string("name"):
        report.error((*path, "name"), "device names cannot contain slashes")
    if byte_length(record.string("label")) > _LABEL_BYTES:
        report.error((*path, "label"), "luks device labels cannot be longer than 47 characters")
    device = record.text("device")
    report.error((*path, "device"), path_problem(device) if device else "disk device is required")
    clevis = record.record("clevis")
    if _has_custom(clevis, spec) and _has_own_pins(clevis):
        report.error((*path, "clevis"), "cannot use custom clevis config with tpm2, tang, or threshold")
    source = record.record("keyFile").text("source")
    if optional_url_problem(source, spec):
        report.error((*path, "keys"), "invalid key-file source")
    if record.record("cex").flag("enabled"):
        if clevis.record("custom").text("pin") or _has_own_pins(clevis):
            report.error((*path, "cex"), "cannot use cex with clevis")
        if source:
            report.error((*path, "cex"), "cannot use key file with cex")


def _has_custom(clevis: Record, spec: Spec) -> bool:
    if spec.minor < 3:
        return clevis.values.get("custom") is not None
    return bool(clevis.record("custom").text("pin"))


def _has_own_pins(clevis: Record) -> bool:
    return bool(clevis.items("tang") or clevis.flag("tpm2") or clevis.number("threshold"))


def _custom(record: Record, path: Path, report: Report, spec: Spec) -> None:
    """The pin of spec 3.2."""
    pin, config = record.string("pin"), record.string("config")
    if not pin and not config:
        return
    if pin not in _PINS:
        report.error((*path, "pin"), "unsupported clevis pin")
    if not config:
        report.error((*path, "config"), "missing required custom clevis config")


def _clevis_custom(record: Record, path: Path, report: Report, spec: Spec) -> None:
    pin, config = record.text("pin"), record.text("config")
    if not pin and not config and not record.flag("needsNetwork"):
        return
    if not pin:
        report.error((*path, "pin"), "missing required custom clevis pin")
    elif spec.minor < 6 and pin not in _PINS:
        report.error((*path, "pin"), "unsupported clevis pin")
    if not config:
        report.error((*path, "config"), "missing required custom clevis config")


def _tang(record: Record, path: Path, report: Report, spec: Spec) -> None:
    try:
        if parse(record.string("url")).scheme not in ("http", "https"):
            report.error((*path, "url"), "invalid url scheme")
    except UrlFailure:
        report.error((*path, "url"), "unable to parse url")
    if not record.text("thumbprint"):
        report.error((*path, "thumbprint"), "thumbprint is required")
    advertisement = record.text("advertisement")
    if advertisement and not _is_json(advertisement):
        report.error((*path, "advertisement"), "advertisement is not valid JSON")


def _is_json(text: str) -> bool:
    try:
        return not has_overflow(read(text.encode("utf-8", "surrogateescape"), DEFAULT))
    except (DocumentFailure, Refused):
        return False


RULES = {"Luks": _luks, "Custom": _custom, "ClevisCustom": _clevis_custom, "Tang": _tang}
