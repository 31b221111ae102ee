#!/usr/bin/env bash
# All tests, group by group, with the time of each. `ci/test.sh long` runs the long forms instead; begun again on the same
# sources, it leaves out the groups that have passed.
set -uo pipefail
cd "$(dirname "$0")/.."
mode="${1:-short}"
mark=$([ "$mode" = long ] && echo long || echo "not long")
times=(); failed=()
sources="$(git ls-files -z -- '*.c' '*.h' '*.py' '*.ts' '*.toml' '*.sh' '*.txt' | xargs -0 cat | sha256sum | cut -c1-16)"
passed="build/test-long/$sources"
group() { # name, limit in minutes, command...
    local name="$1" limit="$2" start end; shift 2
    printf '\n== %s\n' "$name"; start=$(date +%s)
    if [ "$mode" = long ] && [ "$name" != install ] && [ -e "$passed/$name" ]; then echo "passed before"; return; fi
    if "$@"; then [ "$mode" != long ] || { mkdir -p "$passed" && touch "$passed/$name"; }; else failed+=("$name"); fi
    end=$(date +%s); times+=("$(printf '%-18s %4d s of %d min' "$name" $((end - start)) "$limit")")
}
c_tests() {
    cmake -S . -B build/c-tests -G Ninja -DWHIR_TESTS=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo >/dev/null &&
    cmake --build build/c-tests --parallel >/dev/null &&
    ctest --test-dir build/c-tests --output-on-failure $([ "$mode" = long ] && echo -L long || echo -LE long) &&
    grep -h "^    write size" build/c-tests/Testing/Temporary/LastTest.log # how many operations were cut
}
pytests() { .venv/bin/python -m pytest -q -m "$mark" "$@" || [ $? = 5 ]; }
beside() { # tests that go by in the background, then those beside which they do
    local background ended=0
    pytests "$1" >build/beside.log 2>&1 & background=$!
    shift
    pytests "$@" || ended=1
    wait "$background" || ended=1
    cat build/beside.log
    return "$ended"
}

group install 5 ci/install.sh test
[ ${#failed[@]} -eq 0 ] || exit 1
[ "$mode" = long ] || group check 2 ci/check.sh
group core 2 c_tests
group "firmware, fuzz" 5 beside tests/fuzz tests/contracts tests/firmware
group ml 3 pytests tests/ml
group "fleet, tools" 7 beside tests/tools tests/fleet
group "end to end" 4 pytests tests/e2e

printf '\n'; printf '%s\n' "${times[@]}"
if [ ${#failed[@]} -gt 0 ]; then printf 'FAILED: %s\n' "${failed[*]}"; exit 1; fi
