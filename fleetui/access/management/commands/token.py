from __future__ import annotations

from itertools import count
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser

from fleetui.access.models import Token, User
from fleetui.access.principals import SYSTEM
from fleetui.access.roles import SCOPES
from fleetui.access.services import create_token, revoke_token
from fleetui.core import clock
from fleetui.core.errors import FleetError


class Command(BaseCommand):
    help = "API tokens: make one (printed alone on standard output), list them, revoke one."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create", help="make a token of a user and print it, this once")
        create.add_argument("--user", required=True, help="user name of its owner")
        create.add_argument(
            "--scope", required=True, action="append", help=f"{', '.join(SCOPES)} or a permission name; repeat it"
        )
        create.add_argument("--days", required=True, type=int, help="life time in days, 1 to 366")
        create.add_argument("--name", default="", help="what it is for")
        create.add_argument("--pool", action="append", default=[], help="limit it to a pool; repeat it")
        create.add_argument(
            "--network", action="append", default=[], help="limit it to a network of clients; repeat it"
        )
        listing = verbs.add_parser("list", help="list tokens")
        listing.add_argument("--user", default="", help="only those of this user")
        verbs.add_parser("revoke", help="end a token at once").add_argument(
            "prefix", help="the part after fleetui_, as listed"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        verbs = {"create": self._create, "list": self._list, "revoke": self._revoke}
        try:
            verbs[options["verb"]](options)
        except FleetError as error:
            raise CommandError(f"{error.message} {error.mend}".strip()) from error

    def _create(self, options: dict[str, Any]) -> None:
        user = _user(options["user"])
        now = clock.now()
        scopes = [scope for text in options["scope"] for scope in text.split(",")]
        token, text = create_token(
            user=user,
            name=options["name"] or _free_name(user, f"made {now:%Y-%m-%d %H:%M} by command"),
            scopes=scopes,
            days=options["days"],
            pools=[_pool(name).pk for name in options["pool"]],
            networks=options["network"],
            actor=SYSTEM,
            now=now,
        )
        self.stderr.write(
            f"A token of {user.username} with {', '.join(scopes)}, valid until {token.expires_at:%Y-%m-%d %H:%M} UTC, shown this once.",
            self.style.NOTICE,
        )
        self.stdout.write(text)

    def _list(self, options: dict[str, Any]) -> None:
        rows = Token.objects.select_related("user").order_by("user__username", "created_at")
        if options["user"]:
            rows = rows.filter(user=_user(options["user"]))
        now = clock.now()
        table = [("PREFIX", "USER", "STATE", "EXPIRES", "SCOPES", "NAME")]
        for token in rows:
            expires = f"{token.expires_at:%Y-%m-%d %H:%M}"
            scopes = ",".join(token.scopes)
            table.append((token.prefix, token.user.username, token.state(now), expires, scopes, token.name))
        widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
        for row in table:
            self.stdout.write("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())

    def _revoke(self, options: dict[str, Any]) -> None:
        prefix = options["prefix"].removeprefix("fleetui_").partition("_")[0]
        token = Token.objects.select_related("user").filter(prefix=prefix).first()
        if token is None:
            raise CommandError(f"There is no token {prefix}. See `manage.py token list`.")
        if token.revoked_at:
            self.stdout.write(f"The token {token} was revoked before.")
            return
        revoke_token(token=token, actor=SYSTEM, now=clock.now())
        self.stdout.write(f"The token {token} is revoked.")


def _user(name: str) -> User:
    user = User.objects.filter(username=name).first()
    if user is None:
        raise CommandError(f"There is no user {name}. See `manage.py user list`.")
    return user


def _free_name(user: User, wanted: str) -> str:
    """The name, numbered when the user made another token in the same minute."""
    taken = set(Token.objects.filter(user=user, name__startswith=wanted).values_list("name", flat=True))
    numbered = (f"{wanted} ({number})" for number in count(2))
    return wanted if wanted not in taken else next(name for name in numbered if name not in taken)


def _pool(name: str) -> Any:
    # Nodes stand above access, so the model is asked for by name.
    pool = apps.get_model("nodes", "Pool")._default_manager.filter(name=name).first()
    if pool is None:
        raise CommandError(f"There is no pool {name}.")
    return pool
