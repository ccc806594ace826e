# One short command per chore; CI runs the same ones. Written for GNU make 3.81, which is what macOS has.
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-stop test check format lock test-docker test-emr7 test-interop test-lakes package verify-bare verify-image \
	bench bench-goals bench-growth bench-pictures chaos fuzz matrix audit docs recording release-check clean

# The first of these that runs and is 3.9 or newer. `make setup PYTHON=...` chooses another, and .venv keeps it.
PYTHON ?= $(shell for python in python3.11 python3 python3.13 python3.12 python3.10 python3.9; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null && echo "$$python" && break; done)
EMR7_PYTHON ?= $(shell for python in python3.9 $(HOME)/.pyenv/versions/3.9*/bin/python3.9; do \
	"$$python" -c '' 2>/dev/null && echo "$$python" && break; done)
BIN := .venv/bin
UV := build/uv/bin/uv
UV_VERSION := 0.13.8
LOCK := $(UV) pip compile --quiet --universal --python-version 3.9 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(LOCK_FLAGS)
# Half of the tests' time is waiting: for a JVM to start, a server to stop, a lock. So four workers use two cores.
# Each has a server and a Spark of its own.
WORKERS ?= 4
PARALLEL := --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
SCALE ?= 1
ROUNDS ?= 3
BENCH := PYTHONPATH=scripts:. .venv-bench/bin/python -m bench
SEED ?= 1
VENV ?= .venv
TIMES ?= 200
LANES ?= 2
SECONDS ?= 60
BARE := build/bare
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
TAG ?= v$(VERSION)
RELEASE ?= emr-spark-8.1.0
ARCH ?= x86_64
SUDO := $(shell test "$$(id -u)" = 0 || echo sudo)
COMPOSE := docker compose --file tests/compose.yaml

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: ## create .venv from the lock files, find or install Java, configure spark-submit
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || { echo >&2 \
		"$(if $(PYTHON),$(PYTHON) is no,PATH has no) Python 3.9 or newer:" \
		"install one, or say make setup PYTHON=/path/to/python3"; exit 1; }
	@"$(PYTHON)" scripts/setup.py $(if $(filter file,$(origin PYTHON)),--keep-python)

demo: setup ## load five tables into a PostgreSQL of its own, and run a query
	@$(BIN)/python scripts/demo.py

demo-stop: ## stop the demo's PostgreSQL
	@test ! -x $(BIN)/python || $(BIN)/python scripts/demo.py --stop

test: setup ## run the tests, WORKERS=4 files at once; TEST_DATABASE_URL=postgresql://... chooses another server
	$(BIN)/pytest $(PARALLEL)

check: setup ## format, lint, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest --quiet tests/unit/test_layers.py

format: setup ## format the code, and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(UV) ## pin pyproject.toml's dependencies in requirements/; LOCK_FLAGS=--upgrade upgrades them
	$(LOCK) pyproject.toml --group dev --output-file requirements/dev.lock
	$(LOCK) pyproject.toml --constraint requirements/dev.lock --output-file src/pgjobs/archive/runtime.lock
	$(LOCK) --group build --constraint requirements/dev.lock --output-file requirements/build.lock
	$(LOCK) --group demo --no-deps --output-file requirements/demo.lock
	$(LOCK) --group interop --output-file requirements/interop.lock
	$(LOCK) --group lakes --output-file requirements/lakes.lock
	$(LOCK) --group bench --constraint requirements/dev.lock --output-file requirements/bench.lock
	$(LOCK) --group audit --output-file requirements/audit.lock
	$(LOCK) --group docs --constraint requirements/dev.lock --output-file requirements/docs.lock
	$(LOCK) --group fuzz --output-file requirements/fuzz.lock
	$(LOCK) --group spark-3.5 --output-file requirements/spark-3.5.lock
	$(LOCK) --group spark-4.0 --output-file requirements/spark-4.0.lock
	$(LOCK) --group spark-4.1 --output-file requirements/spark-4.1.lock

$(UV):
	"$(PYTHON)" -m venv build/uv
	build/uv/bin/pip install --quiet uv==$(UV_VERSION)

test-docker: setup ## run the tests that need a database on the image postgres:$POSTGRES_VERSION (18)
	trap '$(COMPOSE) down --volumes' EXIT; trap 'exit 130' INT TERM; \
		$(COMPOSE) up --detach --wait && \
		TEST_DATABASE_URL="postgresql://postgres:postgres@$$($(COMPOSE) port postgres 5432)/postgres" \
		$(BIN)/pytest tests/postgres tests/spark tests/guarantees

test-emr7: ## run the tests as EMR 7 would: Python 3.9, PySpark 3.5
	@if test -z "$(EMR7_PYTHON)"; then echo "test-emr7: skipped, no python3.9 on PATH nor under ~/.pyenv"; else \
		"$(EMR7_PYTHON)" scripts/setup.py --venv .venv-emr7 && .venv-emr7/bin/pytest $(PARALLEL); fi

package: setup ## pack dist/pyspark_venv.tar.gz for EMR Serverless
	$(BIN)/pgjobs package

audit: package .venv-audit/complete ## pack, write the SBOM of the archive, look up known vulnerabilities
	$(BIN)/python -m pgjobs.checks.audit dist/pyspark_venv.tar.gz

.venv-audit/complete: requirements/audit.lock
	"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10) and "make audit wants Python 3.10 or newer: pip-audit does")'
	"$(PYTHON)" -m venv --clear .venv-audit
	.venv-audit/bin/pip install --quiet --no-deps --require-hashes --requirement requirements/audit.lock
	echo '*' > .venv-audit/.gitignore
	touch $@

docs: .venv-docs/complete ## build the site of docs/ in build/site; a warning or a dead link fails it
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --clean --quiet
	@echo "build/site/index.html"

recording: setup .venv-docs/complete ## run the demo anew, and draw what it prints as docs/assets/demo.svg
	@.venv-docs/bin/python scripts/recording.py

.venv-docs/complete: requirements/docs.lock
	"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10) and "make docs wants Python 3.10 or newer: mkdocstrings does")'
	"$(PYTHON)" -m venv --clear .venv-docs
	.venv-docs/bin/pip install --quiet --no-deps --require-hashes --requirement requirements/docs.lock
	echo '*' > .venv-docs/.gitignore
	touch $@

release-check: $(UV) ## build the release of TAG, and try its wheel in an empty environment of each Python; PYTHONS='3.9 3.13'
	PATH="$(CURDIR)/build/uv/bin:$$PATH" "$(PYTHON)" scripts/release.py "$(TAG)" $(PYTHONS:%=--python %)

verify-bare: setup $(BARE)/complete ## run the archive in a bare Debian 12 (needs debootstrap, and root or sudo)
	$(BIN)/pytest tests/guarantees/test_archive_elsewhere.py

$(BARE)/complete:
	@command -v debootstrap >/dev/null || { echo >&2 "Not verified: no debootstrap here. On Debian: apt install debootstrap"; exit 1; }
	$(SUDO) rm -rf --one-file-system $(BARE)
	mkdir -p build
	$(SUDO) debootstrap --variant=minbase --include=python3.11-minimal,libpython3.11-stdlib bookworm $(BARE) >build/bare.log \
		|| { tail -n 3 build/bare.log >&2; exit 1; }
	$(SUDO) touch $@

verify-image: setup ## check dist's archive in the image of RELEASE (emr-spark-8.1.0), ARCH (x86_64), or in IMAGE
	@$(BIN)/python -m pgjobs.checks.image dist/pyspark_venv.tar.gz --release $(RELEASE) --arch $(ARCH) $(if $(IMAGE),--image $(IMAGE))

test-interop: setup .venv-interop/complete ## meet a real Airflow (connections, the example DAG) and a real CocoIndex (copies)
	$(BIN)/pytest tests/interop

.venv-interop/complete: requirements/interop.lock
	"$(PYTHON)" -m venv --clear .venv-interop
	.venv-interop/bin/pip install --quiet --no-deps --require-hashes --requirement requirements/interop.lock
	echo '*' > .venv-interop/.gitignore
	touch $@

test-lakes: .venv-lakes/complete ## load from a real Iceberg, by Spark 3.5 (Python 3.10 to 3.12)
	.venv-lakes/bin/pytest tests/lakes

.venv-lakes/complete: requirements/dev.lock requirements/spark-3.5.lock requirements/lakes.lock
	"$(PYTHON)" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13) and "make test-lakes wants Python 3.10 to 3.12: its package of Iceberg does")'
	"$(PYTHON)" scripts/setup.py --venv .venv-lakes --spark 3.5
	.venv-lakes/bin/pip install --quiet --no-deps --require-hashes --requirement requirements/lakes.lock
	echo '*' > .venv-lakes/.gitignore
	touch $@

bench: .venv-bench/complete ## measure loads beside JDBC and others; SCALE=1 (6,001,215 rows), ROUNDS=3, ONLY=compare
	$(BENCH) --scale $(SCALE) --rounds $(ROUNDS) $(ONLY:%=--only '%')
	$(if $(ONLY),,$(BENCH).capture --repeats $(ROUNDS))

bench-growth: .venv-bench/complete ## measure few ways at the scales 0.1, 0.3, 1 and 3; ROUNDS=3
	for scale in 0.1 0.3 1 3; do $(BENCH) --scale $$scale --rounds $(ROUNDS) --growth || exit 1; done

bench-pictures: .venv-bench/complete ## draw what make bench measured: tables and pictures in docs/
	$(BENCH).draw

bench-goals: .venv-bench/complete ## measure only what the goals are about; SCALE=1, ROUNDS=3
	$(BENCH) --scale $(SCALE) --rounds $(ROUNDS) --goals

.venv-bench/complete: requirements/dev.lock requirements/build.lock requirements/bench.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo >&2 "No Python 3.9 or newer on PATH: say make bench PYTHON=/path/to/python3"; exit 1; }
	"$(PYTHON)" scripts/setup.py --venv .venv-bench
	.venv-bench/bin/pip install --quiet --no-deps --require-hashes --requirement requirements/bench.lock
	touch $@

chaos: setup ## break real jobs at random, and check what is left; SEED=1 TIMES=200 LANES=2 VENV=.venv-emr7
	@test "$(VENV)" != .venv-emr7 || "$(or $(EMR7_PYTHON),python3.9)" scripts/setup.py --venv .venv-emr7
	$(VENV)/bin/python -m chaos --seed $(SEED) --times $(TIMES) --lanes $(LANES)

fuzz: setup build/atheris/complete ## run generated input through parsers, the protocol, COPY and whole loads; SECONDS=60 each, TARGET=uri
	PYTHONPATH=build/atheris $(BIN)/python -m fuzz --seconds $(SECONDS) $(TARGET:%=--target %)

build/atheris/complete: requirements/fuzz.lock
	$(BIN)/pip install --quiet --no-deps --require-hashes --upgrade --target build/atheris --requirement requirements/fuzz.lock
	mkdir -p build/atheris && touch $@

matrix: setup ## run the tests on each PostgreSQL, PySpark and Python; PAIRS='core-*python-3.9' TESTS=path
	$(BIN)/python -m matrix --pairs $(PAIRS) --tests $(TESTS) --workers $(WORKERS) $(PYTHONS:%=--python %)

clean: ## remove everything that was made here, including the demo and its data
	@test ! -x $(BIN)/python || $(BIN)/python scripts/demo.py --remove
	@test ! -d $(BARE) || $(SUDO) rm -rf --one-file-system $(BARE)
	rm -rf .venv .venv-emr7 .venv-interop .venv-lakes .venv-bench .venv-audit .venv-docs .demo build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache spark-warehouse
