# make test: everything the project promises about itself. make demo: see it at work.
# Both create .venv when it is missing; after that they need no network.
# Another interpreter: make PYTHON=python3.12 test

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/installed

# Installed anew when pyproject.toml has other content, or when the repository was moved (an
# editable install remembers its place). Times of files do not matter.
WANTED := $(shell cksum <pyproject.toml) $(CURDIR)
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(WANTED))
.PHONY: $(STAMP)
endif

.DEFAULT_GOAL := help
.PHONY: help demo test install clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

demo: $(STAMP) ## build, validate, compare and dissect a painted set; says where the report is
	@$(RUN) tools/demo/run.py

test: $(STAMP) ## lint, type check, all tests
	@PYTHON=$(RUN) tools/check

install: $(STAMP) ## only create .venv and install into it

clean: ## remove .venv and what tests and builds leave behind
	@rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.*

$(STAMP):
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) is not installed; Python 3.11 or newer is needed. make PYTHON=... names another." >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), Python 3.11 or newer is needed. make PYTHON=python3.12 names another." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	@echo "Installing into $(VENV), once. PyTorch is large: this can take some minutes."
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip --disable-pip-version-check install --no-input -e '.[cluster,dissect,timm,dev]' >$(VENV)/install.log 2>&1 || { \
	  cat $(VENV)/install.log >&2; echo "The installation failed; the lines above say why. It needs the network." >&2; exit 2; }
	@printf '%s\n' "$(WANTED)" >$@
