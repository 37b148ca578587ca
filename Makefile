# Everything a developer or an operator of a local stack types. `make` alone explains itself.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
# Where this is set, as images of Python have it, each process compiles all that it imports: half of a whole run.
export PYTHONDONTWRITEBYTECODE :=
# What tests write is kept in memory where there is room for it: none of it must outlive a power cut, and they
# wait for the disk, and compute for its file system, as long as for all the rest.
ROOM_KB := 2000000
IN_MEMORY = $(shell [ -z "$$TMPDIR" ] && [ -w /dev/shm ] && \
	[ "$$(df --output=avail -k /dev/shm | tail -1)" -gt $(ROOM_KB) ] && echo TMPDIR=/dev/shm)
PYTEST = $(IN_MEMORY) $(BIN)/pytest
# Services whose kinds come with Waybill, and where their manifests are.
BUILT_IN := email images sync
MANIFESTS := contracts/src/waybill_contracts/registry/manifests
# Two workers: the tests wait for brokers more than they compute.
PARALLEL := -n 2
# Two stacks at once, each used by the tests of one file or folder (conftest.py): they wait most of the time.
PARALLEL_STACKS := -n 2 --dist loadgroup
# Beside the stacks: six, which take what these leave of the processors: each waits about as long as it computes.
IN_THE_GAPS := nice -n 5
PARALLEL_IN_THE_GAPS := -n 6 --dist worksteal
IN_ONE_PIECE := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

.PHONY: help demo tour up test check test-unit test-broker test-parts test-stacks test-e2e test-crash test-compose test-asyncapi crash soak outage fuzz pictures lint types format schemas lock bench bench-images bench-profile clean bench-growth

help: ## show this
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  Bring your own broker with AMQP_URL=amqp://user:password@host/vhost, another Python with PYTHON=…"

demo: .venv/.installed ## install what is missing, start the whole stack, take the tour, stop
	@$(BIN)/python -m waybill_devstack demo

tour: .venv/.installed ## take the tour on the running containers of compose.yaml (deploy/demo.env)
	@$(BIN)/python -m waybill_devstack tour

up: .venv/.installed ## start the whole stack and keep it up until Ctrl-C
	@$(BIN)/python -m waybill_devstack up

# Whole stacks wait most of the time; everything else is done meanwhile.
test: lint ## everything that CI runs
	@echo "tests of whole stacks, and beside them all others and the types; each is shown when it is done"
	@$(MAKE) --no-print-directory --jobs=3 $(IN_ONE_PIECE) test-stacks test-parts types

check: lint types ## lint, types, and the rules on folders, imports and words
	$(PYTEST) tests/architecture $(PARALLEL) -q

test-unit: .venv/.installed ## tests without I/O beyond files and loopback: seconds
	$(PYTEST) -m "not broker and not end_to_end and not crash and not compose" $(PARALLEL) -q

test-broker: .venv/.installed ## tests of one service, or a part of it, with a real RabbitMQ
	$(PYTEST) -m broker $(PARALLEL) -q

test-parts: .venv/.compiled
	$(IN_MEMORY) $(IN_THE_GAPS) $(BIN)/pytest -m "not end_to_end and not crash and not compose" $(PARALLEL_IN_THE_GAPS) -q

# By their folders: to collect all other tests only to leave them out takes longer than some of these.
test-stacks: .venv/.compiled
	$(PYTEST) tests/end_to_end tests/crash $(PARALLEL_STACKS) -q

test-e2e: .venv/.installed ## tests of the whole stack
	$(PYTEST) tests/end_to_end $(PARALLEL_STACKS) -q

test-compose: .venv/.installed ## tests of the containers of compose.yaml: tour, faults, upgrade (needs Docker; not part of test)
	$(PYTEST) tests/compose -q

test-asyncapi: ## check docs/asyncapi.json with AsyncAPI's own parser (needs node and npm; not part of test)
	@mkdir -p .waybill/asyncapi && cp tests/asyncapi/check.mjs .waybill/asyncapi/
	@cd .waybill/asyncapi && npm install --silent --no-audit --no-fund --no-save --ignore-scripts @asyncapi/parser@3.6.6
	@node .waybill/asyncapi/check.mjs docs/asyncapi.json

test-crash: .venv/.installed ## the short crash matrix: each process killed after each step
	$(PYTEST) tests/crash -q

crash: .venv/.installed ## the whole crash matrix, a quarter of an hour; writes docs/guarantees.md (ARGS="--row effect")
	@$(BIN)/python -m tests.crash.matrix $(ARGS)

soak: .venv/.installed ## random failures under a mixed load (ARGS="--minutes 10 --seed 42")
	@$(BIN)/python -m tests.soak $(ARGS)

outage: .venv/.installed ## a minute without a broker under load (ARGS="--away 60 --rate 50")
	@$(BIN)/python -m tests.soak.outage $(ARGS)

pictures: .venv/.installed ## takes the pictures of docs/ui.md anew
	@WAYBILL_PICTURES=$(CURDIR)/docs $(BIN)/pytest -q tests/pages/test_pictures.py -k small

fuzz: .venv/.installed ## schemathesis asks the gateway all that its OpenAPI document allows (ARGS="--max-examples 500")
	@$(BIN)/python -m tests.hostile.fuzz $(ARGS)

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# To mypy all conftest.py of test folders are one module: they only name fixtures of modules that it reads.
types: .venv/.installed
	@$(IN_THE_GAPS) $(BIN)/mypy $(wildcard */src services/*/src examples/*/src) $(shell git ls-files 'bench/*.py' '*/tests/*.py' 'tests/*.py' ':!*/conftest.py' conftest.py)

format: .venv/.installed ## ruff's formatter and its automatic fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schemas: .venv/.installed ## write the golden JSON Schemas, the manifests of the built-in services, the documents of both interfaces
	$(BIN)/python -m waybill_contracts.versions.schemas
	@for service in $(BUILT_IN); do \
		$(BIN)/waybill manifest waybill_$$service.app:service --output $(MANIFESTS)/$$service.json || exit 1; done
	$(BIN)/python -m waybill_gateway.documents

lock: .venv/.installed ## renew the pinned versions in requirements/ (ARGS=--upgrade for newer ones)
	requirements/lock.sh $(ARGS)

bench: .venv-bench/.installed ## Waybill beside its peers on one broker, minutes; writes bench/results/ (ARGS=--quick)
	@.venv-bench/bin/python -m bench $(ARGS)

bench-images: .venv-bench/.installed ## the images service beside Pillow and bare libvips
	@.venv-bench/bin/python -m bench images

bench-profile: .venv-bench/.installed ## where a task's processor time goes, process by process
	@.venv-bench/bin/python -m bench profile

bench-growth: .venv/.installed ## what a million tasks in the ledger cost those that come after (ARGS=--quick)
	@$(BIN)/python -m bench.large.growth $(ARGS)

clean: ## remove the virtual environment and all local state
	rm -rf .venv .venv-bench .waybill .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/.installed: bootstrap.sh pyproject.toml requirements/uv.txt requirements/dev.txt $(wildcard */pyproject.toml services/*/pyproject.toml)
	@./bootstrap.sh
	@touch $@

# Once: else each process of the first run compiles all that it imports, and all tests.
.venv/.compiled: .venv/.installed
	@$(BIN)/pytest --collect-only -q > $@ || { tail $@; rm $@; exit 1; }

.venv-bench/.installed: bootstrap.sh pyproject.toml requirements/uv.txt requirements/bench.txt $(wildcard */pyproject.toml services/*/pyproject.toml)
	@./bootstrap.sh .venv-bench bench
	@touch $@
