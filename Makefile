# SPDX-License-Identifier: Apache-2.0
# Every target makes what it needs. Stamps in the virtual environment keep a second run from installing again.

PYTHON ?= python3
VENV   ?= .venv
PHOTO  ?= samples/waterfall.jpg
LOOP   ?= loop.mp4
# One worker unless told otherwise: two share the two cores with NumPy's and ONNX Runtime's own threads.
TESTFLAGS ?=
# For gpu-check and gpu-pack: --help lists them.
GPUFLAGS ?=
# Labelled photos for the recipes: photos/, labels/ and LICENCES.csv.
DATA   ?= ../shared/data

BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
PYCUDA := build/pycuda
# Of the toolkit that PyCUDA is built with.
CUDA   ?= /usr/local/cuda
# Tests of the layer that record graphs, which PyCUDA has not, or are about cuda-core itself.
NOT_PYCUDA := device_is_opened or graph or record or warn_once or nothing_moves or says_what or of_others or has_current or beside
NATIVE := CMakeLists.txt $(wildcard runtime/native/include/*.h runtime/native/src/*.[ch] runtime/native/src/*/*.[ch])

# Of each fuzz target, of which two run at once.
FUZZ_SECONDS ?= 600

# Where install-native puts header, library, CMake package and pkg-config file.
PREFIX ?= build/install
WHERE   = $(if $(filter /%,$(firstword $(PREFIX))),,$(CURDIR)/)$(PREFIX)

.DEFAULT_GOAL := help
.PHONY: help install-native examples loop test fuzz pycuda-check lint format bench bench-full guard gpu-check gpu-pack pictures bundle train wheel clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

loop: $(VENV)/.runtime ## Animate the sample photo with the shipped bundle: PHOTO=samples/waterfall.jpg LOOP=loop.mp4
	$(BIN)/stillflow animate $(PHOTO) -o $(LOOP) --overwrite

test: $(VENV)/.test ## Run the whole suite
	$(BIN)/python -m pytest $(TESTFLAGS)

fuzz: ## Fuzz the readers of scenes, pictures and bundles with clang: FUZZ_SECONDS=600, build/fuzz
	cmake -S . -B build/fuzz -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug -DSTILLFLOW_FUZZ=ON
	cmake --build build/fuzz --parallel 2 --target stillflow_fuzz_scene stillflow_fuzz_codecs stillflow_fuzz_bundle
	tests/native/fuzz/run build/fuzz $(FUZZ_SECONDS)

pycuda-check: $(VENV)/.test $(PYCUDA)/.built ## Build PyCUDA (a minute, with nvcc) and run the GPU tests through it, on a stand-in for the driver
	PYTHONPATH=$(PYCUDA) tests/native/stand_in/run $(BIN)/python -m pytest -m device tests/runtime/gpu/test_pycuda.py
	PYTHONPATH=$(PYCUDA) STILLFLOW_TEST_PROVIDER=pycuda tests/native/stand_in/run $(BIN)/python -m pytest -q \
		-m 'device and not stand_in' -k 'not ($(NOT_PYCUDA))' tests/runtime/gpu tests/runtime/kernels \
		tests/runtime/features tests/runtime/test_gpu_scene.py --ignore tests/runtime/gpu/test_pycuda.py

lint: $(VENV)/.test ## Ruff, and mypy (strict in runtime/)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.test ## Let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test ## Measure latency on this machine beside peers and limits, in five minutes: benchmarks/results/
	$(BIN)/stillflow-bench run --standard --into benchmarks/results --compress --overwrite

bench-full: $(VENV)/.test ## All that can be measured here, in some hours: latency, kernels, encoding, start-up, quality
	$(BIN)/stillflow-bench run --full --into benchmarks/results --compress --overwrite
	$(BIN)/stillflow-bench everything

install-native: ## Install libstillflow for products in C and C++, without Python: PREFIX=build/install
	cmake -S . -B build/native "-DCMAKE_INSTALL_PREFIX=$(WHERE)"
	cmake --build build/native --parallel
	cmake --install build/native --strip

examples: install-native ## Build examples/ against what install-native put there: build/examples
	cmake -S examples -B build/examples "-DCMAKE_PREFIX_PATH=$(WHERE)"
	cmake --build build/examples --parallel

guard: $(VENV)/.test ## Count instructions, allocations and bytes of a frame: exit code 1 where one changed by more than 2 %
	$(BIN)/stillflow-bench guard

gpu-check: $(VENV)/.test ## Check this machine's GPU step by step: benchmarks/results/<gpu>-<date>.json
	$(BIN)/python -m stillflow_bench.gpu.check $(GPUFLAGS)

gpu-pack: $(VENV)/.test ## Pack what a GPU machine without a network needs: build/gpu-pack/, GPUFLAGS="--with rtx"
	$(BIN)/python -m stillflow_bench.gpu.pack $(GPUFLAGS)

pictures: $(VENV)/.test ## Draw the README's picture anew with the shipped bundle
	$(BIN)/stillflow-bench sheet samples/waterfall.jpg -o docs/pictures/waterfall.jpg --no-close-ups

bundle: $(VENV)/.test ## Export the trained weights into the default bundle
	$(BIN)/stillflow-export bundle --flow training/weights/flow.safetensors \
		--generator training/weights/generator.safetensors \
		-o engines/stillflow_engines/edge

train: $(VENV)/.test ## Train all networks (hours; goes on where it stopped): runs/
	$(BIN)/python -m stillflow_training classes --data $(DATA) --out runs/classes
	$(BIN)/python -m stillflow_training velocity --data $(DATA) --out runs/velocity
	$(BIN)/python -m stillflow_training flow --data $(DATA) --classes runs/classes --velocity runs/velocity --out runs/flow
	$(BIN)/python -m stillflow_training generator --data $(DATA) --out runs/generator

wheel: $(VENV)/.venv ## Build the wheel: dist/
	$(PIP) wheel --quiet --no-deps --wheel-dir dist .

clean: ## Remove what the targets above made, except runs/ and results
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis loop.mp4

$(VENV)/.venv:
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 10), "stillflow needs Python 3.10 or newer: make PYTHON=python3.11"'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.venv pyproject.toml $(NATIVE)
	$(PIP) install --quiet -e .
	@touch $@

# PyCUDA comes as source, and wants a driver's library with all that it calls when it is linked: the stand-in, which has
# the driver's name. Not optimised, that takes half the time: it is tested here, not timed.
$(PYCUDA)/.built: | $(VENV)/.test
	rm -rf $(PYCUDA)
	mkdir -p $(PYCUDA)/source $(PYCUDA)/lib
	tests/native/stand_in/run cp build/stand_in/libcuda.so.1 $(PYCUDA)/lib/libcuda.so
	$(PIP) download --quiet --no-deps --no-binary pycuda --dest $(PYCUDA)/source 'pycuda>=2024.1'
	tar -xzf $(PYCUDA)/source/pycuda-*.tar.gz --strip-components=1 -C $(PYCUDA)/source
	cd $(PYCUDA)/source && $(abspath $(BIN))/python configure.py --cuda-root=$(CUDA) \
		--cudadrv-lib-dir=$(abspath $(PYCUDA))/lib --no-cuda-enable-curand --cxxflags=-O0
	$(PIP) install --quiet --target $(PYCUDA) $(PYCUDA)/source
	@touch $@

# torch first and by its exact version: where a CPU build of that version is at hand pip then takes it, and the
# range in the extra is already met. Resolved together with the rest it may fetch gigabytes of CUDA libraries.
$(VENV)/.torch: $(VENV)/.venv
	$(PIP) install --quiet torch==2.13.0
	@touch $@

$(VENV)/.test: $(VENV)/.torch pyproject.toml $(NATIVE)
	$(PIP) install --quiet -e '.[test]'
	@touch $@ $(VENV)/.runtime
