"""Commands that change what Podman runs for root: images, and the units that run containers.

A file that somebody wrote is never edited: which image a unit runs is changed by a drop-in of its own beside it.
"""

import re
from collections.abc import Callable, Mapping

from nodes.hosts.drivers.base import BOOT_CHANGED_STATUS, Command, CommandRefused
from nodes.hosts.drivers.sections import IMAGE_WORD
from nodes.hosts.drivers.units import refusal
from nodes.hosts.references import parse

#: The file that says which image a unit runs instead of the one in its own file.
DROPIN = "50-fleetui-image.conf"
#: So the image that ran before is kept: a name of its own, by which no clean-up finds it unused.
KEPT = "localhost/fleetui/"
#: The command of a plain unit does not name its image in a way that is clear.
UNCLEAR_STATUS = 65
_SUDO = ("sudo", "-n")
_ID = re.compile(r"(?:sha256:)?[0-9a-f]{12,64}")
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_PATH = re.compile(r"/[A-Za-z0-9:_.@/-]{1,400}")
_MOST_IMAGES = 200
MOST_LOG_LINES = 1000
LONGEST_FOLLOW_S = 600
#: How `timeout` ends what it ended.
TIME_IS_OVER = frozenset({124, 143})

# Looked at first: a repeat finds its own mark, and does nothing but let systemd read it. The words of a plain unit are
# taken from its file on the host, since they may hold secrets.
_WRITE = (
    'set -e; if [ "$(head -n 1 "$1" 2>/dev/null)" != "$2" ]; then'
    ' [ -z "$6" ] || podman tag "$6" "$7"; mkdir -p "${1%/*}";'
    ' if [ "$3" = quadlet ]; then printf "%s\\n[Container]\\nImage=%s\\n" "$2" "$4" >"$1.new"; chmod 644 "$1.new";'
    ' else printf "%s\\n[Service]\\nExecStart=\\n" "$2" >"$1.new"; chmod --reference="$5" "$1.new";'
    ' awk -v new="$4" \'FNR == 1 { rest = "" }'
    r' { line = rest $0; if (line ~ /\\$/) { rest = substr(line, 1, length(line) - 1); next } rest = "" }'
    r' line ~ /^ExecStart=.*podman .*run / { count = split(line, word, /[ \t]+/); old = "";'
    rf' for (i = 1; i <= count; i++) if (word[i] ~ "{IMAGE_WORD}") {{ if (old != "") exit 65; old = word[i] }}'
    r' at = index(line, old); if (old == "" || index(substr(line, at + 1), old)) exit 65; done = 1;'
    r" print substr(line, 1, at - 1) new substr(line, at + length(old)); next }"
    r" line ~ /^ExecStart=/ { print line } END { if (!done) exit 65 }' "
    + '"$5" >>"$1.new" || { rm -f "$1.new"; rmdir "${1%/*}" 2>/dev/null; exit 65; }; fi;'
    ' if [ -e "$1" ]; then cp -p "$1" "$1.before"; else rm -f "$1.before"; fi;'
    ' mv "$1.new" "$1"; fi; systemctl daemon-reload; systemctl reset-failed "$8" 2>/dev/null || true'
)
# The way back: what was there before the mark, and what the tag meant then.
_TAKE_BACK = (
    'set -e; if [ "$(head -n 1 "$1" 2>/dev/null)" = "$2" ]; then'
    ' if [ -e "$1.before" ]; then mv "$1.before" "$1";'
    ' else rm -f "$1"; rmdir "${1%/*}" 2>/dev/null || true; fi; fi;'
    ' [ -z "$4" ] || podman tag "$3" "$4";'
    # What was kept before is kept again.
    ' if [ -n "$7" ]; then podman tag "$7" "$6"; else podman untag "$6" "$6" 2>/dev/null || true; fi;'
    " systemctl daemon-reload;"
    # What was started too often is not started any more before this.
    ' systemctl reset-failed "$5" 2>/dev/null || true'
)
_SETTLE = 'rm -f "$1.before"'
# A container without a unit: only if it is still the one that was seen, as it was seen.
_ONCE = (
    'now=$(podman container inspect --format "{{.Id}} {{.State.StartedAt.Unix}}" "$2") || exit 1;'
    ' [ "$now" = "$3" ] || { echo "the container was started or stopped since this was decided" >&2; exit 75; };'
    ' podman "$1" "$2"'
)
# Likewise a unit, by its invocation.
_UNIT_ONCE = (
    'now=$(systemctl show --property=InvocationID --value "$2"); [ "$now" = "$3" ] ||'
    ' { echo "the unit was started anew since this was decided" >&2; exit 75; };'
    ' systemctl "$1" "$2"; echo "systemctl $1 ended with status $?"'
)
assert f"exit {BOOT_CHANGED_STATUS}" in _ONCE  # noqa: S101  (the statuses of all guards are the same)
assert f"exit {UNCLEAR_STATUS}" in _WRITE  # noqa: S101


def kept_name(unit: str) -> str:
    """Under which name the image that a unit ran before is kept."""
    stem = re.sub(r"[^a-z0-9]+", "-", unit.removesuffix(".service").lower()).strip("-") or "unit"
    return f"{KEPT}{stem}:previous"


def dropin_path(unit: str, kind: str, source: str) -> str:
    """Where the drop-in of a unit lies."""
    if kind != "quadlet":
        return f"/etc/systemd/system/{unit}.d/{DROPIN}"
    folder, _slash, name = source.rpartition("/")
    if not folder.startswith("/etc/containers/systemd"):
        folder = "/etc/containers/systemd"
    return f"{folder}/{name}.d/{DROPIN}"


def mark_of(image: str, operation: str) -> str:
    """The first line of a drop-in of ours: which operation wrote it, and for which image."""
    return f"# Written by FleetUI, operation {operation}: {image}"


def _reference(params: dict[str, object], name: str) -> str:
    value = params.pop(name, None)
    if not isinstance(value, str) or not (parse(value) or _ID.fullmatch(value)):
        raise CommandRefused(f"The parameter {name} names an image.")
    return value


def _path(params: dict[str, object], name: str) -> str:
    value = params.pop(name, None)
    if not isinstance(value, str) or not _PATH.fullmatch(value) or ".." in value:
        raise CommandRefused(f"The parameter {name} is the path of a file of a unit.")
    return value


def _mark(params: dict[str, object]) -> str:
    value = params.pop("mark", None)
    if not isinstance(value, str) or not value.startswith("# ") or "\n" in value:
        raise CommandRefused("The parameter mark is a line of comment.")
    return value


def _container(params: dict[str, object]) -> str:
    value = params.pop("container", None)
    if not isinstance(value, str) or not _CONTAINER.fullmatch(value):
        raise CommandRefused("The parameter container names a container.")
    return value


def _unit(params: dict[str, object]) -> str:
    value = params.pop("unit", None)
    if not isinstance(value, str) or refusal(value):
        raise CommandRefused("The parameter unit names a unit that may be restarted.")
    return value


def _pull(params: dict[str, object]) -> Command:
    return Command((*_SUDO, "podman", "pull", "--quiet", _reference(params, "image")), long=True)


def _tag(params: dict[str, object]) -> Command:
    image, name = _reference(params, "image"), _reference(params, "name")
    return Command((*_SUDO, "podman", "tag", image, name))


def _image_shown(params: dict[str, object]) -> Command:
    """Prints the id and REPOSITORY@DIGEST words; ends with 125 where the host has no such image."""
    shown = "{{.Id}}{{range .RepoDigests}} {{.}}{{end}}"
    return Command(
        (*_SUDO, "podman", "image", "inspect", "--format", shown, _reference(params, "image")), changes=False
    )


def _container_shown(params: dict[str, object]) -> Command:
    """Prints the id of the image, the state, and what the health check says where there is one."""
    shown = "{{.Image}} {{.State.Status}}{{if .State.Health}} {{.State.Health.Status}}{{end}}"
    return Command((*_SUDO, "podman", "container", "inspect", "--format", shown, _container(params)), changes=False)


def _started_shown(params: dict[str, object]) -> Command:
    """Prints what a later command compares: the container's id, and when it was started."""
    shown = "{{.Id}} {{.State.StartedAt.Unix}}"
    return Command((*_SUDO, "podman", "container", "inspect", "--format", shown, _container(params)), changes=False)


def _image_set(params: dict[str, object]) -> Command:
    """`how` is quadlet or unit; `before` is the id of the image that is kept as `kept`."""
    image, how = _reference(params, "image"), params.pop("how", None)
    path, source, mark = _path(params, "path"), _path(params, "source"), _mark(params)
    before = _optional(params, "before")
    kept = _reference(params, "kept")
    if how not in ("quadlet", "unit"):
        raise CommandRefused("The parameter how is quadlet or unit.")
    words = (path, mark, str(how), image, source, before, kept, _unit(params))
    return Command((*_SUDO, "sh", "-c", _WRITE, "fleetui-image", *words))


def _image_unset(params: dict[str, object]) -> Command:
    """`before` and `name`: the image that ran before, and the tag that meant it, where there was one; `kept` and `kept_id`
    likewise of the one before that."""
    path, mark, kept = _path(params, "path"), _mark(params), _reference(params, "kept")
    before, name, kept_id = (_optional(params, one) for one in ("before", "name", "kept_id"))
    words = (path, mark, before, name if before else "", _unit(params), kept, kept_id)
    return Command((*_SUDO, "sh", "-c", _TAKE_BACK, "fleetui-image-back", *words))


def _optional(params: dict[str, object], name: str) -> str:
    return _reference(params, name) if params.get(name) else str(params.pop(name, "") or "")


def _image_settled(params: dict[str, object]) -> Command:
    return Command((*_SUDO, "sh", "-c", _SETTLE, "fleetui-image-settled", _path(params, "path")))


def _images_removed(params: dict[str, object]) -> Command:
    """By every name, or by id where an image has none: Podman refuses the id of one with several names, and forcing it would
    remove containers. One that a container uses meanwhile stays."""
    images = params.pop("images", ())
    if not isinstance(images, list | tuple) or not 0 < len(images) <= _MOST_IMAGES:
        raise CommandRefused("The parameter images is a list of names or ids of images.")
    if not all(isinstance(one, str) and (parse(one) or _ID.fullmatch(one)) for one in images):
        raise CommandRefused("The parameter images holds what is no image.")
    return Command((*_SUDO, "podman", "image", "rm", "--ignore", *images), long=True)


_AUTO_UPDATE = "{{.Unit}}\t{{.ContainerName}}\t{{.Image}}\t{{.Policy}}\t{{.Updated}}"


def _auto_update(_params: dict[str, object]) -> Command:
    """With Podman's own roll back: a unit that does not start again gets the image that it had."""
    return Command((*_SUDO, "podman", "auto-update", "--rollback", "--format", _AUTO_UPDATE), long=True)


def _auto_update_shown(_params: dict[str, object]) -> Command:
    return Command((*_SUDO, "podman", "auto-update", "--dry-run", "--format", _AUTO_UPDATE), long=True, changes=False)


#: The time to follow begins after the last lines: a busy host needs longer for them than a short time to follow is.
_FOLLOW = (
    'now=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ); podman logs --timestamps --tail "$1" --until "$now" "$3" || exit; '
    'exec timeout "$2" podman logs --timestamps --since "$now" --follow "$3"'
)


def _logs(params: dict[str, object]) -> Command:
    """The last `lines`, and what comes within `seconds`; 0 for nothing more. It ends by itself."""
    name, lines, seconds = _container(params), params.pop("lines", None), params.pop("seconds", None)
    if not isinstance(lines, int) or not 0 < lines <= MOST_LOG_LINES:
        raise CommandRefused(f"The parameter lines is a number up to {MOST_LOG_LINES}.")
    if not isinstance(seconds, int) or not 0 <= seconds <= LONGEST_FOLLOW_S:
        raise CommandRefused(f"The parameter seconds is a number up to {LONGEST_FOLLOW_S}.")
    shown = ("podman", "logs", "--timestamps", "--tail", str(lines))
    if not seconds:
        return Command((*_SUDO, *shown, name), long=True, changes=False)
    argv = (*_SUDO, "sh", "-c", _FOLLOW, "fleetui-logs", str(lines), str(seconds), name)
    return Command(argv, long=True, changes=False, unchanged_statuses=TIME_IS_OVER)


_VERBS = ("start", "stop", "restart")


def _power(params: dict[str, object]) -> Command:
    """`verb` on a unit, or on a container that none runs. Without `seen` it is a plan, and shows the plain command."""
    verb, unit, seen = params.pop("verb", None), params.pop("unit", None), params.pop("seen", None)
    if verb not in _VERBS:
        raise CommandRefused("The parameter verb is start, stop or restart.")
    if unit is None:
        name, script, plain = _container(params), _ONCE, ("podman", str(verb))
    else:
        name, script, plain = _unit({"unit": unit}), _UNIT_ONCE, ("systemctl", str(verb))
    if seen is None:
        return Command((*_SUDO, *plain, name), long=True)
    if not isinstance(seen, str) or not re.fullmatch(r"[0-9a-f]{0,64}(?: -?[0-9]{1,12})?", seen):
        raise CommandRefused("The parameter seen is what the host said of it before.")
    return Command((*_SUDO, "sh", "-c", script, "fleetui-power", str(verb), name, seen), long=True)


MAKERS: Mapping[str, Callable[[dict[str, object]], Command]] = {
    "image_pull": _pull,
    "image_tag": _tag,
    "image_shown": _image_shown,
    "container_shown": _container_shown,
    "container_started": _started_shown,
    "container_image": _image_set,
    "container_image_back": _image_unset,
    "container_image_settled": _image_settled,
    "images_removed": _images_removed,
    "auto_update": _auto_update,
    "auto_update_shown": _auto_update_shown,
    "container_power": _power,
    "container_logs": _logs,
}
