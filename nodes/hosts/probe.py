"""One look at a host in one exec: a framed shell script, and the reader of what it prints.

The script is plain POSIX sh. Every section is framed with the nonce of this poll and with byte lengths,
so that text which a host prints can never be mistaken for a frame.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

MAX_STDERR_BYTES = 4096
DEFAULT_BUDGET_S = 20
NOT_FOUND_STATUS = 127
NOT_EXECUTABLE_STATUS = 126
# 124 is coreutils, 143 busybox, 137 a command that ignored the first signal.
TIMEOUT_STATUSES = frozenset({124, 137, 143})

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NONCE = re.compile(r"[A-Za-z0-9]{8,64}")
_ANSI = re.compile(r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b\n]{0,512}(?:\x07|\x1b\\)|[@-Z\\-_])")
_HEADER = re.compile(
    rb"@@FLEETUI [A-Za-z0-9]+ (?:end (?P<count>\d{1,6})|(?P<name>[a-z][a-z0-9_]{0,63}) (?P<status>\d{1,3})"
    rb" (?P<out>\d{1,9}) (?P<err>\d{1,9})(?: cut=(?P<cut>\d{1,18}))?)\n"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

_PREAMBLE = """\
LC_ALL=C
LANG=C
PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
export LC_ALL LANG PATH
unset LANGUAGE COLUMNS
umask 077
nonce=@NONCE@
count=0
budget=@BUDGET@
began=$(date +%s)
limit=
if timeout -k 1 5 true >/dev/null 2>&1; then limit='timeout -k 1'
elif timeout 5 true >/dev/null 2>&1; then limit=timeout
fi
work=
for base in "${XDG_RUNTIME_DIR:-}" /dev/shm /tmp /var/tmp; do
  [ -n "$base" ] && [ -d "$base" ] && [ -w "$base" ] || continue
  work=$(mktemp -d "$base/fleetui.XXXXXX" 2>/dev/null) && break
  work=
done
if [ -z "$work" ]; then
  printf '@@FLEETUI %s workspace 1 0 39\\nno writable folder for temporary files\\n' "$nonce"
  printf '@@FLEETUI %s end 0\\n' "$nonce"
  exit 0
fi
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP INT TERM PIPE
section() {
  name=$1 seconds=$2 max=$3
  shift 3
  left=$((budget - $(date +%s) + began))
  if [ "$left" -le 0 ]; then
    printf '@@FLEETUI %s %s 124 0 37\\n%s\\n' "$nonce" "$name" 'not started, the time was over before'
    count=$((count + 1))
    return
  fi
  [ "$seconds" -le "$left" ] || seconds=$left
  {
    {
      if [ -n "$limit" ]; then $limit "$seconds" "$@"; else "$@"; fi </dev/null 2>&3 3>&-
      echo $? >"$work/status"
    } | {
      head -c "$max" >"$work/out"
      wc -c >"$work/rest"
    } 3>&-
  } 3>&1 >/dev/null | {
    head -c @MAX_STDERR@ >"$work/err"
    cat >/dev/null
  }
  read -r status <"$work/status" || status=125
  read -r rest <"$work/rest" || rest=0
  out=$(wc -c <"$work/out")
  err=$(wc -c <"$work/err")
  cut=
  [ "$rest" -gt 0 ] && cut=" cut=$((out + rest))"
  printf '@@FLEETUI %s %s %s %s %s%s\\n' "$nonce" "$name" "$status" "$((out))" "$((err))" "$cut"
  cat "$work/out" "$work/err"
  echo
  : >"$work/status"
  count=$((count + 1))
}
# sections
"""
_END = """\
# end
printf '@@FLEETUI %s end %s\\n' "$nonce" "$count"
"""


@dataclass(frozen=True)
class Section:
    """One command of a probe and its bounds."""

    name: str
    argv: tuple[str, ...]
    timeout_s: int = 10
    max_bytes: int = 262_144


@dataclass(frozen=True)
class SectionOutput:
    """What one command printed. `missing` means that its frame never arrived."""

    exit_status: int | None = None
    stdout_raw: bytes = field(default=b"", repr=False)
    stderr_raw: bytes = field(default=b"", repr=False)
    cut: bool = False
    true_size_bytes: int | None = None
    missing: bool = False

    # Not cached_property: on Python 3.11 all threads that read any host would take turns at one lock.
    @property
    def stdout(self) -> str:
        return self._text("stdout", self.stdout_raw)

    @property
    def stderr(self) -> str:
        return self._text("stderr", self.stderr_raw)

    def _text(self, name: str, raw: bytes) -> str:
        if name not in self.__dict__:
            self.__dict__[name] = clean_text(raw)
        found: str = self.__dict__[name]
        return found

    @property
    def ok(self) -> bool:
        return self.exit_status == 0 and not self.cut and not self.missing

    @property
    def command_missing(self) -> bool:
        return self.exit_status == NOT_FOUND_STATUS

    @property
    def timed_out(self) -> bool:
        return self.exit_status in TIMEOUT_STATUSES


@dataclass(frozen=True)
class ProbeOutput(Mapping[str, SectionOutput]):
    """All sections of one exec. Asking for a section that never arrived gives one marked `missing`."""

    sections: dict[str, SectionOutput]
    complete: bool
    problem: str = ""
    raw: bytes = field(default=b"", repr=False)

    def __getitem__(self, name: str) -> SectionOutput:
        return self.sections.get(name) or SectionOutput(missing=True)

    def __iter__(self) -> Iterator[str]:
        return iter(self.sections)

    def __len__(self) -> int:
        return len(self.sections)

    def __contains__(self, name: object) -> bool:
        return name in self.sections


def clean_text(raw: bytes) -> str:
    """Decode host output for people and databases: no NUL, no terminal codes, Unix line ends."""
    if not raw:
        return ""
    text = raw.decode("utf-8", errors="replace").replace("\r\n", "\n")
    # Almost all text is clean, and one search costs less than two substitutions.
    return _CONTROL.sub("", _ANSI.sub("", text)) if _CONTROL.search(text) else text


def detect_sections() -> tuple[Section, ...]:
    """The small first probe of a host whose OS family is not known."""
    return (
        Section("os_release", ("cat", "/etc/os-release"), 5, 65_536),
        Section("usr_os_release", ("cat", "/usr/lib/os-release"), 5, 65_536),
        Section("uname", ("uname", "-srm"), 5, 4096),
    )


def build_script(sections: Iterable[Section], nonce: str, budget_s: int = DEFAULT_BUDGET_S) -> bytes:
    """The POSIX sh script that runs the sections one after the other; it is sent on the stdin of `sh -s`.

    After `budget_s` the sections that are left are answered as timed out, so that one stuck service of the host
    does not cost the whole look.
    """
    if not _NONCE.fullmatch(nonce):
        raise ValueError("A nonce is 8 to 64 letters and digits.")
    lines = [_PREAMBLE.replace("@NONCE@", nonce).replace("@MAX_STDERR@", str(MAX_STDERR_BYTES))]
    lines[0] = lines[0].replace("@BUDGET@", str(int(budget_s)))
    seen: set[str] = set()
    for section in sections:
        lines.append(_section_line(section, seen))
    return ("".join(lines) + _END).encode()


def _section_line(section: Section, seen: set[str]) -> str:
    if not _NAME.fullmatch(section.name) or section.name in {"end", "workspace"} | seen:
        raise ValueError(f"Section name {section.name!r} is not usable or is used twice.")
    if not section.argv or any("\n" in word or "\0" in word for word in section.argv):
        raise ValueError(f"The command of section {section.name} must be words on one line.")
    seen.add(section.name)
    command = shlex.join(section.argv)
    return f"section {section.name} {int(section.timeout_s)} {int(section.max_bytes)} {command}\n"


def read_frames(output: bytes, nonce: str) -> ProbeOutput:
    """Read the frames of one exec. Text outside of frames is skipped, a cut frame is kept and marked."""
    marker = f"@@FLEETUI {nonce} ".encode()
    sections: dict[str, SectionOutput] = {}
    position = 0
    while (position := output.find(marker, position)) >= 0:
        found = _HEADER.match(output, position)
        if found is None:
            position += len(marker)
            continue
        if found["count"] is not None:
            complete = int(found["count"]) == len(sections) and "workspace" not in sections
            return ProbeOutput(sections, complete, "" if complete else _problem(sections), output)
        position = _take(output, found, sections)
    return ProbeOutput(sections, complete=False, problem=_problem(sections), raw=output)


def _take(output: bytes, found: re.Match[bytes], sections: dict[str, SectionOutput]) -> int:
    start = found.end()
    name, status, out, err, cut = found.group("name", "status", "out", "err", "cut")
    between = start + int(out)
    stop = between + int(err)
    section = name.decode()
    if section not in sections:
        sections[section] = SectionOutput(
            int(status),
            output[start:between],
            output[between:stop],
            cut is not None or stop > len(output),
            int(cut or out),
        )
    return min(stop, len(output))


def _problem(sections: Mapping[str, SectionOutput]) -> str:
    if "workspace" in sections:
        return "The host has no writable folder for temporary files, so nothing could be read."
    if not sections:
        return "The host printed nothing that could be read."
    last = next(reversed(sections)) if isinstance(sections, dict) else ""
    return f"The output of the host ends after section {last}."
