"""cat, ls, grep, find, df and their like, on the files a host knows."""

from __future__ import annotations

import asyncio
import math
import re

from simfleet.answers import files, flatcar
from simfleet.answers.base import Answer, Call, command, fail, options, say

BINARIES = frozenset(
    [
        "bootc",
        "cat",
        "chronyc",
        "containerd",
        "df",
        "docker",
        "find",
        "grep",
        "hostname",
        "id",
        "ip",
        "journalctl",
        "loginctl",
        "ls",
        "lsblk",
        "lscpu",
        "ostree",
        "podman",
        "rpm-ostree",
        "sh",
        "sudo",
        "systemctl",
        "systemd-run",
        "timeout",
        "toolbox",
        "uname",
        "zincati",
    ]
)


@command("cat")
def cat(call: Call) -> Answer:
    """Print files."""
    out, err = [], []
    for path in call.args:
        text = files.read(call.host, path, call.now)
        if text is None:
            reason = "Is a directory" if files.is_directory(call.host, path) else "No such file or directory"
            err.append(f"cat: {path}: {reason}\n")
        elif path in files.ROOT_ONLY and not call.root:
            err.append(f"cat: {path}: Permission denied\n")
        else:
            out.append(text)
    return Answer(1 if err else 0, "".join(out).encode(), "".join(err).encode())


@command("ls")
def ls(call: Call) -> Answer:
    """List paths, or what is in a directory."""
    flags, paths = options(call.args)
    out, err = [], []
    for path in paths or ["/"]:
        if not files.exists(call.host, path):
            err.append(f"ls: cannot access '{path}': No such file or directory\n")
        elif "-d" in flags or path in files.files_of(call.host):
            out.append(path)
        else:
            out.extend(files.listing(call.host, path))
    return Answer(2 if err else 0, "".join(f"{row}\n" for row in out).encode(), "".join(err).encode())


@command("stat")
def stat(call: Call) -> Answer:
    """When the boot order was written: only the form `stat -c %Y /boot/loader`."""
    host, asked = call.host, call.args
    if asked != ("-c", "%Y", "/boot/loader") or host.plan.os != "fcos":
        return fail(f"stat: cannot statx '{asked[-1] if asked else ''}': No such file or directory")
    # What was staged became first at the shutdown before this boot.
    return say(f"{int(host.order_at or host.booted_at - 20)}\n")


@command("find")
def find(call: Call) -> Answer:
    """Only the form `find DIR... -mindepth 1 -maxdepth 1 -printf FORMAT`."""
    args = [word for word in call.args if word not in {"-L", "-H", "-P"}]
    roots = args[: next((i for i, word in enumerate(args) if word.startswith("-")), len(args))]
    form = args[args.index("-printf") + 1] if "-printf" in args else "%p\\n"
    out, err = [], []
    for root in roots:
        if not files.is_directory(call.host, root):
            err.append(f"find: '{root}': No such file or directory\n")
            continue
        for name in files.listing(call.host, root):
            path = f"{root.rstrip('/')}/{name}"
            text = files.read(call.host, path, call.now)
            kind, size = ("d", 60) if text is None else ("f", len(text.encode()))
            row = form.replace("%y", kind).replace("%s", str(size)).replace("%p", path).replace("%f", name)
            out.append(row.replace("\\n", "\n").replace("\\0", "\0"))
    return Answer(1 if err else 0, "".join(out).encode(), "".join(err).encode())


def _grep_paths(call: Call, words: list[str], *, recursive: bool) -> list[str]:
    paths: list[str] = []
    for word in words:
        if recursive and files.is_directory(call.host, word):
            paths.extend(sorted(path for path in files.files_of(call.host) if path.startswith(word.rstrip("/") + "/")))
        else:
            paths.append(word)
    return paths


@command("grep")
def grep(call: Call) -> Answer:
    """The flags a probe uses: -E -s -H -h -R -r -a -Z -q -i -m N."""
    flags, limit, words = set[str](), 0, list[str]()
    rest = list(call.args)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        if re.fullmatch(r"-m\d+", word):
            limit = int(word[2:])
        elif word == "-m":
            limit = int(rest.pop(0))
        elif word.startswith("-") and len(word) > 1:
            flags |= set(word[1:])
        else:
            words.append(word)
    recursive = bool(flags & {"R", "r"})
    pattern = re.compile(words[0], re.IGNORECASE if "i" in flags else 0)
    paths = _grep_paths(call, words[1:], recursive=recursive)
    named = "H" in flags or ((recursive or len(paths) > 1) and "h" not in flags)
    end = "\0" if "Z" in flags else ":"
    out: list[str] = []
    err: list[str] = []
    for path in paths:
        text = files.read(call.host, path, call.now)
        if text is None:
            err.append(f"grep: {path}: No such file or directory\n")
            continue
        rows = [row for row in text.splitlines() if pattern.search(row)]
        out.extend((f"{path}{end}" if named else "") + row + "\n" for row in rows[: limit or None])
    status = 2 if err else 0 if out else 1
    return Answer(
        status,
        b"" if "q" in flags else "".join(out).encode(),
        b"" if "s" in flags else "".join(err).encode(),
    )


@command("df")
def df(call: Call) -> Answer:
    """POSIX output, in bytes or inodes."""
    flags, wanted = options(call.args)
    rows = {row[4]: row for row in files.filesystems(call.host, call.now)}
    inodes, typed = "-i" in flags, "-T" in flags
    unit = 1 if "-B1" in flags else 1024
    header = ["Filesystem", *(["Type"] if typed else [])]
    header += ["Inodes", "IUsed", "IFree", "IUse%"] if inodes else [f"{unit}-blocks", "Used", "Available", "Capacity"]
    lines = [[*header, "Mounted on"]]
    err: list[str] = []
    for mount in wanted or list(rows):
        if mount not in rows:
            err.append(f"df: {mount}: No such file or directory\n")
            continue
        device, kind, size, used, _ = rows[mount]
        if inodes:
            size, used = size // 16_384, used // 65_536
            if device == "composefs":
                size = used = 0
        numbers = [size // unit, used // unit, (size - used) // unit] if not inodes else [size, used, size - used]
        share = f"{math.ceil(100 * used / size)}%" if size else "-"
        lines.append([device, *([kind] if typed else []), *(str(number) for number in numbers), share, mount])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    out = "".join(
        " ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )
    return Answer(1 if err else 0, out.encode(), "".join(err).encode())


@command("test", "[")
def test(call: Call) -> Answer:
    """The file tests and string comparisons of test(1)."""
    words = [word for word in call.args if word != "]"]
    negated = words[:1] == ["!"]
    words = words[1:] if negated else words
    held = False
    if len(words) == 2:
        flag, value = words
        writable = {"/tmp", "/var/home/core", "/home/core"}  # noqa: S108  paths of the simulated host
        held = {
            "-e": files.exists(call.host, value),
            "-d": files.is_directory(call.host, value),
            "-f": value in files.files_of(call.host),
            "-r": files.exists(call.host, value),
            "-s": bool(files.read(call.host, value, call.now)),
            "-w": (call.root and files.exists(call.host, value)) or value in writable,
            "-n": value != "",
            "-z": value == "",
        }.get(flag, False)
    elif len(words) == 3:
        held = (words[0] == words[2]) == (words[1] in {"=", "==", "-eq"})
    elif len(words) == 1:
        held = words[0] != ""
    return Answer(0 if held != negated else 1)


@command("command", "which", "type")
def which(call: Call) -> Answer:
    """Where a command is, for `command -v NAME`."""
    name = call.argv[-1]
    binaries = BINARIES - flatcar.MISSING | flatcar.BINARIES if flatcar.is_flatcar(call.host) else BINARIES
    known = name in binaries or (call.host.plan.role.startswith("k8s") and name in {"crictl", "kubelet", "kubectl"})
    return say(f"/usr/bin/{name}\n") if known else Answer(1)


@command("true", ":", "mkdir", "sync", "trap", "umask", "set", "export", "unset")
def true(_: Call) -> Answer:
    """Nothing to say."""
    return Answer()


@command("mv")
def move(call: Call) -> Answer:
    """Rename a file that was written."""
    _, words = options(call.args)
    text = call.host.written.pop(words[0], None) if len(words) == 2 else None
    if text is None:
        return fail(f"mv: cannot stat '{words[0] if words else ''}': No such file or directory")
    call.host.written[words[1]] = text
    call.world.changed(call.host)
    return Answer()


@command("rm")
def remove(call: Call) -> Answer:
    """Remove files that were written."""
    flags, words = options(call.args)
    missing = [word for word in words if call.host.written.pop(word, None) is None]
    call.world.changed(call.host)
    if missing and "-f" not in flags:
        return fail(f"rm: cannot remove '{missing[0]}': No such file or directory")
    return Answer()


@command("touch")
def touch(call: Call) -> Answer:
    """An empty file."""
    for word in call.args:
        call.host.written.setdefault(word, "")
    call.world.changed(call.host)
    return Answer()


@command("false")
def false(_: Call) -> Answer:
    """Failure."""
    return Answer(1)


@command("echo")
def echo(call: Call) -> Answer:
    """The words again."""
    return say(" ".join(call.args) + "\n")


@command("sleep")
async def sleep(call: Call) -> Answer:
    """Wait for at most a minute."""
    try:
        await asyncio.sleep(min(60.0, float(call.args[0])))
    except (IndexError, ValueError):
        return fail("sleep: missing operand")
    return Answer()
