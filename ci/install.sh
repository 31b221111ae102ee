#!/usr/bin/env bash
# Installs what the given target needs: Debian packages where it may, Python packages into .venv. Does nothing the second time.
#   ci/install.sh demo|test|bench
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
target="${1:-demo}"

say() { printf '%s\n' "$*" >&2; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    say "Python 3.11 or newer is needed: apt-get install python3 python3-venv, or set PYTHON=/path/to/python3.11"; exit 1; }
command -v cc >/dev/null || command -v gcc >/dev/null || {
    say "A C compiler is needed: apt-get install build-essential"; exit 1; }

missing=()
"$python" -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
if [ "$target" != demo ]; then
    lists=(ci/packages.txt)
    [ "$target" = bench ] && lists+=(ci/packages-bench.txt)
    while read -r package; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done < <(cat "${lists[@]}")
    command -v npm >/dev/null || missing+=(nodejs npm)
fi
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "Debian packages: ${missing[*]}"
        DEBIAN_FRONTEND=noninteractive apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    else
        say "It needs these Debian packages; install them first: apt-get install ${missing[*]}"; exit 1
    fi
fi

mkdir -p build && exec 9>build/.install.lock && flock 9 # two make targets at once take turns

stamp() { cat "$@" | sha256sum | cut -d' ' -f1; }

want="$(stamp pyproject.toml)"
if [ "$(cat .venv/.packages 2>/dev/null)" != "$want" ]; then
    say "Python packages into .venv (TensorFlow is the large one) ..."
    # without python3-venv, Debian's python leaves a venv without pip behind
    [ -x .venv/bin/pip ] || "$python" -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --no-compile --editable '.[dev]' 2> >(grep -v '^WARNING: Location' >&2)
    echo "$want" > .venv/.packages
    rm -f .venv/.core
fi

# The compiled core, again whenever its sources change.
mapfile -t sources < <(find CMakeLists.txt firmware/core firmware/sensors firmware/ports/host -name '*.[ch]' -o -name CMakeLists.txt | sort)
want="$(stamp "${sources[@]}")"
if [ "$(cat .venv/.core 2>/dev/null)" != "$want" ]; then
    .venv/bin/python -m pip install --quiet --no-deps --editable . 2> >(grep -v '^WARNING: Location' >&2)
    echo "$want" > .venv/.core
fi

vendor=fleet/whir_fleet/console/static/vendor
if [ "$target" != demo ] && { ! cmp -s ci/npm/package-lock.json build/npm/installed.json || [ ! -d "$vendor" ]; }; then
    mkdir -p build/npm
    cp ci/npm/package.json ci/npm/package-lock.json build/npm/
    npm ci --prefix build/npm --no-audit --no-fund --silent
    ci/console_vendor.sh build/npm/node_modules # part of the package, but npm's, so never committed
    cp ci/npm/package-lock.json build/npm/installed.json
fi
