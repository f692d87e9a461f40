# `make` lists what there is. BIND moves the port, FLEETUI_DATA_DIR moves ./var, PYTHON names the interpreter for .venv.
BIND ?= 127.0.0.1:8000
PY := .venv/bin/python
.DEFAULT_GOAL := help
# Where it is set, every process of ours would compile all modules again: seconds at each start.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help demo run test test-quick lint soak requirements openapi

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## start FleetUI with a simulated fleet (BIND=127.0.0.1:8000); Ctrl-C stops it
	@scripts/setup.sh run
	@exec $(PY) manage.py up --demo --bind $(BIND)

run: ## the same without the simulated fleet
	@scripts/setup.sh run
	@exec $(PY) manage.py up --bind $(BIND)

test: ## everything: lint, types, contracts, both databases, real sshd, real hosts, browser
	@scripts/test.sh all

test-quick: ## unit and integration tests on SQLite, without the slow ones
	@scripts/setup.sh dev
	@scripts/test.sh quick

lint: ## style, types, import contracts, templates, migrations, translations
	@scripts/setup.sh dev
	@scripts/test.sh lint

soak: ## the long proofs, before an issue is closed; the result goes into docs/
	@scripts/setup.sh dev
	@scripts/test.sh soak

requirements: ## pin the newest allowed packages, with hashes
	@scripts/setup.sh dev
	@scripts/requirements.sh

openapi: ## write docs/openapi.yaml anew
	@scripts/setup.sh dev
	@DJANGO_SETTINGS_MODULE=tests.settings $(PY) manage.py spectacular --file docs/openapi.yaml --validate
