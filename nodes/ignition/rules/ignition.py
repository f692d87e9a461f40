"""The `ignition` section: version and proxy."""

from nodes.ignition.paths import Path
from nodes.ignition.record import Record
from nodes.ignition.report import Report
from nodes.ignition.rules.spec import Spec
from nodes.ignition.semver import normalized
from nodes.ignition.urls import UrlFailure, parse

INVALID_VERSION = "invalid config version (couldn't parse)"
UNKNOWN_VERSION = "unsupported config version"


def _ignition(record: Record, path: Path, report: Report, spec: Spec) -> None:
    version = normalized(record.string("version"))
    if version is None:
        report.error((*path, "version"), INVALID_VERSION)
    elif version != spec.version:
        report.error((*path, "version"), UNKNOWN_VERSION)


def _proxy(record: Record, path: Path, report: Report, spec: Spec) -> None:
    for key, may_be_plain in (("httpProxy", True), ("httpsProxy", False)):
        text = record.text(key)
        if text is None:
            continue
        try:
            scheme = parse(text).scheme
        except UrlFailure:
            report.error((*path, key), "unable to parse url")
            continue
        if scheme not in ("http", "https"):
            report.error((*path, key), "proxies must be http(s)")
        elif scheme == "http" and not may_be_plain:
            report.warning((*path, key), "insecure plaintext HTTP proxy specified for HTTPS resources")


RULES = {"Ignition": _ignition, "Proxy": _proxy}
