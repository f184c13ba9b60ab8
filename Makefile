# make demo: the whole diarization recipe on a generated corpus. make test, make lint: the checks.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL_FILES := $(shell git ls-files '*.sh' '*run.pl' '.ci/run')

.PHONY: demo test test-slow lint install clean

demo: install
	cd egs2/mini_meeting/diar1 && ./run.sh

test: install
	$(BIN)/python -m pytest -q

test-slow: install
	$(BIN)/python -m pytest -q -m "slow or not slow"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/shellcheck $(SHELL_FILES)

install: $(VENV)/.installed

# pip 26.3 refuses ESPnet (ci_sdr's direct dependency), hence an older pip in the environment.
$(VENV)/.installed: setup.cfg setup.py
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 12) else \
	  "expected Python 3.10 to 3.12, found %d.%d; call make PYTHON=python3.11" % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "pip<26.3" "setuptools<74" wheel
	$(BIN)/python -m pip install --progress-bar off -e ".[espnet,s3prl,demo,dev]"
	touch $@

clean:
	rm -rf $(VENV) *.egg-info .pytest_cache .mypy_cache .ruff_cache
