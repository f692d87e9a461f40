#!/usr/bin/env bash
# Installs the named Debian packages that are missing. As root only; otherwise one line says what to install.
# Usage: scripts/debian.sh PACKAGE...
set -euo pipefail

missing=()
for package in "$@"; do
    state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    if [ "${state:0:2}" != ii ]; then missing+=("$package"); fi
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ]; then
    printf 'Not installed: %s. Install as root: apt-get install %s\n' "${missing[*]}" "${missing[*]}" >&2
    exit 1
fi

echo "Installing from Debian: ${missing[*]} ..."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# No service may start by itself: the tests start what they need, on ports and in folders of their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$log" "$policy"' EXIT
fi
install() { apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${missing[@]}" >>"$log" 2>&1; }
install || { apt-get -o DPkg::Lock::Timeout=600 update >>"$log" 2>&1 && install; } || {
    tail -n 15 "$log" >&2
    printf 'apt-get could not install: %s. The lines above are its own.\n' "${missing[*]}" >&2
    exit 1
}
