"""A client of the API as scripts are: a token, JSON in, JSON out."""

from __future__ import annotations

from typing import Any

import orjson
from django.test import Client

from fleetui.access.models import User
from nodes.tests.make import make_token


class Api:
    """`get`, `post` and the others take a path below /api/v1/ and return Django's response; `.json()` reads it."""

    def __init__(self, user: User | None = None, *, token: str | None = None, scope: str = "admin") -> None:
        self.client = Client()
        text = token if token is not None else make_token(user, scope) if user else None
        self.headers = {"authorization": f"Bearer {text}"} if text is not None else {}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        url = path if path.startswith("/") or path.startswith("http") else f"/api/v1/{path}"
        given: dict[str, Any] = {
            "headers": {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        }
        if body is not None:
            given.update(data=body, content_type="application/json")
        return self.client.generic(method, url, **_encoded(given))

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, {} if body is None else body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> Any:
        return self.call("PUT", path, body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self.call("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.call("DELETE", path, **headers)

    def names(self, path: str) -> list[str]:
        """The names in a list."""
        response = self.get(path)
        assert response.status_code == 200, response.content
        return [row["name"] for row in response.json()["results"]]


def _encoded(given: dict[str, Any]) -> dict[str, Any]:
    if "data" in given and not isinstance(given["data"], bytes):
        given["data"] = orjson.dumps(given["data"])
    return given
