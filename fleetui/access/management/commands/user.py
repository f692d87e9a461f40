from __future__ import annotations

import getpass
import secrets
import sys
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser

from fleetui.access.models import User
from fleetui.access.principals import SYSTEM
from fleetui.access.roles import ROLES
from fleetui.access.services import add_user, bind_role, set_password
from fleetui.core import clock
from fleetui.core.errors import FleetError


class Command(BaseCommand):
    help = "People who may sign in: add one, give a new password, list them."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        add = verbs.add_parser("add", help="add a user; the password made for them is printed alone on standard output")
        add.add_argument("name")
        add.add_argument("--role", choices=list(ROLES), help="a role to give")
        add.add_argument("--pool", help="the pool on which the role holds; without it, on everything")
        password = verbs.add_parser("password", help="give a user a new password")
        password.add_argument("name")
        password.add_argument("--generate", action="store_true", help="make one and print it alone on standard output")
        verbs.add_parser("list", help="list users with their roles")

    def handle(self, *args: Any, **options: Any) -> None:
        verbs = {"add": self._add, "password": self._password, "list": self._list}
        try:
            verbs[options["verb"]](options)
        except FleetError as error:
            raise CommandError(f"{error.message} {error.mend}".strip()) from error

    def _add(self, options: dict[str, Any]) -> None:
        if options["pool"] and not options["role"]:
            raise CommandError("A pool without a role says nothing. Give --role too.")
        pool = _pool(options["pool"]) if options["pool"] else None
        password = secrets.token_urlsafe(12)
        user = add_user(username=options["name"], password=password, actor=SYSTEM, now=clock.now())
        if options["role"]:
            bind_role(user=user, role=options["role"], pool=pool, actor=SYSTEM)
        self.stderr.write(f"The user {user.username} is added. The password is shown this once.", self.style.NOTICE)
        self.stdout.write(password)

    def _password(self, options: dict[str, Any]) -> None:
        user = User.objects.filter(username=options["name"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['name']}. See `manage.py user list`.")
        password = secrets.token_urlsafe(12) if options["generate"] else _ask()
        set_password(user=user, password=password, actor=SYSTEM)
        self.stderr.write(f"{user.username} has a new password; their sessions end.", self.style.NOTICE)
        if options["generate"]:
            self.stdout.write(password)

    def _list(self, options: dict[str, Any]) -> None:
        self.stdout.write(f"{'USER':24}{'STATE':8}ROLES")
        for user in User.objects.prefetch_related("bindings__pool"):
            held = [
                f"{binding.role} on {binding.pool.name if binding.pool else 'everything'}"
                for binding in user.bindings.all()
            ]
            self.stdout.write(
                f"{user.username:24}{'open' if user.is_active else 'closed':8}{', '.join(held) or 'none'}"
            )


def _ask() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass("New password: ")
    if getpass.getpass("Again: ") != first:
        raise CommandError("The two are not the same.")
    return first


def _pool(name: str) -> Any:
    # Nodes stand above access, so the model is asked for by name.
    pool = apps.get_model("nodes", "Pool")._default_manager.filter(name=name).first()
    if pool is None:
        raise CommandError(f"There is no pool {name}.")
    return pool
