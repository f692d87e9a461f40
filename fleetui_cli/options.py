"""The command line: every command with its options and an example."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, TypeAlias

from fleetui_cli import __version__, asking, deciding, looking
from fleetui_cli.codes import MEANINGS

_CODES = "\n".join(f"  {int(code):>3}  {meaning}" for code, meaning in MEANINGS.items())
_ABOUT = "Ask FleetUI for operations on hosts, follow them, and decide on them."
_END = f"""exit codes:
{_CODES}

settings, the first that is given: --url, FLEETUI_URL, url in the config file; --token-file, FLEETUI_TOKEN,
FLEETUI_TOKEN_FILE, token_file or token in the config file (~/.config/fleetui/cli.toml, mode 0600)."""

if TYPE_CHECKING:
    Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]


def given_text(text: str) -> str:
    """Of `--version "$V"` with nothing in V: taken for an option that is left out, it would reach further than was meant."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty. Give a value, or leave the option out")
    return text


def at_least_one(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text[:9])


def parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    found = argparse.ArgumentParser(
        prog="fleetui-cli",
        description=_ABOUT,
        epilog=_END,
        formatter_class=raw,
        allow_abbrev=False,
        parents=[_common()],
    )
    found.set_defaults(url=None, token_file=None, config=None, ca_file=None, json=False)
    found.add_argument("--version", action="version", version=f"fleetui-cli {__version__}")
    common = _common()
    commands = found.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _nodes(commands, common)
    _asking(commands, common)
    _looking(commands, common)
    _deciding(commands, common)
    return found


def _common() -> argparse.ArgumentParser:
    """In front of a command and behind it: without a value there, the one of the other place stands."""
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = shared.add_argument_group("server and output")
    group.add_argument("--url", type=given_text, help="address of FleetUI, such as https://fleet.example.org")
    group.add_argument("--token-file", type=given_text, help="a file with the token, mode 0600")
    group.add_argument("--config", type=given_text, help="another config file")
    group.add_argument(
        "--ca-file", type=given_text, help="certificate authorities that the server's certificate may be signed by"
    )
    group.add_argument("--json", action="store_true", help="print JSON")
    return shared


def _command(
    commands: Commands, common: argparse.ArgumentParser, name: str, about: str, example: str = ""
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        parents=[common],
        help=about,
        description=about[:1].upper() + about[1:] + ".",
        epilog=f"example:\n  {example}" if example else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _filters(found: argparse.ArgumentParser) -> None:
    found.add_argument("--pool", type=given_text, help="of these pools, comma-separated")
    found.add_argument("--cluster", type=given_text, help="of these clusters")
    found.add_argument("-q", type=given_text, help="whose name, address, labels or versions hold these words")
    found.add_argument(
        "--filter", action="append", metavar="NAME=VALUE", help="any filter of the list; may be repeated"
    )


def _nodes(commands: Commands, common: argparse.ArgumentParser) -> None:
    group = commands.add_parser("nodes", help="list nodes, or show one", allow_abbrev=False)
    verbs = group.add_subparsers(dest="verb", required=True, metavar="list|show")
    listed = _command(
        verbs, common, "list", "list nodes", "fleetui-cli nodes list --pool web --filter update_state=update_available"
    )
    _filters(listed)
    listed.add_argument("--needs-attention", action="store_true", help="only those that need attention")
    listed.add_argument("--columns", type=given_text, help="fields of the API, comma-separated")
    listed.add_argument("--limit", type=at_least_one, help="at most so many")
    listed.set_defaults(run=looking.nodes_list)
    shown = _command(verbs, common, "show", "show one node", "fleetui-cli nodes show web-01")
    shown.add_argument("name", help="name or id")
    shown.set_defaults(run=looking.nodes_show)


def _asking(commands: Commands, common: argparse.ArgumentParser) -> None:
    planned = _command(
        commands,
        common,
        "plan",
        "show what an operation would do; nothing happens",
        "fleetui-cli plan upgrade --pool web",
    )
    planned.add_argument("kind", help="upgrade, rollback, reboot, or any other kind")
    _targets(planned)
    _new_version(planned)
    _watching(planned)
    planned.set_defaults(run=asking.plan)
    for kind, about, example in (
        ("upgrade", "upgrade hosts", "fleetui-cli upgrade web-01 --reason CHG-311 --follow"),
        (
            "rollback",
            "go back to the previous deployment",
            "fleetui-cli rollback web-01 --reason 'broken kernel' --wait",
        ),
        ("reboot", "restart hosts", "fleetui-cli reboot --pool web --expect 19 --wait --timeout 2h"),
    ):
        short = _command(commands, common, kind, about, example)
        _targets(short)
        _wanted(short)
        if kind == "upgrade":
            _new_version(short)
            short.add_argument(
                "--if-needed",
                action="store_true",
                help="nodes that run it already count as done, so that a job may be run again",
            )
        _watching(short)
        short.set_defaults(run=asking.run, kind=kind)
    generic = _command(
        commands,
        common,
        "run",
        "ask for an operation of any kind",
        "fleetui-cli run pin web-01 --param deployment=booted",
    )
    generic.add_argument("kind", help="the kind, such as pin or zincati_pause")
    _targets(generic)
    _wanted(generic)
    generic.set_defaults(run=asking.run)


def _targets(found: argparse.ArgumentParser) -> None:
    group = found.add_argument_group("which nodes")
    group.add_argument("nodes", nargs="*", type=given_text, help="names")
    group.add_argument("--pool", type=given_text, help="of these pools, comma-separated")
    group.add_argument("--cluster", type=given_text, help="of these clusters")
    group.add_argument("-q", type=given_text, help="whose name, address, labels or versions hold these words")
    group.add_argument(
        "--filter", action="append", metavar="NAME=VALUE", help="any filter of the list; may be repeated"
    )
    group.add_argument("--every-node", dest="every", action="store_true", help="all nodes that the token may see")
    found.add_argument(
        "--param",
        action="append",
        metavar="NAME=VALUE",
        help="a parameter of the kind; a name that is repeated makes a list; or JSON, such as 'append=[\"quiet\"]'",
    )


def _new_version(found: argparse.ArgumentParser) -> None:
    found.add_argument(
        "--version", type=given_text, help="the version to go to; without it the next of each node's stream"
    )
    found.add_argument("--roll-back", action="store_true", help="go back by itself when it is not healthy")


def _watching(found: argparse.ArgumentParser) -> None:
    found.add_argument("--soak", dest="soak_s", type=int, metavar="SECONDS", help="watch its health for so long")
    found.add_argument("--ignore-sessions", action="store_true", help="also when somebody is signed in")


def _wanted(found: argparse.ArgumentParser) -> None:
    found.add_argument("--reason", type=given_text, help="why, or the ticket; kept in the audit log")
    found.add_argument(
        "--expect", type=int, metavar="N", help="do it only if it is N nodes; needed above ten in scripts"
    )
    found.add_argument(
        "--deadline",
        type=given_text,
        metavar="4h",
        help="until when it may wait for its turn; a time from now or a moment",
    )
    found.add_argument("--approve-by", type=given_text, metavar="1h", help="until when approvals have to be there")
    found.add_argument("--max-attempts", type=int, metavar="N", help="of each step")
    found.add_argument("--stop-after", type=int, metavar="N", help="when N have ended badly, no further one begins")
    _staying(found)


def _staying(found: argparse.ArgumentParser) -> None:
    found.add_argument("--key", type=given_text, help="idempotency key: the same key again makes nothing new")
    found.add_argument("--strict", action="store_true", help="end with 3 when any node was left out")
    found.add_argument("--wait", action="store_true", help="stay until all of it is over")
    found.add_argument("--follow", action="store_true", help="stay, and print the log of a single operation")
    found.add_argument("--timeout", type=given_text, metavar="1h", help="stay for so long at most")


def _looking(commands: Commands, common: argparse.ArgumentParser) -> None:
    listed = _command(commands, common, "operations", "list operations", "fleetui-cli operations --active --pool web")
    listed.add_argument("--active", action="store_true", help="only those that have not ended")
    for name in ("state", "kind", "node"):
        listed.add_argument(f"--{name}", type=given_text, help="comma-separated")
    _filters(listed)
    listed.add_argument("--limit", type=at_least_one, default=50, help="at most so many, 50 without it")
    listed.set_defaults(run=looking.operations_list)
    for name, about in (
        ("show", "show an operation or a request"),
        ("follow", "print the log of an operation as it is written"),
        ("wait", "wait for the end of an operation, or of all of a request"),
    ):
        one = _command(commands, common, name, about, f"fleetui-cli {name} ID")
        one.add_argument("id", help="of an operation or a request")
        if name == "show":
            one.set_defaults(run=looking.show)
            continue
        one.add_argument("--timeout", type=given_text, metavar="1h", help="for so long at most")
        one.set_defaults(run=looking.wait, follow=name == "follow")
    queue = _command(commands, common, "approvals", "list what waits for approval")
    queue.set_defaults(run=looking.approvals)


def _deciding(commands: Commands, common: argparse.ArgumentParser) -> None:
    for name, about, run in (
        ("cancel", "cancel an operation, or all of a request", deciding.decide),
        ("approve", "approve a request", deciding.decide),
        ("reject", "reject a request", deciding.decide),
        ("go-on", "let an operation that needs attention go on", deciding.of_operation),
        ("resolve", "end an operation that needs attention as failed", deciding.of_operation),
    ):
        one = _command(commands, common, name, about, f"fleetui-cli {name} ID --reason '…'")
        one.add_argument("id", help="of an operation or a request")
        one.add_argument("--reason", help="why; kept in the audit log")
        one.set_defaults(run=run)
    again = _command(
        commands,
        common,
        "retry",
        "retry an operation, or what failed or did not begin of a request",
        "fleetui-cli retry ID --wait",
    )
    again.add_argument("id", help="of an operation or a request")
    again.add_argument("--reason", help="why; without it the reason of the request")
    _staying(again)
    again.set_defaults(run=deciding.retry)
    for name, about in (("stop-all", "let no operation start any more"), ("lift-stop", "let operations start again")):
        one = _command(commands, common, name, about)
        one.add_argument("--reason", required=name == "stop-all", help="why; kept in the audit log")
        one.set_defaults(run=deciding.stop)
