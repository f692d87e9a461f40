"""What every driver offers: how to look at a host, how to read the answer, and how to change the host."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from types import CodeType
from typing import Any, ClassVar, Literal, TypeVar, cast

from nodes.hosts.facts import Facts, Measurement, Unread
from nodes.hosts.probe import (
    MAX_STDERR_BYTES,
    NOT_EXECUTABLE_STATUS,
    ProbeOutput,
    Section,
    SectionOutput,
    clean_text,
)

MAX_RAW = 65_536
MAX_PROBLEMS_SHOWN = 5
Value = TypeVar("Value")

BOOT_CHANGED_STATUS = 75
TOO_LATE_STATUS = 76
_GUARD = (
    'read -r now </proc/sys/kernel/random/boot_id; [ "$now" = "$1" ] ||'
    ' { echo "the host was restarted since this was decided" >&2; exit 75; };'
    ' read -r up _ </proc/uptime; [ -z "$2" ] || [ "${up%%.*}" -lt "$2" ] ||'
    ' { echo "this came later than it was allowed to" >&2; exit 76; }; shift 2; exec "$@"'
)


_GUARD_NAME = "fleetui-guard"


def unguarded(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command itself, without the check that a fence put before it."""
    is_guarded = argv[:2] == ("sh", "-c") and argv[3:4] == (_GUARD_NAME,)
    return argv[6:] if is_guarded else argv


class CommandRefused(ValueError):
    """A driver cannot make this command. The text says why."""


@dataclass(frozen=True)
class Capability:
    """Whether a driver can do one kind of thing, why not, and whether it disturbs what runs on the host.

    `changes`: also where the kind of operation as such only looks, it changes such a host.
    """

    supported: bool
    reason: str = ""
    disruptive: bool = False
    changes: bool = False


@dataclass(frozen=True)
class Command:
    """One effect on a host. `long` ones belong in the fence; `stdin` is sent to the command.

    `unchanged_statuses` are exit statuses that mean "nothing to do". `is_told`: the audit log hears of it although it is
    not meant to change anything, since people wrote it.
    """

    argv: tuple[str, ...]
    long: bool = False
    expects_disconnect: bool = False
    changes: bool = True
    is_told: bool = False
    stdin: bytes = b""
    unchanged_statuses: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Fence:
    """How an effect happens at most once on the host, even when a late worker repeats it.

    `transient_unit`: the command runs as a systemd unit that is named after operation and step. systemd refuses a
    second start of the name, and the unit stays after the command has ended. `boot_id`: the command only runs in
    the boot in which it was decided. `none`: the driver changes nothing. Both run a command only until an up-time of the
    host (`before_s`): what a stopped worker sends when it wakes up after its lease does nothing.
    """

    kind: Literal["transient_unit", "boot_id", "none"]
    description: str

    def unit_name(self, operation: str, step: str) -> str:
        name = f"fleetui-{operation}-{step}"
        words = (operation.replace("-", ""), step.replace("-", ""))
        if not all(word.isalnum() and word.isascii() for word in words) or len(name) > 200:
            raise CommandRefused("Operation and step of a fenced command are letters, digits and dashes.")
        return f"{name}.service"

    def guarded(self, command: Command, boot_id: str, before_s: int | None = None) -> Command:
        """The command behind a check of boot id and up-time: another boot ends with status 75, too late with 76."""
        if self.kind == "none":
            raise CommandRefused("This driver does not change hosts.")
        if not (boot_id.isascii() and boot_id.replace("-", "").isalnum()):
            raise CommandRefused("A boot id is hexadecimal digits and dashes.")
        before = "" if before_s is None else str(before_s)
        return replace(command, argv=("sh", "-c", _GUARD, _GUARD_NAME, boot_id, before, *command.argv))

    def started(
        self, command: Command, *, operation: str, step: str, boot_id: str, before_s: int | None = None
    ) -> Command:
        """The command as a transient unit that returns at once; its end is read from the unit later."""
        if self.kind != "transient_unit":
            raise CommandRefused("This driver has no transient units.")
        inner = command.argv[2:] if command.argv[:2] == ("sudo", "-n") else command.argv
        start = (
            *("sudo", "-n", "systemd-run", "--quiet", "--no-ask-password"),
            f"--unit={self.unit_name(operation, step)}",
            *("--property=RemainAfterExit=yes", "--setenv=LC_ALL=C"),
            *(f"--property=SuccessExitStatus={status}" for status in sorted(command.unchanged_statuses)),
            "--",
        )
        # systemd fills in ${NAME} by itself, and takes a doubled sign as it is meant.
        words = (word.replace("$", "$$") for word in inner)
        return self.guarded(replace(command, argv=(*start, *words), long=False), boot_id, before_s)

    def uptime(self) -> Command:
        """Prints how long the host is up: the clock that nobody sets, by which a lease ends on the host as well."""
        return Command(("cat", "/proc/uptime"), changes=False)

    def state(self, operation: str, step: str) -> Command:
        shown = "--property=LoadState,ActiveState,SubState,Result,ExecMainStatus,ExecMainCode,InvocationID"
        return Command(("systemctl", "show", self.unit_name(operation, step), shown), changes=False)

    def journal(self, operation: str, step: str, cursor: str = "", lines: int = 0) -> Command:
        """What the unit printed since the cursor: all of it, or as many lines."""
        after = (f"--after-cursor={cursor}",) if cursor else ()
        if lines:
            after = (*after, "-n", str(lines))
        unit = self.unit_name(operation, step)
        argv = ("sudo", "-n", "journalctl", "-u", unit, "-o", "cat", "-q", "--no-pager", "--show-cursor", *after)
        return Command(argv, changes=False)

    def cleared(self, operation: str, step: str) -> Command:
        """Forget a unit whose result is recorded, so that it is not counted as a failed unit of the host."""
        return Command(("sudo", "-n", "systemctl", "stop", self.unit_name(operation, step)))

    def failure_cleared(self, operation: str, step: str) -> Command:
        return Command(("sudo", "-n", "systemctl", "reset-failed", self.unit_name(operation, step)))


@dataclass(frozen=True)
class ProbeReading:
    facts: Facts
    measurement: Measurement


@dataclass(frozen=True)
class Detection:
    """Which driver a host needs. `relative`: read by the same code, but another product."""

    family: str
    name: str
    relative: bool = False
    reason: str = ""


@dataclass
class Look:
    """The output of one probe while it is read. Whatever cannot be read is collected in `unread`."""

    output: ProbeOutput
    now: datetime
    unread: list[Unread] = field(default_factory=list)

    def read(
        self,
        section: str,
        parse: Callable[[str, list[str]], Value],
        default: Any,
        *,
        optional: bool = False,
        good: Sequence[int] = (0,),
    ) -> Value:
        """Parse a section. `optional` sections may be absent; `good` lists the exit statuses that carry an answer.

        `parse` gets the text and a list for its complaints: it reads what it can, and the raw text is kept. What it
        returns is remembered, so that it must not be changed by whoever asked.
        """
        found = self.output[section]
        if (reason := self.why_not(found, good)) is not None:
            if not (optional and reason == "absent"):
                self.note(section, reason, _said(found, reason), found)
            return cast("Value", default)
        value, problems, failure = _understood(parse, found)
        if failure:
            self.note(section, "not_understood", failure, found)
            return cast("Value", default)
        if found.cut:
            self.note(section, "cut", "The output is cut, so only its beginning was read.", found)
        elif problems:
            shown = "; ".join(problems[:MAX_PROBLEMS_SHOWN])
            more = len(problems) - MAX_PROBLEMS_SHOWN
            self.note(section, "not_understood", shown + (f"; and {more} more" if more > 0 else "") + ".", found)
        return cast("Value", value)

    def note(self, section: str, reason: str, message: str, found: SectionOutput, raw: str | None = None) -> None:
        text = (found.stdout if raw is None else raw)[:MAX_RAW]
        stderr = found.stderr.strip()[:MAX_STDERR_BYTES]
        self.unread.append(Unread(section, reason, message, found.exit_status, stderr, text))

    @staticmethod
    def why_not(found: SectionOutput, good: Sequence[int] = (0,)) -> str | None:
        """Why a section has no answer, or None when it has one."""
        if found.missing:
            return "missing"
        if found.exit_status in good:
            return None
        return _reason(found)


#: What was understood of one text: the value, complaints, and why it could not be understood at all.
Understood = tuple[Any, Sequence[str], str]
#: Much of what hosts print is the same on hosts that are alike, and that is what is remembered. What each prints of
#: itself would need a place for every host of the fleet: with 10,000 of them that was half a gigabyte, and no gain.
TEXTS_REMEMBERED = 128
LONGEST_REMEMBERED_BYTES = 32_768
_readers: dict[CodeType, Callable[[bytes], Understood]] = {}


def _understood(parse: Callable[[str, list[str]], Any], found: SectionOutput) -> Understood:
    """Parse, or remember: a function that closes over nothing makes the same of the same bytes, for every host."""
    code = getattr(parse, "__code__", None)
    if code is None or parse.__closure__ or len(found.stdout_raw) > LONGEST_REMEMBERED_BYTES:
        return _parsed(parse, found.stdout)
    reader = _readers.get(code)
    if reader is None:
        reader = _readers[code] = lru_cache(TEXTS_REMEMBERED)(lambda raw: _parsed(parse, clean_text(raw)))
    return reader(found.stdout_raw)


def _parsed(parse: Callable[[str, list[str]], Any], text: str) -> Understood:
    problems: list[str] = []
    try:
        return parse(text, problems), problems, ""
    except Exception as error:
        return None, problems, _sentence(error)


def _reason(found: SectionOutput) -> str:
    words = found.stderr.lower()
    if found.timed_out:
        return "timeout"
    if found.command_missing or "no such file or directory" in words or "command not found" in words:
        return "absent"
    denied = (
        "permission denied",
        "not permitted",
        "access denied",
        "password is required",
        "requires root",
        "in the sudoers",
    )
    if found.exit_status == NOT_EXECUTABLE_STATUS or any(word in words for word in denied):
        return "permission"
    return "failed"


def _said(found: SectionOutput, reason: str) -> str:
    said = next((line.strip() for line in reversed(found.stderr.splitlines()) if line.strip()), "")[:300]
    return {
        "missing": "The output of the host ended before this part.",
        "timeout": "The command did not finish in time.",
        "absent": "The command or file is not on this host.",
        "permission": f"The user may not read this: {said or 'permission denied'}",
        "failed": f"The command ended with status {found.exit_status}" + (f": {said}" if said else "."),
    }[reason]


def _sentence(error: Exception) -> str:
    text = str(error)[:300] if isinstance(error, ValueError) else type(error).__name__
    return f"The text was not understood: {text}."


class Driver(ABC):
    """One kind of operating system."""

    transport: ClassVar[Literal["ssh", "grpc"]] = "ssh"
    #: Whether machines are made by Ignition, so that what is on them can be compared with their config.
    has_ignition: ClassVar[bool] = False
    #: The mode in which the OS is shipped; another one is pointed out.
    selinux_as_shipped: ClassVar[str] = "enforcing"
    #: Files of authorized keys that the OS writes by itself, such as those of the cloud.
    platform_keys: ClassVar[frozenset[str]] = frozenset()
    #: The units of its own update agent.
    agent_units: tuple[str, ...] = ()
    family: str
    name: str
    fence: Fence
    capabilities: Mapping[str, Capability]

    @abstractmethod
    def probe(self) -> tuple[Section, ...]:
        """The commands of one look."""

    @abstractmethod
    def parse(self, output: ProbeOutput, now: datetime) -> ProbeReading:
        """Read the answer of one look. Never raises on what a host printed."""

    @abstractmethod
    def command(self, kind: str, **params: object) -> Command:
        """One effect as argument list, or CommandRefused."""

    def staging(self, target: Mapping[str, Any]) -> Command:
        """Stage a target: `version`, `checksum`, `image` and `digest` as far as they are known, `is_asked` for by version.

        An empty one is whatever the host finds.
        """
        raise CommandRefused(f"FleetUI cannot stage anything on {self.name} hosts.")

    def going_back(self, deployment: Mapping[str, Any]) -> Command:
        """Put the deployment that ran before first in the boot order."""
        raise CommandRefused(f"FleetUI cannot change the boot order of {self.name} hosts.")

    def offered(self, facts: Facts, said: str) -> str | None:
        """The version that a check found, from what it printed or what the host says since; empty for none.

        None: the host is still looking.
        """
        raise CommandRefused(f"FleetUI cannot read what {self.name} says of a check.")
