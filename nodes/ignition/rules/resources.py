"""Things that are fetched: URL, hash, compression, headers."""

from nodes.ignition import dataurl
from nodes.ignition.gotext import byte_length
from nodes.ignition.paths import Path
from nodes.ignition.record import Record
from nodes.ignition.report import Report
from nodes.ignition.rules.spec import Spec
from nodes.ignition.urls import Url, UrlFailure, parse

_SOURCE_REQUIRED = "source is required"
_BAD_URL = "unable to parse url"
_BAD_ARN = "invalid S3 ARN format"
_BAD_OBJECT_VERSION = "invalid S3 object VersionId"
_HEX_DIGITS = {"sha512": 128, "sha256": 64}
_ARN_SECTIONS = 6


def url_problem(text: str, spec: Spec) -> str | None:
    """What is wrong with a source; None when nothing is."""
    try:
        url = parse(text)
    except UrlFailure:
        return _BAD_URL
    if url.scheme in ("http", "https", "tftp") or (url.scheme == "gs" and spec.minor >= 2):
        return None
    if url.scheme == "s3":
        return _object_version_problem(url)
    if url.scheme == "arn" and spec.minor >= 4:
        return _arn_problem(url)
    if url.scheme == "data":
        try:
            dataurl.decode(text)
        except dataurl.DataUrlFailure as error:
            return str(error)
        return None
    return "invalid url scheme"


def optional_url_problem(text: str | None, spec: Spec) -> str | None:
    return url_problem(text, spec) if text else None


def _object_version_problem(url: Url) -> str | None:
    return _BAD_OBJECT_VERSION if url.query_value("versionId") == "" else None


def _arn_problem(url: Url) -> str | None:
    full = f"arn:{url.opaque}"
    sections = full.split(":", _ARN_SECTIONS - 1)
    if len(sections) < _ARN_SECTIONS or sections[2] != "s3":
        return _BAD_ARN
    parts = full.count("/") + 1
    if (sections[5].startswith("accesspoint/") and parts < 3) or parts < 2:
        return _BAD_ARN
    return _object_version_problem(url)


def _resource(record: Record, path: Path, report: Report, spec: Spec) -> None:
    source = record.text("source")
    if record.text("compression") not in (None, "", "gzip"):
        report.error((*path, "compression"), "invalid compression method")
    if record.record("verification").text("hash") is not None and source is None:
        report.error((*path, "verification", "hash"), "source must be specified if verification is specified")
    report.error((*path, "source"), optional_url_problem(source, spec))
    if record.items("httpHeaders"):
        report.error((*path, "httpHeaders"), _headers_problem(source))


def _headers_problem(source: str | None) -> str | None:
    if not source:
        return _BAD_URL
    try:
        scheme = parse(source).scheme
    except UrlFailure:
        return _BAD_URL
    return None if scheme in ("http", "https") else "cannot use HTTP headers with this source scheme"


def required_source_problem(resource: Record, spec: Spec) -> str | None:
    source = resource.text("source")
    return url_problem(source, spec) if source else _SOURCE_REQUIRED


def _ignition_config(record: Record, path: Path, report: Report, spec: Spec) -> None:
    if spec.minor >= 1:
        for index, resource in enumerate(record.records("merge")):
            report.error((*path, "merge", index), required_source_problem(resource, spec))


def _tls(record: Record, path: Path, report: Report, spec: Spec) -> None:
    if spec.minor >= 1:
        for index, resource in enumerate(record.records("certificateAuthorities")):
            report.error((*path, "certificateAuthorities", index), required_source_problem(resource, spec))


def _config_reference(record: Record, path: Path, report: Report, spec: Spec) -> None:
    report.error((*path, "source"), optional_url_problem(record.text("source"), spec))


def _ca_reference(record: Record, path: Path, report: Report, spec: Spec) -> None:
    report.error((*path, "source"), url_problem(record.string("source"), spec))


def _header(record: Record, path: Path, report: Report, spec: Spec) -> None:
    if not record.string("name"):
        report.error((*path, "name"), "HTTP header name can't be empty")
    if record.text("value") == "":
        report.error((*path, "value"), "unable to parse HTTP header")


def _verification(record: Record, path: Path, report: Report, spec: Spec) -> None:
    text = record.text("hash")
    if text is None:
        return
    function, dash, digits = text.partition("-")
    if not dash:
        report.error((*path, "hash"), "malformed hash specifier")
    elif function not in _HEX_DIGITS or (function == "sha256" and spec.minor < 1):
        report.error((*path, "hash"), "unrecognized hash function")
    elif byte_length(digits) != _HEX_DIGITS[function]:
        report.error((*path, "hash"), "incorrect size for hash sum")


RULES = {
    "Resource": _resource,
    "FileContents": _resource,
    "IgnitionConfig": _ignition_config,
    "TLS": _tls,
    "ConfigReference": _config_reference,
    "CaReference": _ca_reference,
    "HTTPHeader": _header,
    "Verification": _verification,
}
