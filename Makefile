# SPDX-License-Identifier: Apache-2.0
# `make help` lists the targets. Everything is installed into .venv; a stamp keeps it from being done twice.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
SOURCES := $(shell find runtime engines export training benchmarks -name '*.py' -o -name '*.c' -o -name '*.h' -o -name '*.json' -o -name '*.onnx' 2>/dev/null)
SAMPLE := samples/waterfall.jpg
DATA ?= ../shared/data

.PHONY: help loop test lint bench bundle train wheel clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(BIN)/python pyproject.toml CMakeLists.txt $(SOURCES)
	@echo "installing the runtime into $(VENV)"
	$(PIP) install .
	@touch $@

# torch comes first and by this exact version: any other spelling may bring a CUDA build of several GB.
$(VENV)/.all: $(BIN)/python pyproject.toml CMakeLists.txt $(SOURCES)
	@echo "installing everything into $(VENV)"
	$(PIP) install torch==2.13.0
	$(PIP) install '.[export,training,bench,test,lint,openvino]'
	@touch $@ $(VENV)/.runtime

loop: $(VENV)/.runtime ## animate the sample photo into loop.mp4
	$(BIN)/stillflow animate $(SAMPLE) -o loop.mp4

test: $(VENV)/.all ## run the whole suite
	$(BIN)/python -m pytest -q

lint: $(VENV)/.all ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.all ## measure this machine into benchmarks/results/
	$(BIN)/stillflow-bench all -o benchmarks/results

bundle: $(VENV)/.all ## export the trained weights into the default bundle
	$(BIN)/stillflow-export bundle --flow training/weights/flow.safetensors --generator training/weights/generator.safetensors -o engines/stillflow_engines/edge

train: $(VENV)/.all ## train both networks (hours; resumes runs/)
	$(BIN)/python -m stillflow_training flow --data $(DATA) --out runs/flow
	$(BIN)/python -m stillflow_training generator --data $(DATA) --out runs/generator

wheel: $(VENV)/.all ## build the wheel into dist/
	$(BIN)/python -m build --wheel

clean: ## remove what the targets made
	rm -rf $(VENV) build dist loop.mp4
