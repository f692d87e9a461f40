"""Settings of the test run: fixed keys, a throw-away data folder per worker, and no triggers where tables are flushed."""

import os
import tempfile
from pathlib import Path

_worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
_folder = Path(tempfile.gettempdir()) / f"fleetui-tests-{os.getuid()}" / f"{_worker}-{os.getppid()}"
_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
(_folder / "static").mkdir(exist_ok=True)
os.environ["FLEETUI_DATA_DIR"] = str(_folder)
os.environ.update(
    FLEETUI_SECRET_KEY="11" * 32,
    FLEETUI_ENCRYPTION_KEYS="22" * 32,
    FLEETUI_TOKEN_PEPPERS="33" * 32,
    FLEETUI_AUDIT_KEY="44" * 32,
)

from fleetui.settings import *  # noqa: E402, F403
from fleetui.settings import CACHES, DATABASES, IS_SQLITE, STORAGES  # noqa: E402

if IS_SQLITE:
    # A file, not memory: live servers and workers use threads.
    DATABASES["default"]["TEST"] = {"NAME": str(_folder / "test.sqlite3")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
ALLOWED_HOSTS = ["*"]
CACHES["default"]["KEY_PREFIX"] = _worker
if str(CACHES["default"].get("LOCATION", "")).startswith("redis://"):
    # A database of its own for each process: a test that clears the cache clears nobody else's.
    _number = int("".join(filter(str.isdigit, _worker)) or 0) % 12 + 2
    CACHES["default"]["LOCATION"] = CACHES["default"]["LOCATION"].rsplit("/", 1)[0] + f"/{_number}"
AUDIT_TRIGGERS = False
