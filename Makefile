# make demo: the whole diarization recipe on real voices. make test, make lint: the checks.
# make docs: the documentation site. make dist: the wheel, and whether it works where nothing else is.
# make test-core, test-newest, test-s3prl: the same on other versions of torch, and s3prl's own tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
S3PRL := downloads/s3prl-0.4.18
S3PRL_TESTS := -p tests.s3prl_plugin.s3prl_tests -m upstream -k pruned $(S3PRL)/test/test_upstream.py
CORE_TESTS := tests/encoder tests/storage tests/pruning tests/distillation tests/inference
# Of test-core, docs and dist: the newest, or a version.
TORCH ?= newest
# Of docs and dist, which need no GPU: where pip finds a torch without CUDA; empty for PyPI alone.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PIP_TORCH = install --progress-bar off torch$(patsubst %,==%,$(filter-out newest,$(TORCH))) \
  $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
SHELL_FILES := $(shell git ls-files '*.sh' '*run.pl' '.ci/run')

.PHONY: demo bench test test-slow drill test-core test-newest test-s3prl lint docs dist install clean

demo: install
	cd egs2/mini_meeting/diar_prune1 && ./run.sh

# Ours beside other implementations, then the cost of gates and teachers in training; 27 min on 2
# cores. Narrowed by, say, MODELS=wavlm_base_plus INPUTS="1x8 1x30" PRECISIONS=float32 TRAINING_INPUTS=4x4.
bench: install
	$(BIN)/python -m benchmarks.run_bench $(if $(MODELS),--models $(MODELS)) \
	  $(if $(INPUTS),--inputs $(INPUTS)) $(if $(PRECISIONS),--precisions $(PRECISIONS))
	$(BIN)/python -m benchmarks.run_bench_training $(if $(MODELS),--models $(MODELS)) \
	  $(if $(TRAINING_INPUTS),--inputs $(TRAINING_INPUTS))

test: install
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

test-slow: install
	$(BIN)/python -m pytest -q -m "slow or not slow"

# Kills, full disks, hostile files, changed options in the recipes, and whether all held. Its
# rows add up to about an hour on 2 slow cores. Narrowed by, say, ROWS="kill full"; in a name of
# several words, an underscore stands for a blank.
drill: install
	$(BIN)/python -m tests.drill $(if $(ROWS),--rows $(ROWS))

# The core beside torch and nothing else.
test-core: .venv-core-$(TORCH)/.installed
	$(<D)/bin/python -m pytest -q $(CORE_TESTS)

# The core and the s3prl plug-in beside s3prl on the newest torch and torchaudio.
test-newest: .venv-newest/.installed $(S3PRL)
	$(<D)/bin/python -m pytest -q $(CORE_TESTS) tests/s3prl_plugin
	$(<D)/bin/python -m pytest -q $(S3PRL_TESTS)

# s3prl's own tests of its upstreams, run on ours.
test-s3prl: install $(S3PRL)
	$(BIN)/python -m pytest -q $(S3PRL_TESTS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/shellcheck $(SHELL_FILES)

# The site, in docs/_build; a warning is an error.
docs: .venv-docs/.installed
	rm -rf docs/_build docs/_generated
	$(<D)/bin/python -m sphinx -W --keep-going -q -b html docs docs/_build

# Source distribution and wheel, in dist; then the wheel in an environment of its own, beside torch.
dist: .venv-dist/.installed
	rm -rf dist build .venv-wheel
	$(<D)/bin/python -m build --outdir dist
	$(<D)/bin/python .ci/check_dist.py dist
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip $(PIP_TORCH)
	.venv-wheel/bin/python -m pip install --progress-bar off dist/*.whl
	.venv-wheel/bin/python -I .ci/smoke_test.py

install: $(VENV)/.installed

# pip 26.3 refuses ESPnet (ci_sdr's direct dependency), hence an older pip in the environment.
$(VENV)/.installed: setup.cfg setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 12) else \
	  "expected Python 3.10 to 3.12, found %d.%d; call make PYTHON=python3.11" % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "pip<26.3" "setuptools<74" wheel
	$(BIN)/python -m pip install --progress-bar off -e ".[espnet,s3prl,demo,dev]"
	touch $@

.venv-core-%/.installed: setup.cfg setup.py pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --progress-bar off pytest safetensors numpy \
	  torch$(patsubst %,==%,$(filter-out newest,$*))
	$(@D)/bin/python -m pip install --no-deps -e .
	touch $@

.venv-newest/.installed: setup.cfg setup.py pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --progress-bar off pytest -e ".[s3prl-alone]"
	touch $@

.venv-docs/.installed: setup.cfg setup.py pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip $(PIP_TORCH)
	$(@D)/bin/python -m pip install --progress-bar off -e ".[docs]"
	touch $@

.venv-dist/.installed:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --progress-bar off build==1.6.1
	touch $@

# Only the source distribution has the tests.
$(S3PRL):
	$(PYTHON) -m pip download --quiet --no-deps --no-binary s3prl $(subst -,==,$(@F)) -d $(@D)
	tar -xzf $@.tar.gz -C $(@D)

clean:
	rm -rf $(VENV) .venv-* downloads dist build docs/_build docs/_generated *.egg-info .pytest_cache .mypy_cache .ruff_cache
