"""JSON in and out through orjson."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.conf import settings
from django.http import HttpRequest
from django.utils.encoding import force_str
from django.utils.functional import Promise
from rest_framework.exceptions import APIException, ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer


def _plain(value: object) -> Any:
    if isinstance(value, Promise):
        return force_str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


class OrjsonRenderer(BaseRenderer):
    """Bytes of JSON; times in UTC end in Z."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        if data is None:
            return b""
        return orjson.dumps(data, default=_plain, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


class BodyTooLarge(APIException):
    """Django bounds the bodies of forms only; what DRF reads as a stream is bounded here."""

    status_code = 413
    default_code = "too_large"


class OrjsonParser(BaseParser):
    """Strict JSON: no NaN, no lone surrogates, and deep nesting is an error of the sender, not of ours."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
        body = stream.read(most + 1)
        if len(body) > most:
            raise BodyTooLarge(f"The body is larger than {most // 1024 // 1024} MiB.")
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is not JSON: {error}.") from error


class JsonOnly(BaseContentNegotiation):
    """There is one form of answer, so the Accept header is not asked: a browser sees JSON too."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        content_type = request.content_type.split(";")[0].strip().lower()
        if content_type == "application/merge-patch+json" and request.method == "PATCH":
            return parsers[0]
        return next((parser for parser in parsers if parser.media_type == content_type), None)

    def select_renderer(self, request: HttpRequest, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type
