"""sudo, env, timeout, `sh -c` with simple lists of commands, and the probe script on `sh -s`."""

from __future__ import annotations

import re
import shlex
from functools import lru_cache

from simfleet.answers.base import Answer, Call, answer, command, fail
from simfleet.answers.certificates import listed, of_certbot
from simfleet.answers.containers import OF_CONTAINERS, written_units
from simfleet.answers.etcd import OF_ETCD
from simfleet.answers.kubeadm import OF_KUBEADM
from simfleet.answers.machine import nic_drivers
from simfleet.answers.services import connect
from simfleet.answers.units import unit

NIC_LOOP = "for nic in /sys/class/net/*"
CONTAINER_UNITS = "find -L /etc/containers/systemd"
PARTITION_TABLE = 'exec sudo -n cgpt show "$disk"'
INVOCATION = "now=$(systemctl show --property=InvocationID"
GUARD = "</proc/sys/kernel/random/boot_id;"
BOOT_CHANGED_STATUS = 75
TOO_LATE_STATUS = 76
MAX_STDERR_BYTES = 4096
NONCE = re.compile(rb"^nonce=([A-Za-z0-9]{1,64})$", re.MULTILINE)
REDIRECTIONS = {">", ">>", "<", ">&", "<&", "&>"}
OPERATORS = {";", "&&", "||", "then", "else", "fi", "\n"}


@command("sudo")
async def sudo(call: Call) -> Answer:
    """Passwordless, as on Fedora CoreOS for the user core."""
    words = list(call.args)
    while words and words[0].startswith("-"):
        if words.pop(0) in {"-u", "-g"} and words:
            words.pop(0)
    return await answer(call.other(tuple(words), root=True)) if words else fail("usage: sudo command")


@command("env", "exec", "nice", "ionice", "stdbuf")
async def env(call: Call) -> Answer:
    """The command behind the assignments and options."""
    words = list(call.args)
    while words and (words[0].startswith("-") or re.match(r"^[A-Za-z_]\w*=", words[0])):
        words.pop(0)
    return await answer(call.other(tuple(words))) if words else Answer()


@command("timeout", "systemd-inhibit")
async def timeout(call: Call) -> Answer:
    """The command behind the options and the duration."""
    words = list(call.args)
    while words and words[0].startswith("-"):
        if words.pop(0) in {"-k", "-s"} and words:
            words.pop(0)
    if call.argv[0] == "timeout" and words:
        words.pop(0)
    return await answer(call.other(tuple(words)))


@lru_cache(maxsize=256)
def tokens(script: str) -> tuple[str, ...]:
    """The words and operators of a script. Only redirections of the output into files are kept."""
    script = script.replace("\n", " ; ").replace("$HOME", "/var/home/core")
    lexer = shlex.shlex(script, posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    rows: list[str] = []
    words = iter(lexer)
    for word in words:
        if word not in REDIRECTIONS:
            rows.append(word)
            continue
        target = next(words, "")
        numbered = bool(rows) and rows[-1] in {"0", "1", "2"}
        if numbered:
            rows.pop()
        elif word in {">", ">>"} and target != "/dev/null":
            rows += [">", target]
    return tuple(rows)


def expanded(words: list[str], given: tuple[str, ...]) -> list[str]:
    """Positional parameters put in place."""
    if not given:
        # The text may be a quoted script for another shell.
        return words
    rows: list[str] = []
    for word in words:
        if word == "$@":
            rows.extend(given)
        else:
            rows.append(re.sub(r"\$([1-9])", lambda found: "".join(given[int(found[1]) - 1 : int(found[1])]), word))
    return rows


class Script:
    """A list of simple commands with `;`, `&&`, `||`, `if`, `exec`, `exit` and `>` into a file."""

    def __init__(self, call: Call, script: str, given: tuple[str, ...] = ()) -> None:
        self.call = call
        self.given = given
        self.words = list(tokens(script))
        self.out: list[bytes] = []
        self.err: list[bytes] = []
        self.status = 0
        self.ended = False

    async def run(self) -> Answer:
        """Run to the end."""
        await self._list(set(), live=True)
        return Answer(self.status, b"".join(self.out), b"".join(self.err))

    async def _list(self, stops: set[str], *, live: bool) -> None:
        wanted = True
        while self.words and self.words[0] not in stops:
            word = self.words.pop(0)
            if word in {"&&", "||"}:
                wanted = (self.status == 0) == (word == "&&")
            elif word == ";":
                wanted = True
            elif word == "if":
                await self._if(live=live and wanted)
            else:
                await self._simple(word, live=live and wanted)

    async def _if(self, *, live: bool) -> None:
        await self._list({"then"}, live=live)
        held = self.status == 0
        if live:
            # What was asked is no failure: without a branch that runs, `if` ends well.
            self.status = 0
        self._skip("then")
        await self._list({"else", "fi"}, live=live and held)
        if self.words[:1] == ["else"]:
            self._skip("else")
            await self._list({"fi"}, live=live and not held)
        self._skip("fi")

    def _skip(self, word: str) -> None:
        if self.words[:1] == [word]:
            self.words.pop(0)

    async def _simple(self, first: str, *, live: bool) -> None:
        argv = [first]
        while self.words and self.words[0] not in OPERATORS:
            argv.append(self.words.pop(0))
        if not live or self.ended:
            return
        if argv[0] == "exit":
            self.status, self.ended = int(argv[1]) if len(argv) > 1 else self.status, True
            return
        argv = [await self._substituted(word) for word in expanded(argv, self.given)]
        target = argv[argv.index(">") + 1] if ">" in argv[:-1] else None
        if target is not None:
            argv = argv[: argv.index(">")] or [":"]
        result = await answer(self.call.other(tuple(argv)))
        self.status = result.status
        if target is not None:
            self.call.host.written[target] = result.out.decode(errors="replace")
            self.call.world.changed(self.call.host)
            result = Answer(result.status, b"", result.err)
        # Only lookups are silenced in the scripts of a driver.
        if argv[0] != "command":
            self.out.append(result.out)
            self.err.append(result.err)
        self.ended = argv[0] == "exec"

    async def _substituted(self, word: str) -> str:
        """A word that is nothing but `$(COMMAND)` is what the command prints."""
        inner = re.fullmatch(r"\$\((.+)\)", word)
        if inner is None:
            return word
        result = await Script(self.call, inner[1]).run()
        return result.out.decode(errors="replace").rstrip("\n")


@command("sh", "bash")
async def shell(call: Call) -> Answer:
    """`sh -c SCRIPT`, or the probe script on standard input."""
    if call.args[:1] in {("-c",), ("-ec",), ("-lc",)} and len(call.args) > 1:
        if call.args[2:3] and call.args[2].startswith(("fleetui-image", "fleetui-power", "fleetui-logs")):
            return await OF_CONTAINERS[call.args[2]](call)
        if call.args[2:3] == ("fleetui-certificates",):
            return listed(call)
        if call.args[2:3] == ("fleetui-certbot",):
            return of_certbot(call)
        if call.args[2:3] and call.args[2] in OF_ETCD:
            return await OF_ETCD[call.args[2]](call)
        if call.args[2:3] and call.args[2] in OF_KUBEADM:
            return await OF_KUBEADM[call.args[2]](call)
        if call.args[1].startswith(INVOCATION):
            return await same_invocation(call)
        if GUARD in call.args[1] and call.args[1].rstrip().endswith('exec "$@"'):
            return await guarded(call)
        if "/dev/tcp/" in call.args[1]:
            return connect(call)
        return await run_script(call, call.args[1], call.args[3:])
    if call.args in {(), ("-s",), ("-",)} or call.args[:1] == ("-s",):
        if NONCE.search(call.stdin) and b"\n# sections\n" in call.stdin:
            return await probe(call)
        return await run_script(call, call.stdin.decode(errors="replace"))
    return fail(f"sh: {call.args[0]}: No such file or directory", 127)


async def guarded(call: Call) -> Answer:
    """`sh -c GUARD NAME BOOT_ID BEFORE_S COMMAND...`: the command runs only in the boot and the time it was meant for."""
    words = call.args[3:]
    if not words or words[0] != call.host.boot_id:
        return fail("the host was restarted since this was decided", BOOT_CHANGED_STATUS)
    if words[1] and int(call.host.uptime_s(call.now)) >= int(words[1]):
        return fail("this came later than it was allowed to", TOO_LATE_STATUS)
    return await answer(call.other(words[2:]))


async def same_invocation(call: Call) -> Answer:
    """`sh -c SCRIPT NAME UNIT INVOCATION`: restart the unit unless it was started anew meanwhile."""
    name, wanted = call.args[3:5]
    if unit(call.host, name, call.now).invocation != wanted:
        return fail("the unit was started anew since this was decided", BOOT_CHANGED_STATUS)
    done = await answer(call.other(("systemctl", "restart", name)))
    return Answer(0, done.out + f"systemctl restart ended with status {done.status}\n".encode(), done.err)


async def run_script(call: Call, script: str, given: tuple[str, ...] = ()) -> Answer:
    """Run a short script."""
    if script.lstrip().startswith(NIC_LOOP):
        return nic_drivers(call)
    if CONTAINER_UNITS in script:
        return written_units(call)
    if script.rstrip().endswith(PARTITION_TABLE):
        return await answer(call.other(("cgpt", "show"), root=True))
    try:
        return await Script(call, script, given).run()
    except ValueError as error:
        return fail(f"sh: line 1: syntax error: {error}", 2)


@lru_cache(maxsize=64)
def sections(text: str) -> tuple[tuple[str, int, tuple[str, ...]], ...]:
    """Name, byte limit and command of every section."""
    rows = []
    for line in text.splitlines():
        words = shlex.split(line)
        if len(words) >= 5 and words[0] == "section":
            rows.append((words[1], int(words[3]), tuple(words[4:])))
    return tuple(rows)


async def probe(call: Call) -> Answer:
    """Answer every section of a probe script in its frame."""
    found = NONCE.search(call.stdin)
    nonce = found.group(1).decode() if found else ""
    body = call.stdin.split(b"\n# sections\n", 1)[1].split(b"\n# end\n", 1)[0].decode()
    rows = sections(body)
    parts: list[bytes] = []
    for name, limit, argv in rows:
        result = await answer(call.other(argv))
        err = result.err
        if result.status == 127 and err.startswith(b"sh: line 1: "):
            err = f"timeout: failed to run command '{argv[0]}': No such file or directory\n".encode()
        out, err = result.out[:limit], err[:MAX_STDERR_BYTES]
        cut = f" cut={len(result.out)}" if len(result.out) > limit else ""
        parts += [f"@@FLEETUI {nonce} {name} {result.status} {len(out)} {len(err)}{cut}\n".encode(), out, err, b"\n"]
    parts.append(f"@@FLEETUI {nonce} end {len(rows)}\n".encode())
    return Answer(0, b"".join(parts))
