# `make up` and `make test` are all that a newcomer needs: Python 3.11, and Go or the Pulumi CLI.
STACK ?= dev
# `official` runs the official provider plugins on the local AWS, instead of the stand-ins (sandbox/README.md).
PROVIDER ?= stand-ins
OFFICIAL = $(if $(filter-out stand-ins official,$(PROVIDER)),$(error PROVIDER is stand-ins or official))$(if $(filter official,$(PROVIDER)),--official)
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help up preview refresh destroy compare trial down style check test test-all other-pythons soak golden emulator format lock bench certificates picture
help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile

$(VENV)/installed: requirements-dev.txt
	@echo "Installing the pinned Python packages into $(VENV) (a minute or two, once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

up: $(VENV)/installed      ## bring the stack up on the local AWS (STACK=prod for the other; PROVIDER=official)
	@$(BIN)/python -m sandbox up --stack $(STACK) $(OFFICIAL)
preview: $(VENV)/installed ## show what `up` would change
	@$(BIN)/python -m sandbox preview --stack $(STACK) $(OFFICIAL)
refresh: $(VENV)/installed ## read the local AWS back into the state
	@$(BIN)/python -m sandbox refresh --stack $(STACK) $(OFFICIAL)
destroy: $(VENV)/installed ## delete the stack
	@$(BIN)/python -m sandbox destroy --stack $(STACK) $(OFFICIAL)
compare: $(VENV)/installed ## report where the official plugins and the stand-ins differ on the stack
	@$(BIN)/python -m sandbox compare --stack $(STACK)
trial: $(VENV)/installed   ## try both stacks on a real AWS account, then delete them; it asks first (ROTATION=FILE names a database)
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python tools/trial.py $(if $(ROTATION),--rotation $(ROTATION))
down: $(VENV)/installed    ## stop the local AWS and forget its stacks
	@$(BIN)/python -m sandbox down

style: $(VENV)/installed
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports
	$(BIN)/shellcheck .ci/run .ci/stack
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/pipeline.yml .github/workflows/preview.yml .github/workflows/review.yml .github/workflows/backup.yml .github/workflows/official.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions .github/actions/stack/action.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci .gitlab-ci.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.renovate renovate.json
# Hundreds of commands run in processes of their own; where the cache is switched off, each would compile the project again.
check test test-all: export PYTHONDONTWRITEBYTECODE :=
check: style               ## formatting, lint, import rules, the types of what differs from main, the unit tests: a minute
	@# pyright takes a minute and a half of processor time for everything: `make test` spends it.
	{ git diff --name-only --diff-filter=d $$(git merge-base HEAD origin/main 2>/dev/null || echo HEAD) -- '*.py'; git ls-files -o --exclude-standard '*.py'; } | xargs -r $(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/unit
test: style                ## formatting, lint, types, import rules, the tests of every room: under five minutes
	@# Three on two cores: tests wait for the engine and the local AWS now and then, and pyright runs beside them.
	$(BIN)/pyright --pythonpath $(BIN)/python & types=$$!; $(BIN)/python -m pytest -n 3 --dist worksteal -m "not slow"; tests=$$?; wait $$types && exit $$tests
test-all: $(VENV)/installed other-pythons emulator ## the rest: kills, long sequences, documents as written, the plain CLI, other Pythons, a second emulator
	$(BIN)/python -m pytest -n 4 --dist worksteal -m slow
other-pythons: $(VENV)/installed ## the unit tests on each later Python of this machine
	@for version in 3.12 3.13; do command -v python$$version >/dev/null && python$$version -c "" 2>/dev/null || { echo "python$$version is not here"; continue; }; \
		test -x .venv-$$version/bin/pytest || { python$$version -m venv .venv-$$version && .venv-$$version/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt; } || exit 1; \
		.venv-$$version/bin/python -m pytest -n 2 --dist worksteal tests/unit || exit 1; done

emulator: $(VENV)/installed ## prod on a second emulator, ministack, in a virtual environment of its own
	@test -x .venv-emulator/bin/ministack || { $(PYTHON) -m venv .venv-emulator && .venv-emulator/bin/python -m pip install --quiet --disable-pip-version-check ministack==1.5.33; }
	$(BIN)/python -m pytest tests/sandbox/emulator

soak: $(VENV)/installed    ## play random sequences of what users do with secrets: LIVES=50 stacks of 40 steps, SEED=N repeats one
	@seed=$${SEED:-$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}; echo "seed $$seed"; SOAK_LIVES=$${LIVES:-50} \
		$(BIN)/python -m pytest -q -s -n 0 --timeout=0 --hypothesis-seed=$$seed tests/sandbox/test_values_model.py

format: $(VENV)/installed  ## let ruff format and fix what it can
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
package: $(VENV)/installed   ## renew schema.json, the README's tables and the requirements of the component package
	$(BIN)/python tools/component_package.py
golden: $(VENV)/installed    ## renew the reviewed plans in tests/unit/golden; read the diff
	$(BIN)/python -m pytest -n 0 tests/unit/test_golden.py --snapshot-update
cli-checksums: $(VENV)/installed ## record the checksums of the Pulumi CLI that pipelines run, after a change of its version
	$(BIN)/python tools/pulumi_cli.py --record
picture: $(VENV)/installed      ## renew README's picture of the terminal
	$(BIN)/python tools/terminal_picture.py
certificates: $(VENV)/installed ## renew the authorities of Amazon RDS that the rotation function brings
	$(BIN)/python tools/rds_certificates.py
bench: $(VENV)/installed   ## compare this program with a flat and an empty one, at several sizes
	$(BIN)/python -m benchmarks
LOCK = uv pip compile --universal --python-version=3.11 --generate-hashes
lock:                      ## after a change of requirements*.in (needs uv; Renovate repeats the commands that stand in the files)
	$(LOCK) --output-file=requirements.txt requirements.in >/dev/null
	$(LOCK) --constraints=requirements.txt --output-file=requirements-ops.txt requirements-ops.in >/dev/null
	$(LOCK) --constraints=requirements-ops.txt --output-file=requirements-dev.txt requirements-dev.in >/dev/null
