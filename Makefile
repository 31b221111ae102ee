# Every target sets up what it needs. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: core
core: ## compile the core and the host port and put them where whir_node finds them
	@cmake -S . -B build/cmake -G Ninja >/dev/null
	@cmake --build build/cmake
	@cmake --install build/cmake --prefix firmware >/dev/null
