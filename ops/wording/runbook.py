"""Tasks of the runbook in a word or two, and how they stand."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

TASKS: dict[str, Promise] = {
    "os_update": _("OS update"),
    "container_update": _("Container update"),
    "certificate_renewal": _("Certificate renewal"),
    "backup": _("Backup"),
    "restore_drill": _("Restore drill"),
    "node_replacement": _("Replacement of machines"),
}
#: code -> level, word.
STANDS: dict[str, tuple[str, Promise]] = {
    "off": ("none", _("not asked for")),
    "empty": ("none", _("no node in service")),
    "settled": ("ok", _("every node is up to date")),
    "waits": ("info", _("not done yet")),
    "well": ("ok", _("in time")),
    "due": ("info", _("due")),
    "overdue": ("warn", _("overdue")),
}
