# Everything a newcomer needs: `make demo` and `make test`. Both make .venv when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-slow test-device test-processes test-notebooks test-browser test-package check docs bench clean

# One stamp a set of extras: reinstalled when pyproject.toml changes.
$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[offline]"
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[offline,dev]"
	touch $@

$(VENV)/.installed-notebook: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[offline,dev,notebook]"
	touch $@

$(VENV)/.installed-browser: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[offline,dev,browser]"
	touch $@

$(VENV)/.installed-package: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[offline,dev,package]"
	touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[offline,bench]"
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[offline,docs]"
	touch $@

demo: $(VENV)/.installed
	$(BIN)/onecycle demo --out runs/demo

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --numprocesses auto -m "not slow" $(ELSEWHERE)

# What takes longest: the commands and the code of the README and the pages, interrupted runs, hostile bundles.
test-slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --numprocesses auto -m slow $(ELSEWHERE)

ELSEWHERE := $(addprefix --ignore=tests/,distributed notebooks browser package)

# Several processes that train together, joined by gloo.
test-processes: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/distributed

# Notebooks that are executed, saved, and read in Chromium.
test-notebooks: $(VENV)/.installed-notebook
	$(BIN)/python -m pytest tests/notebooks

# The page of `onecycle serve`, used in Chromium.
test-browser: $(VENV)/.installed-browser
	$(BIN)/python -m pytest tests/browser

# What the wheel and the source distribution hold, and the wheel in a fresh environment outside of the source.
test-package: $(VENV)/.installed-package
	$(BIN)/python -m pytest tests/package

# On a CUDA device that is pretended on the CPU: raises wherever tensors of two devices meet.
test-device: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --numprocesses auto --device pretend tests/test_pretend_device.py tests/losses tests/metrics \
		tests/inference tests/train tests/vision tests/text tests/ship tests/test_open_parts.py tests/data/test_batch.py \
		tests/data/test_host_copy.py tests/data/test_plain.py tests/data/test_prefetch.py tests/data/test_item_tensors.py --deselect \
		tests/inference/test_evaluation.py::test_a_loss_of_many_small_batches_keeps_its_digits \
		$(addprefix --ignore=tests/,$(NO_DEVICE))

# Files and labels, which no device ever sees.
NO_DEVICE := $(addprefix vision/test_,decode.py image_files.py image_list.py mask_files.py mask_labels.py mask_palette.py \
	point_labels.py biwi.py) $(addprefix text/test_,cleaning.py character_encoding.py text_files.py tokenizer.py \
	tokenizer_training.py text_list.py labelled_texts.py special_tokens.py)

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site, in build/site: pages with code are executed, and a warning is an error.
docs: $(VENV)/.installed-docs
	$(BIN)/python -m typer onecycle.cli.app utils docs --name onecycle --title 'Command line' --output docs/reference/command_line.md
	GOMP_SPINCOUNT=10000 $(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -b html docs build/site

# DATA is a folder with monkeys10/ and landuse/ in it, see bench/README.md.
DATA ?= ../shared/data
bench: $(VENV)/.installed-bench
	$(BIN)/python bench/run.py $(DATA)

clean:
	rm -rf $(VENV) runs build
