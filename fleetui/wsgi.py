"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

from fleetui.core import memory

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fleetui.settings")
with memory.imports():
    # Without it, messages of the web process would go to Celery's own default broker, where nobody listens.
    import fleetui.celery  # noqa: F401

    application = get_wsgi_application()

    from fleetui.core.sqlite_files import keep_open

    # Loaded by each process of gunicorn after it was forked.
    keep_open()
