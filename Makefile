# The one door for developers; `make help` lists what there is.
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test check docs format clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: $(READY)  ## set up .venv in this checkout (all other targets do it too)

$(READY): pyproject.toml constraints.txt scripts/setup
	scripts/setup

demo: $(READY)  ## segment two images with the bundled model, into demo-output/
	$(BIN)/napari-unetpp demo --output demo-output

test: $(READY)  ## run all tests, the real viewer included (PYTEST_ARGS="-k name")
	scripts/test $(PYTEST_ARGS)

check: $(READY)  ## ruff, mypy, the floors of the house, the manifest
	scripts/check

docs: $(READY)  ## build the documentation into site/, and follow its links
	scripts/docs

format: $(READY)  ## let ruff mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:  ## remove all that the other targets made
	rm -rf .venv build dist demo-output site
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
