#!/usr/bin/env bash
# Line coverage of firmware/core and firmware/sensors by the tests of the firmware, with the undefined-behaviour sanitizer on (in the
# C tests the address sanitizer too). Fails below 90 %. Report: build/coverage/index.html
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-.venv/bin/python}"
coverage="--coverage -fprofile-abs-path"
build=build/coverage
rm -rf "$build" && mkdir -p "$build"
cmake -S . -B "$build/host" -G Ninja -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_C_FLAGS="$coverage -O1 -fsanitize=undefined -fno-sanitize-recover=all -Wno-error=conversion" >/dev/null
cmake --build "$build/host" >/dev/null
cmake --install "$build/host" --prefix "$build/lib" >/dev/null
cmake -S . -B "$build/c" -G Ninja -DWHIR_TESTS=ON -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS="$coverage" >/dev/null
cmake --build "$build/c" >/dev/null
ctest --test-dir "$build/c" --output-on-failure -LE long >"$build/ctest.log" || { tail -30 "$build/ctest.log"; exit 1; }
# The instrumented library in place of the installed one. Left out: what compiles or emulates and never calls it, and an hour of samples.
WHIR_INSTRUMENTED="$PWD/$build/lib/whir_node/_core.abi3.so" PYTHONPATH=ci "$python" -m pytest -q -p instrumented -m "not long" \
    -k "not over_an_hour and not ten_thousand_events and not 200_000" tests/firmware \
    --ignore=tests/firmware/test_portable.py --ignore=tests/firmware/test_nn_targets.py --ignore=tests/firmware/test_core_packages.py
"$python" -m gcovr --root . --filter 'firmware/(core|sensors)/src/' --exclude-unreachable-branches \
    --gcov-ignore-parse-errors=negative_hits.warn --fail-under-line 90 --html-details "$build/index.html" \
    --txt "$build/coverage.txt" "$build" || { cat "$build/coverage.txt"; exit 1; }
tail -3 "$build/coverage.txt"
