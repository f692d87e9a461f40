#!/usr/bin/env bash
# Makes .venv and installs the pinned packages into it, once per change of the pins. With `venv` nothing is installed into it.
# Usage: scripts/setup.sh [run|dev|venv]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
extra=${1:-run}
pins=requirements.txt
if [ "$extra" = dev ]; then pins=requirements-dev.txt; fi

fail() { printf '%s\n' "$*" >&2; exit 1; }
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    local name
    if [ -n "${PYTHON:-}" ]; then
        # What a person named is taken or refused: another one in its place would be a surprise.
        if ! command -v "$PYTHON" >/dev/null 2>&1 || ! new_enough "$PYTHON"; then
            fail "PYTHON=$PYTHON is not a Python 3.11 or newer. Name one that is, or leave PYTHON out to have one found."
        fi
        command -v "$PYTHON"
        return
    fi
    for name in python3 python3.11 python3.12 python3.13 python3.14; do
        if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 && new_enough "$name"; then
            command -v "$name"
            return
        fi
    done
    fail "FleetUI needs Python 3.11 or newer, and none was found. On Debian 12: apt-get install python3 python3-venv (or name one: make run PYTHON=/path/to/python3)"
}

make_venv() {
    local python
    [ -w . ] || fail "$PWD cannot be written by $(id -un), and the environment is made there. Mend its owner and rights, or clone FleetUI into a folder of your own."
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
            fail "Python's venv module is missing. Install it as root: apt-get install python3-venv"
        fi
        echo "Installing python3-venv ..."
        scripts/debian.sh python3-venv
    fi
    echo "Making the environment in $venv ..."
    "$python" -m venv --clear "$venv"
}

[ -f "$pins" ] || fail "$pins is missing. Run: make requirements"
if [ -e "$venv/bin/python" ] && ! new_enough "$venv/bin/python"; then
    echo "The Python of $venv is gone or too old."
    rm -rf "$venv"
fi
# A folder that was moved still names its old place in its scripts; only the interpreter is used, so that does not matter.
[ -x "$venv/bin/python" ] || make_venv
[ "$extra" != venv ] || exit 0

stamp_of() {
    "$venv/bin/python" - "$1" <<'PY'
import hashlib, pathlib, sys

print(sys.version_info[:2], hashlib.sha256(pathlib.Path(sys.argv[1]).read_bytes()).hexdigest())
PY
}
wanted=$(stamp_of "$pins")
if [ "$(cat "$venv/.installed-$extra" 2>/dev/null)" = "$wanted" ]; then exit 0; fi

echo "Installing the pinned packages (once; this takes a minute or more) ..."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off --require-hashes -r "$pins" >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    fail "The packages of $pins could not be installed; the lines above are pip's. Once the cause is mended, run the same command again."
fi
printf '%s\n' "$wanted" >"$venv/.installed-$extra"
# The development pins hold all the others, at the same versions.
if [ "$extra" = dev ]; then stamp_of requirements.txt >"$venv/.installed-run"; fi
