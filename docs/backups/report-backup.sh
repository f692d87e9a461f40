#!/bin/sh
# Runs a command that makes a backup, and tells FleetUI how it ended. Ends as the command did.
# FLEETUI_URL, POLICY (the id of a policy of the kind reported), and FLEETUI_TOKEN or FLEETUI_TOKEN_FILE.
# Optional: LOCATION, and SIZE_FILE (a file whose size and SHA-256 are reported).
set -u
token=${FLEETUI_TOKEN:-$(cat "${FLEETUI_TOKEN_FILE:?}")}
output=$(mktemp)
trap 'rm -f "$output"' EXIT
started=$(date -u +%Y-%m-%dT%H:%M:%SZ)
status=0
"$@" >"$output" 2>&1 || status=$?
ended=$(date -u +%Y-%m-%dT%H:%M:%SZ)
cat "$output"

# As it stands in a string of JSON: one line, with quotes and backslashes escaped.
text() { printf '%s' "$1" | tr -d '\000-\037\177' | sed 's/[\\"]/\\&/g'; }

good=true message=
if [ "$status" -ne 0 ]; then
    good=false
    message="status $status: $(tail -n 1 "$output" | tr -cd 'A-Za-z0-9 .,:;/_=()-' | cut -c 1-200)"
fi
extra=
if [ "$status" -eq 0 ] && [ -n "${SIZE_FILE:-}" ]; then
    extra=$(printf ', "size_bytes": %s, "sha256": "%s"' "$(stat -c %s "$SIZE_FILE")" "$(sha256sum "$SIZE_FILE" | cut -d ' ' -f 1)")
fi
body=$(printf '{"good": %s, "started_at": "%s", "ended_at": "%s", "source": "%s", "location": "%s", "message": "%s"%s}' \
    "$good" "$started" "$ended" "$(text "$(uname -n | cut -c 1-100)")" "$(text "${LOCATION:-}")" "$message" "$extra")
# The token is not among the arguments, which others may read.
printf 'header = "Authorization: Bearer %s"\n' "$token" |
    curl -fsS --retry 5 --retry-connrefused --max-time 30 --config - -X POST -H 'Content-Type: application/json' -d "$body" \
        "$FLEETUI_URL/api/v1/backups/$POLICY/report/" >/dev/null || echo "The report did not reach FleetUI." >&2
exit "$status"
