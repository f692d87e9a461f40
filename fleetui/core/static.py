"""Static files with their content's hash in the name, so that browsers may keep them for ever."""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """JavaScript modules import each other by the hashed names too (Django leaves that off by default)."""

    support_js_module_import_aggregation = True
