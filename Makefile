.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.venv/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	$(BIN)/kdsearch schema > search_spaces/schema.json
	touch $@

.PHONY: help
help:  ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-13s %s\n", $$1, $$2}'

.PHONY: setup
setup: .venv/.ready  ## Install kdsearch and what it needs into .venv, at the locked versions

.PHONY: demo
demo: setup  ## Search over distillation recipes on scikit-learn's digits (a few minutes, no download)
	$(BIN)/kdsearch search search_spaces/digits.yaml

.PHONY: test
test: setup  ## Run the tests
	$(BIN)/python -m pytest $(ARGS)

.PHONY: test-long
test-long: setup  ## Run the tests that take minutes: faults, confirmations, jobs on a cluster, the notebook
	$(BIN)/python -m pytest -m long $(ARGS)

.PHONY: browser-test
browser-test: setup  ## Look at a search in MLflow with a real browser (needs Chromium)
	$(BIN)/uv pip install --quiet --python $(BIN)/python playwright
	$(BIN)/python -m pytest -m long tests/tune/test_browser.py $(ARGS)

.PHONY: check
check: setup  ## Lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: fuzz
fuzz: setup  ## Feed every parser with 24,000 generated and mutated inputs, in at most 8 GB of memory
	ulimit -v 8000000 && KDSEARCH_FUZZ=3000 $(BIN)/python -m pytest tests/fuzz $(ARGS)

.PHONY: audit
audit: setup  ## Hold requirements.lock against the known vulnerabilities (needs a way out)
	$(BIN)/uvx pip-audit --requirement requirements.lock --no-deps --disable-pip

.PHONY: bench
bench: setup  ## Run the benchmarks side by side and write their table to benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

.PHONY: bench-all
bench-all: bench  ## As bench, and then the tables of benchmarks/ that take longer (an hour in all)
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.share
	$(BIN)/python -m benchmarks.compiling
	$(BIN)/python -m benchmarks.together
	$(BIN)/python -m benchmarks.against_torchdistill
	$(BIN)/python -m benchmarks.losses

.PHONY: soak
soak: setup  ## 500 trials with a fault of a random kind every 20 s (at most 15 minutes)
	$(BIN)/python -m tests.soak $(ARGS)

.PHONY: cluster-test
cluster-test: setup  ## A search on two nodes, of which one is killed and replaced (some minutes)
	$(BIN)/python -m tests.cluster $(ARGS)

.PHONY: docs
docs: setup  ## Write the tables of docs/losses.md and docs/parts.md anew, from the registry
	sed -i '/^<!-- Below/q' docs/losses.md docs/parts.md
	$(BIN)/kdsearch losses --format markdown >> docs/losses.md
	$(BIN)/kdsearch parts --format markdown >> docs/parts.md

.PHONY: lock
lock: setup  ## Choose the newest versions again and write them to requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --extra onnx --upgrade --no-header \
		pyproject.toml --output-file requirements.lock
