#!/usr/bin/env bash
# Pins the newest packages that pyproject.toml allows, with hashes, for Python 3.11 and newer on every platform.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

uv=.venv/bin/uv
pin() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --custom-compile-command "make requirements" --upgrade --output-file "$@" pyproject.toml
}
pin requirements.txt
# The same versions for users and developers.
pin requirements-dev.txt --extra dev --constraint requirements.txt
if grep -nE '://|^-' requirements.txt requirements-dev.txt; then
    echo "The lines above name where packages come from. Take that out of pyproject.toml or uv's configuration." >&2
    exit 1
fi
