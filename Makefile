# make demo: the whole diarization recipe on real voices. make test, make lint: the checks.
# make docs: the documentation site. make dist: the wheel, and whether it works where nothing else is.
# make test-hosts: what depends on the hosts, beside each version of them (docs/hosts.md).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Of test-hosts; in the place of core-newest, say core-2.8.0. ESPnet's versions need these Pythons.
HOSTS ?= espnet-202611 espnet-202511 s3prl-0418 core-newest
python = $(firstword $(wildcard $(HOME)/.pyenv/versions/$(1).*/bin/python) python$(1))
PYTHON312 ?= $(call python,3.12)
PYTHON311 ?= $(call python,3.11)
CORE_TESTS := tests/encoder tests/storage tests/pruning tests/distillation tests/inference tests/export
HOST_TESTS := -n 2 --dist worksteal tests/espnet tests/s3prl_plugin tests/egs2 tests/export tests/places
# s3prl's own tests of its upstreams, run on ours; only its source distributions have them.
S3PRL_TESTS := -p tests.s3prl_plugin.s3prl_tests -m upstream -k pruned
# Of docs and dist: the newest, or a version.
TORCH ?= newest
# Of docs and dist, which need no GPU: where pip finds a torch without CUDA; empty for PyPI alone.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PIP_TORCH = install --progress-bar off torch$(patsubst %,==%,$(filter-out newest,$(TORCH))) \
  $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
SHELL_FILES := $(shell git ls-files '*.sh' '*run.pl' '.ci/run')

.PHONY: demo bench bench-pipeline test test-slow drill test-hosts lint docs dist install clean
.SECONDARY:

demo: install
	cd egs2/mini_meeting/diar_prune1 && ./run.sh

# Ours beside other implementations, then the cost of gates and teachers in training; 27 min on 2
# cores. Narrowed by, say, MODELS=wavlm_base_plus INPUTS="1x8 1x30" PRECISIONS=float32 TRAINING_INPUTS=4x4.
bench: install
	$(BIN)/python -m benchmarks.run_bench $(if $(MODELS),--models $(MODELS)) \
	  $(if $(INPUTS),--inputs $(INPUTS)) $(if $(PRECISIONS),--precisions $(PRECISIONS))
	$(BIN)/python -m benchmarks.run_bench_training $(if $(MODELS),--models $(MODELS)) \
	  $(if $(TRAINING_INPUTS),--inputs $(TRAINING_INPUTS))

# The whole pipeline beside those of others that are installed (pip install -e '.[peers]'), on the
# idle machine and on a busy one. Narrowed by, say, OPTIONS="--only espnet_prune senko --rounds 3".
bench-pipeline: install
	$(BIN)/python -m benchmarks.run_bench_pipeline $(OPTIONS)

test: install
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

test-slow: install
	$(BIN)/python -m pytest -q -m "slow or not slow"

# Kills, full disks, hostile files, changed options in the recipes, and whether all held. Its
# rows add up to about an hour on 2 slow cores. Narrowed by, say, ROWS="kill full"; in a name of
# several words, an underscore stands for a blank.
drill: install
	$(BIN)/python -m tests.drill $(if $(ROWS),--rows $(ROWS))

# Each in an environment of its own; the slowest two take ESPnet's tests. Narrowed by, say, HOSTS=espnet-202611.
test-hosts: $(HOSTS:%=test-%)

test-espnet-%: .venv-espnet-%/.installed
	$(<D)/bin/python -m pytest -q $(HOST_TESTS)
	$(<D)/bin/python -m pytest -q $(S3PRL_TESTS) $(filter downloads/%,$^)/test/test_upstream.py

test-s3prl-%: .venv-s3prl-%/.installed
	$(<D)/bin/python -m pytest -q $(CORE_TESTS) tests/s3prl_plugin
	$(<D)/bin/python -m pytest -q $(S3PRL_TESTS) $(filter downloads/%,$^)/test/test_upstream.py

test-core-%: .venv-core-%/.installed
	$(<D)/bin/python -m pytest -q $(CORE_TESTS)

test-espnet-202611: downloads/espnet_s3prl-2026.5.14
test-espnet-202511 test-s3prl-0418: downloads/s3prl-0.4.18

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

$(VENV)/.installed: FOR = $(PYTHON)
$(VENV)/.installed: EXTRAS = espnet,s3prl,demo,dev
.venv-espnet-202611/.installed: FOR = $(PYTHON312)
.venv-espnet-202611/.installed: EXTRAS = espnet-202611,s3prl-2026,demo,dev
.venv-espnet-202511/.installed: FOR = $(PYTHON311)
.venv-espnet-202511/.installed: EXTRAS = espnet-202511,s3prl-0418,demo,dev
.venv-s3prl-0418/.installed: FOR = $(PYTHON)
.venv-s3prl-0418/.installed: EXTRAS = s3prl-0418,dev

# pip 26.3 refuses ESPnet 202511 (ci_sdr's direct dependency), hence an older pip in the environment.
$(patsubst %,%/.installed,$(VENV) .venv-espnet-202611 .venv-espnet-202511 .venv-s3prl-0418): \
  setup.cfg setup.py pyproject.toml
	@command -v $(FOR) >/dev/null || { echo "expected $(FOR), found none; install it, or call make" \
	  "PYTHON=..., PYTHON311=... or PYTHON312=..." >&2; exit 1; }
	@$(FOR) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 13) else \
	  "expected Python 3.10 to 3.13, found %d.%d; call make PYTHON=python3.12" % v)'
	$(FOR) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet "pip<26.3"
	$(@D)/bin/python -m pip install --progress-bar off -e ".[$(EXTRAS)]"
	touch $@

.venv-core-%/.installed: setup.cfg setup.py pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --progress-bar off pytest safetensors numpy \
	  torch$(patsubst %,==%,$(filter-out newest,$*))
	$(@D)/bin/python -m pip install --no-deps -e .
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

downloads/%:
	$(PYTHON) -m pip download --quiet --no-deps --no-binary $(firstword $(subst -, ,$*)) $(subst -,==,$*) -d $(@D)
	tar -xzf $@.tar.gz -C $(@D)

clean:
	rm -rf $(VENV) .venv-* downloads dist build docs/_build docs/_generated *.egg-info .pytest_cache .mypy_cache .ruff_cache
