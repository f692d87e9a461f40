#!/usr/bin/env bash
# The stages of `make test`. Each says how long it took; the first one that fails ends the run.
# Usage: scripts/test.sh all|quick|lint|soak
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bin=.venv/bin
export PATH="$PWD/$bin:$PATH"
if [ -z "${FLEETUI_RIG:-}" ] && [ -x ../shared/rig/rig ]; then FLEETUI_RIG=$(cd ../shared/rig && pwd)/rig; fi
export FLEETUI_RIG=${FLEETUI_RIG:-}
# Where it is set, each of the many processes of a run would compile all modules again.
unset PYTHONDONTWRITEBYTECODE
stages=()
times=()
# Commands beside the stages, by name: their process groups and what they print.
declare -A beside=() beside_log=()

summary() {
    local code=$? index
    for index in "${!beside[@]}"; do
        # Packages that are half installed are worse than a minute more.
        if [ "$index" = packages ]; then
            echo "Waiting for Debian's packages to be installed ..." >&2
        else
            kill -INT -- "-${beside[$index]}" 2>/dev/null || continue
        fi
        wait "${beside[$index]}" || { [ "$index" != packages ] || tail -n 15 "${beside_log[$index]}" >&2; }
    done
    [ ${#stages[@]} -gt 0 ] || exit "$code"
    printf '\n%-40s %s\n' "stage" "seconds"
    for index in "${!stages[@]}"; do
        printf '%-40s %s\n' "${stages[$index]}" "${times[$index]:-failed}"
    done
    exit "$code"
}
trap summary EXIT

stage() {
    local name=$1 began=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    stages+=("$name")
    "$@"
    times+=($((SECONDS - began)))
}

# A command of its own process group that goes on beside the stages, until `stage ... joined NAME` waits for it and shows what it said.
start_beside() {
    local name=$1
    shift
    beside_log[$name]=$(mktemp)
    set -m
    "$@" </dev/null >"${beside_log[$name]}" 2>&1 &
    beside[$name]=$!
    set +m
}
joined() {
    local name=$1 code=0
    wait "${beside[$name]}" || code=$?
    unset "beside[$name]"
    cat "${beside_log[$name]}"
    rm -f "${beside_log[$name]}"
    return "$code"
}

system_packages() {
    # initdb and postgres come with the server's own package of Debian's current version.
    scripts/debian.sh openssh-server openssh-client chromium postgresql redis-server fonts-noto-core prometheus prometheus-alertmanager nginx-light haproxy gpg gpg-agent gpgv etcd-server etcd-client certbot pebble sudo openssl curl age
    if [ -n "$FLEETUI_RIG" ] && [ "$(id -u)" = 0 ]; then "$FLEETUI_RIG" setup; fi
}
# Elsewhere tests without them are skipped.
whole_in_ci() {
    [ "${CI:-}" = true ] || return 0
    if [ -z "$FLEETUI_RIG" ] || [ "$(id -u)" != 0 ]; then
        echo "The real test hosts (rig) need root and FLEETUI_RIG." >&2
        return 1
    fi
    if [ ! -d "${FLEETUI_CORPUS:-/nowhere}" ]; then
        echo "FLEETUI_CORPUS names no folder with recordings." >&2
        return 1
    fi
}

# With the settings of the tests: keys of their own, and no ./var that is in use.
manage() { DJANGO_SETTINGS_MODULE=tests.settings python manage.py "$@"; }
migrations_check() { manage makemigrations --check --dry-run; }
translations_check() { manage translations check; }

openapi_check() {
    local fresh
    fresh=$(mktemp)
    manage spectacular --file "$fresh" --validate --fail-on-warn || return
    diff -u docs/openapi.yaml "$fresh" || {
        echo "docs/openapi.yaml is not what the code says. Run: make openapi" >&2
        return 1
    }
    rm -f "$fresh"
}

templates_check() { git ls-files -z -- 'templates/*.html' | xargs -0 -r djade --check --target-version 5.2; }
shell_check() { bash -n scripts/*.sh .ci/run; }

lint() {
    stage "ruff check" ruff check .
    stage "ruff format" ruff format --check .
    stage "shell syntax" shell_check
    stage "types (mypy)" mypy ${CI:+--cache-dir=/dev/null} .
    stage "import contracts" lint-imports
    stage "templates (djade)" templates_check
    stage "migrations complete" migrations_check
    stage "translations complete" translations_check
    stage "OpenAPI document" openapi_check
}

slow="e2e or browser or rig or soak"
# Tests wait for hosts and processes some of their time.
tests() { pytest -n "${FLEETUI_TEST_PROCESSES:-$(($(nproc) + 1))}" --dist loadgroup -q --durations=15 "$@"; }
# Real hosts wait most of the time, for boots and timers.
real_hosts() { env --default-signal=INT pytest -q -p no:randomly --durations=0 --durations-min=10 -m "rig and not soak" tests; }
# Whole installations, which wait for hosts, browsers and clocks; those of one file share theirs.
installations() {
    env --default-signal=INT pytest -n 2 --dist loadfile --no-loadscope-reorder -q -p no:randomly --durations=25 \
        -m "(e2e or browser) and not (rig or soak)" tests
}
# A clean clone holds no compiled tests, and each process that finds none compiles all of them.
compiled() { pytest --collect-only -q >/dev/null; }
# What measures a whole fleet is alone on the machine; the other proofs wait for hosts, so that they run beside one another.
measured=(tests/soak/test_leaks.py tests/soak/test_bulk_500.py tests/soak/test_import_trial.py tests/soak/test_slow_lane.py)
soak_measured() { pytest -n 0 -v -s -p no:randomly --durations=0 -m soak "${measured[@]}"; }
soak_others() {
    env --default-signal=INT pytest -n 3 --dist loadfile -v -rP --show-capture=stdout -p no:randomly --durations=0 -m soak "${measured[@]/#/--ignore=}"
}
# Started once for all processes, before any of them reads the settings.
services_tests() { python -m tests.services scripts/test.sh on-services "$@"; }

case "${1:-all}" in
    lint) lint ;;
    quick) stage "unit and integration, SQLite" tests -m "not ($slow or postgresql)" "${@:2}" ;;
    soak)
        if [ $# -gt 1 ]; then
            stage "soak" pytest -n 0 -v -s -m soak "${@:2}"
            exit
        fi
        stage "Debian packages and test hosts" system_packages
        stage "soak: proofs that wait for hosts, beside one another" soak_others
        stage "soak: whole fleets, each by itself" soak_measured
        ;;
    on-services) tests "${@:2}" ;;
    all)
        # Debian's packages are awaited by all that runs, but not by what only reads. Who may not install is told at once.
        whole_in_ci
        stage "environment" scripts/setup.sh venv
        if [ "$(id -u)" = 0 ]; then start_beside packages system_packages; else system_packages; fi
        stage "Python packages" scripts/setup.sh dev
        lint
        stage "collecting" compiled
        if [ -n "${beside[packages]:-}" ]; then stage "Debian packages and test hosts, beside the stages above" joined packages; fi
        start_beside hosts real_hosts
        start_beside installations installations
        # What only computes fills the time in which those wait, and yields to them.
        renice -n 10 -p $$ >/dev/null
        # Most of what touches a database is run on PostgreSQL; `quick` runs it on SQLite, as whole installations do here.
        stage "unit and integration, SQLite" tests -m "(not database or one_database or both_databases) and not ($slow or postgresql)"
        stage "unit and integration, PostgreSQL + Redis" services_tests -m "database and not ($slow or sshd or one_database)"
        stage "end to end, browser, beside the stages above" joined installations
        stage "real hosts, beside the stages above" joined hosts
        ;;
    *)
        echo "Usage: scripts/test.sh all|quick|lint|soak" >&2
        exit 2
        ;;
esac
