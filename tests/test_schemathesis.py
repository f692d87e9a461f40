"""The API is fuzzed from its own OpenAPI document: whatever is sent, the answer is one that the document names.

The examples of one operation share a transaction that is rolled back. No host is ever contacted, for no worker runs.
It is run on PostgreSQL, which refuses values that SQLite keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from nodes.tests.make import make_event, make_facts, make_host_key, make_node, make_pool, make_token, make_user

pytestmark = pytest.mark.postgresql
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]
COMMITTED = Path(__file__).resolve().parent.parent / "docs" / "openapi.yaml"
#: Names and ids that exist, so that half of the examples reach further than 404.
KNOWN = {"name": "web-1", "username": "owner"}
schema = schemathesis.openapi.from_path(COMMITTED)
schema.app = get_wsgi_application()
FUZZ = settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def one_connection(db: None) -> Iterator[None]:
    """Requests leave the test's connection open, as with Django's own client: its transaction is the test's."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def bearer(one_connection: None) -> str:
    """A small fleet, and an admin's token."""
    node = make_node("web-1", pool=make_pool("web"))
    make_facts(node)
    make_event(node)
    make_host_key(node)
    return make_token(make_user("owner", "admin"))


#: Named one by one: the tests that schemathesis makes share one name, and processes that divide tests by name run one of them.
OPERATIONS: list[Any] = [cast("Any", found).ok() for found in schema.get_all_operations()]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.label)
def test_every_answer_is_documented(operation: Any, bearer: str) -> None:
    @FUZZ
    @given(case=operation.as_strategy())
    def answers(case: Any) -> None:
        for name, value in KNOWN.items():
            if name in case.path_parameters and len(str(case.path_parameters[name])) % 2:
                case.path_parameters[name] = value
        response = case.call(headers={"Authorization": f"Bearer {bearer}"})
        case.validate_response(response, checks=CHECKS)

    answers()
