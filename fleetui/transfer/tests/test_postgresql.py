"""What DATABASE_URL asks for holds for FleetUI itself and for the programs of PostgreSQL that it starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fleet import ROOT
from tests.installation import environment

ASKED = """
import json
import django; django.setup()
from django.db import connection
from fleetui.transfer.postgresql import _command
argv, told = _command("pg_dump", ["--format=custom"])
print(json.dumps([connection.get_connection_params().get("sslmode"), argv, told]))
"""


@pytest.mark.one_database
def test_tls_that_the_address_asks_for_is_used_and_the_password_is_no_argument(tmp_path: Path) -> None:
    url = "postgres://fleet:a%20secret@db.example.org:5433/fleetui?sslmode=verify-full"
    told = environment(tmp_path, DATABASE_URL=url, DJANGO_SETTINGS_MODULE="fleetui.settings")
    argv = [sys.executable, "-c", ASKED]
    done = subprocess.run(argv, cwd=ROOT, env=told, capture_output=True, text=True, timeout=60, check=True)
    sslmode, command, passed = json.loads(done.stdout)
    assert sslmode == "verify-full"
    assert command == ["pg_dump", "-U", "fleet", "-h", "db.example.org", "-p", "5433", "--format=custom", "fleetui"]
    assert (passed["PGPASSWORD"], passed["PGSSLMODE"]) == ("a secret", "verify-full")
