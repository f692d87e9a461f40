from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from fleetui.access.principals import SYSTEM
from fleetui.audit.log import Entry, append
from fleetui.core.errors import SealBroken
from fleetui.core.rotation import rotate_all


class Command(BaseCommand):
    help = (
        "Seal every stored secret again with the newest encryption key. "
        "Put a new key first in the key file, run this, take the old key out, and restart."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                counts = rotate_all()
                append(
                    [
                        Entry(
                            actor=str(SYSTEM),
                            action="installation.rotate_secrets",
                            subject="installation",
                            after=counts,
                        )
                    ]
                )
        except SealBroken as error:
            raise CommandError(f"{error.message} {error.mend}") from error
        for name, count in counts.items():
            self.stdout.write(f"{name}: {count} sealed with the newest key")
