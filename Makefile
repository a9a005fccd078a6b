# Every target sets up what it needs; `make` alone lists them.
#
#   PYTHON=python3.12        the interpreter of the virtual environment
#   VENV=.venv               where the virtual environment stands
#   CONSTRAINTS=             without the tested versions: take whatever the index offers
#   TURNWISE_REQUIRE=...     docker,browser,vllm,gpu: tests that need these fail instead of skipping
#   SEED=0 RUN=runs/demo     for `make demo`
PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
SEED ?= 0
RUN ?= runs/demo
JOBS ?= auto

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP_FLAGS := --disable-pip-version-check --quiet $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))

.DEFAULT_GOAL := help
.PHONY: help install demo test check docs format typing-root clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(INSTALLED): pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) --upgrade pip setuptools
	$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[dev]'
	@touch $@

install: $(INSTALLED)  ## make the virtual environment with everything in it

demo: $(INSTALLED)  ## train an agent with multi-turn GRPO and show that it got better
	$(BIN)/turnwise demo --seed $(SEED) --output $(RUN)

test: $(INSTALLED)  ## run every test; those whose tools are missing skip and say why
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope

typing-root:
	@mkdir -p build/typing/turnwise
	@for package in envs verifiers agents; do ln -sfn $(CURDIR)/$$package build/typing/turnwise/$$package; done

check: $(INSTALLED) typing-root  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p turnwise.verifiers -p turnwise.envs -p turnwise.agents

format: $(INSTALLED)  ## format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: $(INSTALLED) typing-root  ## build the manual into site/
	$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[docs]'
	$(BIN)/mkdocs build --strict --quiet

clean:  ## remove what the other targets made, runs excepted
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis site
