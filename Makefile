# Every target sets up what it needs. `make help` lists them.
BIN := .venv/bin
export WHIR_BUILD := $(CURDIR)/build
# Compiled modules are kept, also where the environment says not to: each of hundreds of processes would compile them anew.
export PYTHONPYCACHEPREFIX := $(WHIR_BUILD)/pycache
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-long bench check format generate core amalgamation coverage firmware-typecheck web
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

demo: ## the main job in this terminal (KEEP=1 leaves it running, SEED=n, DEMO_BREAK=gate|signature|alert)
	@start=$$(date +%s); ci/install.sh demo && \
	WHIR_INSTALL_S=$$(( $$(date +%s) - start )) $(BIN)/whir demo $(if $(SEED),--seed $(SEED)) $(if $(KEEP),--keep)

web: ## the virtual ESP32 as static files, in build/web/virtual-esp32/
	@ci/install.sh test && $(BIN)/whir web

test: ## everything that CI runs, at most 20 minutes
	@ci/test.sh

test-long: ## the long forms, at most 90 minutes
	@ci/test.sh long

bench: ## measure engine, quality and fleet into build/bench/
	@ci/install.sh bench && $(BIN)/whir bench engine && $(BIN)/whir bench quality && $(BIN)/whir bench fleet

check: ## format, lint, types, generated files up to date
	@ci/install.sh test && ci/check.sh

format: ## rewrite Python and C in the house style
	@ci/install.sh test && $(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet . ; $(BIN)/clang-format -i $$(git ls-files '*.c' '*.h')

generate: ## rewrite what comes from contracts/, the tables of the core, the console's texts
	@ci/install.sh demo && $(BIN)/python -m whir_contracts.generate && $(BIN)/python firmware/core/generate_tables.py && $(BIN)/python ci/console_texts.py

core: ## compile the core again after a change of its C
	@ci/install.sh demo

amalgamation: ## the core as two files, build/whir.c and build/whir.h
	@python3 firmware/core/amalgamate.py build

firmware-typecheck: ## ports/esp32 and main against real headers (IDF_PATH=esp-idf COMPONENTS=folder of esp-lwip, esp-mqtt, esp-nn, esp-tflite-micro)
	@IDF_PATH="$(IDF_PATH)" COMPONENTS="$(COMPONENTS)" python3 ci/firmware_typecheck.py

coverage: ## lines of the core and the drivers that the host tests reach, with sanitizers; at least 90 %
	@ci/install.sh test && ci/coverage.sh
