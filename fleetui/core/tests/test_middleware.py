"""What every answer passes on its way out."""

from __future__ import annotations

from django.http import HttpResponse
from django.test import RequestFactory

from fleetui.core.middleware import RequestContextMiddleware


def test_head_has_the_length_and_not_the_body() -> None:
    # The client of Django's tests takes the body away itself, so the middleware is asked.
    answered = RequestContextMiddleware(lambda _: HttpResponse("three"))
    head = answered(RequestFactory().head("/"))
    assert (head.content, head.headers["Content-Length"]) == (b"", "5")
    assert answered(RequestFactory().get("/")).content == b"three"
