"""S3 and what speaks its protocol (MinIO, Ceph, SeaweedFS and others). Multipart, so that memory stays flat.

An object of S3 appears when its upload is completed; one that is aborted, or whose writer died, is never listed or read.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.backups.base import READ_BYTES, WITHHELD, Counted, Entry, Stored, TargetError

MIB = 1024 * 1024
#: S3 takes 10,000 parts of at least 5 MiB: the first ones are small, so that little is lost, later ones larger. 560 GiB.
SMALL_PARTS, SMALL_BYTES, LARGE_BYTES = 1000, 8 * MIB, 64 * MIB
MOST_PARTS = 10_000
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 5, 60
ENCRYPTIONS = ("", "AES256", "aws:kms")
LOCKS = ("", "GOVERNANCE", "COMPLIANCE")
_CODES: Mapping[str, str] = {
    "InvalidAccessKeyId": "credentials",
    "SignatureDoesNotMatch": "credentials",
    "AuthorizationHeaderMalformed": "region",
    "InvalidToken": "credentials",
    "ExpiredToken": "credentials",
    "AccessDenied": "denied",
    "403": "denied",
    "Forbidden": "denied",
    "NoSuchBucket": "no_bucket",
    "PermanentRedirect": "region",
    "NoSuchKey": "not_there",
    "404": "not_there",
    "RequestTimeTooSkewed": "clock",
    "EntityTooLarge": "full",
    "QuotaExceeded": "full",
    "XMinioStorageFull": "full",
    "InsufficientStorage": "full",
    "507": "full",
    "InvalidRequest": "refused",
    "NotImplemented": "refused",
}


@dataclass(frozen=True)
class S3Place:
    """Where, and how it is kept there. Without an endpoint it is Amazon's of the region."""

    bucket: str
    access_key: str
    secret_key: str = field(repr=False)
    endpoint: str = ""
    region: str = "us-east-1"
    prefix: str = ""
    encryption: str = ""
    kms_key: str = ""
    lock: str = ""
    lock_days: int = 0


class S3Target:
    """Implements ops.backups.base.Target in one bucket, below one prefix."""

    def __init__(self, place: S3Place, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        # boto3 takes long to load, and much memory: only processes that use it pay for it.
        import boto3
        from botocore.client import Config

        self._place, self._now = place, now
        config = Config(
            signature_version="s3v4",
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": 4},
            s3={"addressing_style": "path" if place.endpoint else "auto"},
            # Newer checksums are refused by MinIO and Ceph (boto3#4392); what was stored is read back and compared.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        # Nothing of the machine's own profiles: the keys are those of the target.
        self._s3: Any = boto3.session.Session(
            aws_access_key_id=place.access_key, aws_secret_access_key=place.secret_key, region_name=place.region
        ).client("s3", endpoint_url=place.endpoint or None, config=config, verify=_trusted())

    def put(self, key: str, chunks: Iterable[bytes], held: Callable[[], None]) -> Stored:
        name = self._name(key)
        counted, parts = Counted(), []
        with _told():
            upload = self._s3.create_multipart_upload(Bucket=self._place.bucket, Key=name, **self._kept())["UploadId"]
        try:
            for number, part in enumerate(_parts(chunks, held), start=1):
                counted.add(part)
                with _told():
                    done = self._s3.upload_part(
                        Bucket=self._place.bucket, Key=name, UploadId=upload, PartNumber=number, Body=part
                    )
                parts.append({"ETag": done["ETag"], "PartNumber": number})
                held()
            with _told():
                self._s3.complete_multipart_upload(
                    Bucket=self._place.bucket, Key=name, UploadId=upload, MultipartUpload={"Parts": parts}
                )
        except BaseException:
            # What went wrong is what counts; an upload that stays behind is aborted when it is forgotten.
            with suppress(TargetError):
                self._abort(name, upload)
            raise
        return counted.stored()

    def read(self, key: str) -> Iterator[bytes]:
        with _told():
            body = self._s3.get_object(Bucket=self._place.bucket, Key=self._name(key))["Body"]
            try:
                while chunk := body.read(READ_BYTES):
                    yield chunk
            finally:
                body.close()

    def entries(self, prefix: str) -> Iterator[Entry]:
        pages = self._s3.get_paginator("list_objects_v2")
        with _told():
            for page in pages.paginate(Bucket=self._place.bucket, Prefix=self._name(prefix)):
                for one in page.get("Contents", ()):
                    key = str(one["Key"]).removeprefix(self._name(""))
                    yield Entry(key, int(one["Size"]), one["LastModified"])

    def delete(self, key: str) -> None:
        """Every version of it: in a bucket that keeps versions, as one with locks does, deleting the name alone frees nothing."""
        name, bucket = self._name(key), self._place.bucket
        try:
            with _told():
                found = [one["VersionId"] for one in self._versions(name)]
        except TargetError as error:
            # Keys without that right, or a server without versions. With a lock there are versions.
            if self._place.lock or error.code not in WITHHELD:
                raise
            found = []
        with _told():
            for version in found:
                self._s3.delete_object(Bucket=bucket, Key=name, VersionId=version)
            if not found:
                self._s3.delete_object(Bucket=bucket, Key=name)

    def _versions(self, name: str) -> Iterator[dict[str, Any]]:
        """The backups under this name first: where a lock holds them, the marks that hide them stay too."""
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self._place.bucket, Prefix=name)
        marks = []
        for page in pages:
            yield from (one for one in page.get("Versions", ()) if one["Key"] == name)
            marks += [one for one in page.get("DeleteMarkers", ()) if one["Key"] == name]
        yield from marks

    def forget(self, key: str) -> None:
        name = self._name(key)
        with _told():
            found = self._s3.list_multipart_uploads(Bucket=self._place.bucket, Prefix=name)
        for one in found.get("Uploads", ()):
            if one["Key"] == name:
                self._abort(name, one["UploadId"])
        try:
            self.delete(key)
        except TargetError as error:
            if error.code not in WITHHELD:
                raise
            # Locked already: it is hidden, so that nobody takes it for a backup. Without the right to that, this raises too.
            with _told():
                self._s3.delete_object(Bucket=self._place.bucket, Key=name)

    def location(self, key: str) -> str:
        return f"s3://{self._place.bucket}/{self._name(key)}"

    def _abort(self, name: str, upload: str) -> None:
        try:
            with _told():
                self._s3.abort_multipart_upload(Bucket=self._place.bucket, Key=name, UploadId=upload)
        except TargetError as error:
            if error.code != "not_there":
                raise

    def _name(self, key: str) -> str:
        prefix = self._place.prefix.strip("/")
        return f"{prefix}/{key}" if prefix else key

    def _kept(self) -> dict[str, Any]:
        """Encryption and lock: said when the upload begins, hold for the object."""
        place = self._place
        found: dict[str, Any] = {"ContentType": "application/octet-stream"}
        if place.encryption:
            found["ServerSideEncryption"] = place.encryption
            if place.kms_key:
                found["SSEKMSKeyId"] = place.kms_key
        if place.lock:
            found["ObjectLockMode"] = place.lock
            found["ObjectLockRetainUntilDate"] = self._now() + timedelta(days=place.lock_days)
        return found


def _trusted() -> str | None:
    """The authorities that this machine trusts, as in all else; boto has a list of its own. None: that list."""
    return os.environ.get("AWS_CA_BUNDLE") or ssl.get_default_verify_paths().cafile


def _parts(chunks: Iterable[bytes], held: Callable[[], None]) -> Iterator[bytes]:
    """Pieces of the size that S3 takes; at least one, so that nothing is an object too."""
    held_back, number = bytearray(), 1
    for chunk in chunks:
        held_back += chunk
        held()
        while len(held_back) >= (wanted := SMALL_BYTES if number <= SMALL_PARTS else LARGE_BYTES):
            if number >= MOST_PARTS:
                raise TargetError("too_large")
            yield bytes(held_back[:wanted])
            del held_back[:wanted]
            number += 1
    if held_back or number == 1:
        yield bytes(held_back)


@contextmanager
def _told() -> Iterator[None]:
    """What boto says, as what went wrong."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectTimeoutError,
        EndpointConnectionError,
        HTTPClientError,
        SSLError,
    )

    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        code, status = str(told.get("Code", "")), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "NoSuchUpload":
            raise TargetError("not_there", code) from error
        known = _CODES.get(code)
        said = f"{code}: {told.get('Message', '')}".strip(": ")
        raise TargetError(known or "failed", said, passes=known is None and int(status or 0) >= 500) from error
    except SSLError as error:
        raise TargetError("tls", str(error)) from error
    except (EndpointConnectionError, ConnectTimeoutError) as error:
        raise TargetError("no_contact", str(error), passes=True) from error
    except (HTTPClientError, BotoCoreError) as error:
        # What breaks in the middle: a connection that is closed, or silent for too long.
        raise TargetError("broken", str(error), passes=True) from error
    except OSError as error:
        raise TargetError("broken", str(error), passes=True) from error
