"""All settings come from the environment; without any, FleetUI runs embedded: SQLite, a folder as broker, all state in ./var.

Every wrong variable is reported at once. Secrets may also come as `<NAME>_FILE` (see fleetui.core.keys).
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import zoneinfo
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from environs import Env, ValidationError
from whitenoise.compress import Compressor

from fleetui.core.keys import KEYS, read_keys

BASE_DIR = Path(__file__).resolve().parent.parent


def _networks(values: list[str]) -> list[str]:
    """Addresses and networks as they are written; a wrong one is reported with the other wrong variables."""
    for value in _trimmed(values):
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError as error:
            raise ValidationError(f"{value!r} is neither an address nor a network.") from error
    return values


def _trimmed(values: list[str] | None) -> list[str]:
    """A list as people write it, with spaces behind the commas; none where it was wrong."""
    return [value.strip() for value in values or [] if value.strip()]


def _zone(value: str) -> str:
    """A name of a time zone; a wrong one is reported with the other wrong variables."""
    try:
        zoneinfo.ZoneInfo(value or "UTC")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValidationError("There is no such time zone. Write it like Asia/Bangkok or UTC.") from error
    return value


def _pattern(value: str) -> str:
    """A regular expression; a wrong one is reported with the other wrong variables."""
    try:
        re.compile(value)
    except re.error as error:
        raise ValidationError(f"{value!r} is not a regular expression: {error}.") from error
    return value


def _connections(value: int) -> None:
    if not 0 <= value <= MOST_KEPT_OPEN:
        raise ValidationError(f"A worker process keeps 0 to {MOST_KEPT_OPEN} connections open.")


def _not_negative(value: int) -> None:
    if value < 0:
        raise ValidationError("Give a number of seconds, or 0 for never.")


def _positive(value: int) -> None:
    if value < 1:
        raise ValidationError("Give a whole number from 1.")


def _lease(value: int) -> None:
    """A worker renews its lease between two words with a host: a shorter one would end while it waits for an answer."""
    if value < LEAST_LEASE_S:
        raise ValidationError(f"Give a whole number of seconds from {LEAST_LEASE_S}.")


def _log_level(value: str) -> str:
    """How much is logged; a wrong one is reported with the other wrong variables."""
    if value.upper() not in LOG_LEVELS:
        raise ValidationError(f"Use one of {', '.join(LOG_LEVELS)}.")
    return value


def _workers(value: int) -> None:
    if not 1 <= value <= MOST_WORKERS:
        raise ValidationError(f"`up` starts 1 to {MOST_WORKERS} workers for polls; for more, use PostgreSQL and Redis.")


LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LEAST_LEASE_S = 8
#: SQLite takes one writer at a time.
MOST_WORKERS = 8
#: More idle connections would cost a process more than fresh ones.
MOST_KEPT_OPEN = 800


def _secret_file(name: str) -> str:
    """What the file that `<NAME>_FILE` names holds; nothing when there is none."""
    path = os.environ.get(f"{name}_FILE", "")
    return Path(path).read_text(encoding="utf-8").strip() if path and Path(path).is_file() else ""


def _webhook(value: str) -> str:
    """Where audit events are sent to. Without a secret the receiver could not tell ours from anybody's."""
    if not value:
        return value
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValidationError(f"{value!r} is not an address that starts with https:// or http://.")
    if not (os.environ.get("FLEETUI_AUDIT_WEBHOOK_SECRET") or _secret_file("FLEETUI_AUDIT_WEBHOOK_SECRET")):
        raise ValidationError(
            "It needs FLEETUI_AUDIT_WEBHOOK_SECRET, or the file that FLEETUI_AUDIT_WEBHOOK_SECRET_FILE names."
        )
    return value


def _syslog(value: str) -> str:
    """udp://, tcp:// or tls:// with host and port, or unix:// with a path."""
    if not value:
        return value
    parts = urlsplit(value)
    try:
        is_good = bool(parts.path) if parts.scheme == "unix" else bool(parts.hostname and parts.port)
    except ValueError:
        is_good = False
    if parts.scheme not in ("udp", "tcp", "tls", "unix") or not is_good:
        raise ValidationError(f"{value!r} is not like tls://log.example.org:6514, tcp://…, udp://… or unix:///dev/log.")
    return value


def _folder(value: str) -> str:
    if value and not Path(value).is_absolute():
        raise ValidationError(f"{value!r} is not an absolute path.")
    return value


def _database(value: str) -> str:
    if urlsplit(value).scheme not in ("postgres", "postgresql", "sqlite"):
        raise ValidationError("FleetUI keeps its data in PostgreSQL (postgres://...) or SQLite (sqlite:///...).")
    return value


def _broker(value: str) -> str:
    if urlsplit(value).scheme not in ("filesystem", "redis", "rediss", "amqp", "amqps"):
        raise ValidationError(
            "FleetUI sends its messages through Redis (redis://... or rediss://...), RabbitMQ (amqp://... or amqps://...)"
            " or a folder (filesystem://)."
        )
    return value


def _mebibytes(value: int) -> int:
    if not 1 <= value <= 4096:
        raise ValidationError(f"{value} is not between 1 and 4096.")
    return value


env = Env(eager=False)
DATA_DIR = Path(env.str("FLEETUI_DATA_DIR", "") or BASE_DIR / "var").absolute()
DEBUG = bool(env.bool("FLEETUI_DEBUG", False))
EMBEDDED_DATABASE_URL = f"sqlite:///{DATA_DIR / 'db.sqlite3'}"
env.str("DATABASE_URL", EMBEDDED_DATABASE_URL, validate=_database)
DATABASES: dict[str, Any] = {"default": env.dj_db_url("DATABASE_URL", EMBEDDED_DATABASE_URL)}
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", "filesystem://", validate=_broker)
CACHES: dict[str, Any] = {"default": env.dj_cache_url("CACHE_URL", "locmem://fleetui")}
ALLOWED_HOSTS: list[str] = _trimmed(env.list("FLEETUI_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"]))
TRUSTED_PROXIES: list[str] = _trimmed(env.list("TRUSTED_PROXIES", [], validate=_networks))
#: From here /metrics and /sd/prometheus may be read without a token, and all of it.
METRICS_NETWORKS: list[str] = _trimmed(env.list("FLEETUI_METRICS_NETWORKS", [], validate=_networks))
CSRF_TRUSTED_ORIGINS: list[str] = _trimmed(env.list("FLEETUI_TRUSTED_ORIGINS", []))
BEHIND_TLS = bool(env.bool("FLEETUI_BEHIND_TLS", False))
POLL_INTERVAL_S = int(env.int("FLEETUI_POLL_INTERVAL_S", 60, validate=_positive) or 60)
POLL_THREADS = int(env.int("FLEETUI_POLL_THREADS", 20, validate=_positive) or 20)
#: Worker processes that `up` starts for polls; the first of them does everything else too.
POLL_WORKERS = int(env.int("FLEETUI_POLL_WORKERS", 1, validate=_workers) or 1)
#: Connections that each worker process keeps open between polls; 0 opens a fresh one for each.
POLL_KEEP_OPEN = int(env.int("FLEETUI_POLL_KEEP_OPEN", 0, validate=_connections) or 0)
#: A batch whose worker died is polled again after this time; a living worker renews its lease.
POLL_LEASE_S = int(env.int("FLEETUI_POLL_LEASE_S", 90, validate=_positive) or 90)
#: Nodes are compared with their Ignition version so often; 0 only when somebody asks for it.
DRIFT_INTERVAL_S = int(env.int("FLEETUI_DRIFT_INTERVAL_S", 21600, validate=_not_negative) or 0)
#: So many nodes are compared at once, in the whole installation.
DRIFT_THREADS = int(env.int("FLEETUI_DRIFT_THREADS", 4, validate=_positive) or 4)
#: Certificates of hosts and endpoints are read so often; 0 only when somebody asks for it.
CERTIFICATES_INTERVAL_S = int(env.int("FLEETUI_CERTIFICATES_INTERVAL_S", 21600, validate=_not_negative) or 0)
#: So many hosts and endpoints are read at once, in the whole installation.
CERTIFICATES_THREADS = int(env.int("FLEETUI_CERTIFICATES_THREADS", 4, validate=_positive) or 4)
#: A step whose worker died is run again by another one after this time; what it did to the host is fenced there.
OPERATION_LEASE_S = int(env.int("FLEETUI_OPERATION_LEASE_S", 60, validate=_lease) or 60)
#: A host that does not answer for so long after its restart needs a person. Large machines take a while to start.
OPERATION_RETURN_S = int(env.int("FLEETUI_OPERATION_RETURN_S", 900, validate=_positive) or 900)
#: Whether requests of operations have to say why, and what a ticket in that reason looks like.
REQUIRE_REASON = bool(env.bool("FLEETUI_REQUIRE_REASON", False))
TICKET_PATTERN = env.str("FLEETUI_TICKET_PATTERN", "", validate=_pattern)
#: Where audit events are sent to besides (fleetui.audit.push); whether one that is new gets what happened before, too.
AUDIT_WEBHOOK_URL = env.str("FLEETUI_AUDIT_WEBHOOK_URL", "", validate=_webhook)
AUDIT_WEBHOOK_SECRET = env.str("FLEETUI_AUDIT_WEBHOOK_SECRET", "") or _secret_file("FLEETUI_AUDIT_WEBHOOK_SECRET")
AUDIT_SYSLOG = env.str("FLEETUI_AUDIT_SYSLOG", "", validate=_syslog)
AUDIT_SEND_ALL = bool(env.bool("FLEETUI_AUDIT_SEND_ALL", False))
#: Git repositories that configs may follow besides those over https and ssh, and how much one may send.
GIT_LOCAL_ROOT = env.str("FLEETUI_GIT_LOCAL_ROOT", "", validate=_folder)
GIT_HTTP_HOSTS: list[str] = _trimmed(env.list("FLEETUI_GIT_HTTP_HOSTS", []))
#: Registries of container images that are asked without TLS, as HOST or HOST:PORT. One at localhost is asked only if it is here.
PLAIN_REGISTRIES: list[str] = _trimmed(env.list("FLEETUI_PLAIN_REGISTRIES", []))
GIT_MAX_MIB = int(env.int("FLEETUI_GIT_MAX_MIB", 128, validate=_mebibytes) or 128)
#: What provisioners may run: commands and directories below a folder, directories of Git repositories. Without, nothing is run.
PROVISIONERS_DIR = env.str("FLEETUI_PROVISIONERS_DIR", "", validate=_folder)
PROVISIONERS_GIT: list[str] = _trimmed(env.list("FLEETUI_PROVISIONERS_GIT", []))
LOG_JSON = bool(env.bool("FLEETUI_LOG_JSON", False))
LOG_LEVEL = str(env.str("FLEETUI_LOG_LEVEL", "INFO", validate=_log_level) or "INFO").upper()
TIME_ZONE = env.str("FLEETUI_TIME_ZONE", "UTC", validate=_zone) or "UTC"
env.seal()

_KEY_VALUES = {name: read_keys(name, DATA_DIR) for name in KEYS}
#: Keys that do not exist yet. `up` makes them; until then whatever is signed or sealed lasts for this process only.
MISSING_KEYS = [name for name, values in _KEY_VALUES.items() if not values]
SECRET_KEY, *SECRET_KEY_FALLBACKS = _KEY_VALUES["FLEETUI_SECRET_KEY"] or [secrets.token_hex(32)]
ENCRYPTION_KEYS = _KEY_VALUES["FLEETUI_ENCRYPTION_KEYS"] or [secrets.token_hex(32)]
TOKEN_PEPPERS = _KEY_VALUES["FLEETUI_TOKEN_PEPPERS"] or [secrets.token_hex(32)]
AUDIT_KEY = (_KEY_VALUES["FLEETUI_AUDIT_KEY"] or [secrets.token_hex(32)])[0]

IS_SQLITE = DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"
if IS_SQLITE:
    # IMMEDIATE: a read that turns into a write fails at once under WAL, whatever the busy timeout is.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 15,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=15000;"
        " PRAGMA mmap_size=134217728; PRAGMA cache_size=-16000;",
    }
else:
    # The pool and CONN_MAX_AGE exclude each other; the pool checks a connection before it hands it out.
    DATABASES["default"].update(CONN_MAX_AGE=0, CONN_HEALTH_CHECKS=True)
    # Beside what the address asks for, such as sslmode.
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {
        "min_size": 1,
        "max_size": POLL_THREADS + 12,
        "timeout": 10,
        # Between tries the wait doubles; a pool that begins anew finds a database soon after it is back.
        "reconnect_timeout": 5,
    }

INSTALLED_APPS = [
    "fleetui.core",
    "fleetui.audit",
    "fleetui.access",
    "fleetui.notify",
    "fleetui.start",
    "fleetui.transfer",
    "nodes",
    "ops",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_htmx",
    "csp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "fleetui.core.middleware.RequestContextMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "fleetui.access.middleware.PrincipalMiddleware",
]

ROOT_URLCONF = "fleetui.urls"
WSGI_APPLICATION = "fleetui.wsgi.application"
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    ["django.template.loaders.filesystem.Loader", "django.template.loaders.app_directories.Loader"],
                )
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "fleetui.access.context.frame",
            ],
            "builtins": ["django.templatetags.i18n", "django.templatetags.static", "fleetui.core.templatetags.ui"],
        },
    }
]
# The forms' own templates live in django.forms; TemplatesSetting needs the app to find them.
INSTALLED_APPS.append("django.forms")

AUTH_USER_MODEL = "access.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_FORMS = {
    "login": "fleetui.access.forms.SignInForm",
    "change_password": "fleetui.access.forms.NewPasswordForm",
}
ACCOUNT_ADAPTER = "fleetui.access.adapter.ClosedAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_RATE_LIMITS = {"login": "60/m/ip", "login_failed": "10/m/ip,5/5m/key", "change_password": "5/m/user"}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_FORMS = {"authenticate": "fleetui.access.forms.CodeForm", "reauthenticate": "fleetui.access.forms.CodeAgainForm"}
MFA_ADAPTER = "fleetui.access.adapter.SealedMFAAdapter"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("th", "ไทย")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
LANGUAGE_COOKIE_SAMESITE = "Lax"

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "fleetui.core.static.HashedStaticFiles"},
}
WHITENOISE_MANIFEST_STRICT = False
# Maps of packages' sources are read by nobody but their authors' tools; compressing them took half of a first start.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = (*Compressor.SKIP_COMPRESS_EXTENSIONS, "map")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_NAME = "fleetui_session"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_TLS else 0
# A forwarded scheme is believed only from a trusted proxy: RequestContextMiddleware takes the header away otherwise.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
# A selection of nodes is one field each (nodes.views.list.MOST_SELECTED).
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2500
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "fleetui.access.api.authentication.TokenAuthentication",
        "fleetui.access.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["fleetui.access.api.permissions.DeclaredPermission"],
    "DEFAULT_RENDERER_CLASSES": ["fleetui.core.api.renderers.OrjsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "fleetui.core.api.problems.problem_handler",
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_THROTTLE_CLASSES": ["fleetui.access.api.throttles.PrincipalThrottle"],
    "DEFAULT_THROTTLE_RATES": {
        "principal": "1200/min",
        "anonymous": "120/min",
        "enrolment": "120/min",
        "webhook": "600/min",
    },
}
SPECTACULAR_SETTINGS = {
    "TITLE": "FleetUI",
    "DESCRIPTION": "A fleet of immutable-OS hosts: what each runs, what it should run, and why the two differ.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
}

BROKER_DIR = DATA_DIR / "broker"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 20
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULER = "fleetui.core.beat:Scheduler"
CELERY_TASK_DEFAULT_QUEUE = "ops"
CELERY_TASK_ROUTES = {"nodes.tasks.poll_batch": {"queue": "poll"}, "nodes.tasks.poll_slow_batch": {"queue": "poll"}}
if CELERY_BROKER_URL.startswith("filesystem"):
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
        "data_folder_in": str(BROKER_DIR),
        "data_folder_out": str(BROKER_DIR),
        "control_folder": str(DATA_DIR / "broker-control"),
        "store_processed": False,
        "polling_interval": 0.2,
    }

LOGGING_CONFIG = "fleetui.core.logging.configure"
LOGGING: dict[str, Any] = {"json": LOG_JSON, "level": LOG_LEVEL}
# Triggers that refuse to change or delete audit events; off only where tests flush tables.
AUDIT_TRIGGERS = True
SILENCED_SYSTEM_CHECKS = [
    "security.W004",
    "security.W005",
    "security.W008",
    "security.W012",
    "security.W016",
    "security.W021",
]
