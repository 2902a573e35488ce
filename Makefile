# Two commands matter: `make demo` and `make test`. Both set up what they need; nothing needs root.
PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip install --quiet --require-hashes --no-build --python $(BIN)/python
# The project itself, for its console script `countersign`; uv carries the build backend, so nothing is fetched.
SELF := $(BIN)/uv pip install --quiet --offline --no-deps --python $(BIN)/python -e .
MYPY := SECRET_KEY=types DATABASE_URL=postgresql://types@/types $(BIN)/mypy
PLATFORM := $(BIN)/python -m governance.platform

.PHONY: demo run test attack lint clean

demo: $(VENV)/.demo  ## the whole road, live, on a platform that keeps running (DEMO_ONCE=1: check each step, stop, exit)
	@$(PLATFORM) demo

run: $(VENV)/.demo  ## the platform without the walk; Ctrl-C stops all of it
	@$(PLATFORM) run

test: $(VENV)/.dev $(VENV)/.clients  ## linters, types, import contract and the whole suite on real servers
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet . && $(BIN)/lint-imports --no-cache --no-logo && $(MYPY)
	@$(PLATFORM) exec -- $(BIN)/pytest -n auto $(ARGS)

attack: $(VENV)/.demo  ## every tampering route against a platform of its own: what caught it (WRITE=1: into the README)
	@$(BIN)/python -m tests.attacks

lint: $(VENV)/.dev
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix . && $(BIN)/lint-imports --no-cache --no-logo && $(MYPY)

.PHONY: bench profile bench-ledger bench-registry bench-datasets hammer
bench-ledger: $(VENV)/.dev  ## what the ledger costs and how fast its log is, against the goals; writes tests/benchmarks/results/ledger.json
	@$(PLATFORM) exec -- $(BIN)/python -m tests.benchmarks.ledger

bench-registry: $(VENV)/.dev  ## the registry beside a stock mlflow server, against the goals (PART=search: only that); writes tests/benchmarks/results/registry.json
	@$(PLATFORM) exec -- $(BIN)/python -m tests.benchmarks.registry $(PART)

bench-datasets: $(VENV)/.dev  ## what importing 10,000,000 rows takes (ROWS=… others); writes tests/benchmarks/results/datasets.json
	@$(PLATFORM) exec -- $(BIN)/python -m tests.benchmarks.importing

bench: $(VENV)/.dev  ## scoring beside the servers people use, against the goals (PART=peers, p99, memory, deploy, faults, explain or profile: only that; QUICK=1: little); writes tests/benchmarks/results/scoring.json
	@QUICK=$(QUICK) $(BIN)/python -m tests.benchmarks.scoring $(PART)

profile: $(VENV)/.dev  ## where the microseconds of a decision go in a scoring worker under load
	@QUICK=$(QUICK) $(BIN)/python -m tests.benchmarks.scoring profile

.PHONY: bench-shap
bench-shap: $(VENV)/.dev  ## explanations beside pred_contrib and shap, one row and 1,000, with AVX-512 and without
	@$(BIN)/python -m tests.benchmarks.explaining

hammer: $(VENV)/.dev  ## writers, sequencers and a witness killed at random for SECONDS (600): nothing lost, doubled or left out
	@$(PLATFORM) exec -- $(BIN)/python -m tests.hammer.blows $(or $(SECONDS),600)

.PHONY: hammer-intake
hammer-intake: $(VENV)/.dev  ## intake workers killed at random, KILLS (100) times: no version is half-pinned
	@KILLS=$(or $(KILLS),100) $(PLATFORM) exec -- $(BIN)/pytest -n 0 tests/registry/test_pinning.py -k killed

clean:  ## forget the environment; the data folder (.countersign) stays
	rm -rf $(VENV)

$(VENV)/bin/uv: requirements/uv.txt
	@echo "Setting up $(VENV) …"
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: PY=python3.12 make demo" >&2; exit 1; }
	@$(PY) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV)/.demo: requirements/demo.txt pyproject.toml $(VENV)/bin/uv
	@$(UV) -r requirements/demo.txt
	@$(SELF)
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml $(VENV)/bin/uv
	@$(UV) -r requirements/dev.txt
	@$(SELF)
	@touch $@ $(VENV)/.demo

$(VENV)/.clients: requirements/clients.txt $(VENV)/bin/uv
	@$(PY) -m venv --clear --without-pip $(VENV)/clients
	@$(BIN)/uv pip install --quiet --require-hashes --no-build --python $(VENV)/clients/bin/python -r requirements/clients.txt
	@touch $@

.PHONY: lock
lock: $(VENV)/bin/uv  ## resolve again; one universal file for each environment, without addresses
	@set -e; for set in "dev --all-extras --group dev" "demo --extra worker --extra embedded -c requirements/dev.txt" "web -c requirements/dev.txt"; do \
	  name=$${set%% *}; flags=$${set#$$name}; \
	  $(BIN)/uv pip compile pyproject.toml $$flags --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-build --quiet -o requirements/$$name.txt; done; \
	$(BIN)/uv pip compile --group clients --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-build --quiet -o requirements/clients.txt
