#!/usr/bin/env bash
# Format, lint, types, generated files. Runs every check, then fails if one did.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=()
run() { # name, command...
    local name="$1"; shift
    if out="$("$@" 2>&1)"; then printf 'ok    %s\n' "$name"; else printf 'FAIL  %s\n%s\n' "$name" "$out"; failed+=("$name"); fi
}
mapfile -t c_files < <(git ls-files '*.c' '*.h')
run "ruff format" .venv/bin/ruff format --check --quiet .
run "ruff" .venv/bin/ruff check --quiet .
run "mypy" .venv/bin/mypy
run "page's types" build/npm/node_modules/.bin/tsc -p fleet/whir_fleet/web/virtual_esp32
run "console's types" build/npm/node_modules/.bin/tsc -p fleet/whir_fleet/console
run "console's texts" .venv/bin/python ci/console_texts.py --check
run "clang-format" .venv/bin/clang-format --dry-run -Werror "${c_files[@]}"
# shiftTooManyBitsSigned: the core needs arithmetic right shifts, and checks for them where it is compiled (bytes.h)
run "cppcheck" cppcheck --quiet --std=c99 --error-exitcode=1 --inline-suppr --enable=warning,performance,portability \
    --suppress=missingIncludeSystem --suppress=shiftTooManyBitsSigned -Ifirmware/core/include -Ifirmware/sensors/include -Ifirmware/ports/host firmware/core/src firmware/sensors/src firmware/ports/host
run "generated files" .venv/bin/python -m whir_contracts.generate --check
run "model card" .venv/bin/python -m whir_ml.card --check
run "generated tables" .venv/bin/python firmware/core/generate_tables.py --check
[ ${#failed[@]} -eq 0 ] || { printf '%d check(s) failed: %s\n' "${#failed[@]}" "${failed[*]}"; exit 1; }
