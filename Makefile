# Every target sets up what it needs. `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Resolves torch to its CPU build where that build is at hand; ordinary users do not need it.
CONSTRAINTS ?=

.PHONY: help install typing-root check format clean
typing-root:
	@mkdir -p build/typing/turnwise
	@for package in envs verifiers agents; do ln -sfn $(CURDIR)/$$package build/typing/turnwise/$$package; done

check: typing-root
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p turnwise.verifiers -p turnwise.envs -p turnwise.agents
