# Everything sets itself up: `make demo` and `make test` need Python 3.11+ and a package index, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check fuzz bench docs pictures wheel-test clean

demo: $(READY)  ## shoot a small data set with the ExLPose rig and say where it lies
	rm -rf out/demo
	$(BIN)/python -m isp_sim.generate --rig rigs/exlpose.yaml --count 20 --out out/demo

test: $(READY)  ## the whole test suite
	$(BIN)/python -m pytest -n auto

check: $(READY)  ## lint, types, architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: $(READY)  ## ten thousand damaged files through every reader; half an hour of a core. Others: make fuzz SEED=2
	$(BIN)/python tests/fuzz/run.py --count 10000 --seed $(or $(SEED),1)

bench: $(READY)  ## every measured claim; minutes
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/low_light_speed.py
	$(BIN)/python benchmarks/developing.py
	$(BIN)/python benchmarks/scale.py codecs
	$(BIN)/python benchmarks/scale.py growth
	$(BIN)/python benchmarks/scale.py training --rig exlpose-small
	$(BIN)/python benchmarks/dark_blocks.py
	$(BIN)/python benchmarks/means.py
	$(BIN)/python benchmarks/means.py --source people
	$(BIN)/python benchmarks/means.py --source grey --size 480 300
	$(BIN)/python benchmarks/tones.py
	$(BIN)/python benchmarks/people.py
	$(BIN)/python benchmarks/bilateral.py
	$(BIN)/python benchmarks/tune_isp.py
	$(BIN)/python benchmarks/learned_isp.py
	$(BIN)/python benchmarks/shipped_pose.py
	$(BIN)/python benchmarks/raw_stage.py
	$(BIN)/python benchmarks/real_frame.py
	$(BIN)/python benchmarks/raw_stage_speed.py
	$(BIN)/python benchmarks/lee_tables.py --scale quick
	$(BIN)/python benchmarks/ono_tables.py --scale quick
	$(BIN)/python benchmarks/isp_step.py
	$(BIN)/python benchmarks/all_methods.py
	$(BIN)/python benchmarks/enhance_speed.py --scale full
	$(BIN)/python benchmarks/calibration_speed.py
	$(BIN)/python benchmarks/calibration_coverage.py --precision
	$(BIN)/python benchmarks/calibration_coverage.py --size 320 240
	$(BIN)/python benchmarks/calibration_bends.py
	$(BIN)/python benchmarks/alignment.py
	$(BIN)/python benchmarks/align_speed.py
	$(BIN)/python benchmarks/loaders.py
	$(BIN)/python benchmarks/desk.py # needs chromium and chromedriver
	$(BIN)/python benchmarks/camera_faults.py
	$(BIN)/python benchmarks/white_balance.py
	$(BIN)/python benchmarks/auto_exposure.py
	$(BIN)/python benchmarks/handedness.py # exits with 1 where the built-in people are mirrored

docs: $(READY)  ## the site, in out/site; any warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build  # with -q no warning would be an error

wheel-test: $(READY)  ## every command's smallest run from a wheel, in a bare environment and a foreign folder; minutes
	$(BIN)/python benchmarks/wheel_commands.py

pictures: $(READY)  ## redraw the pictures in docs/
	$(BIN)/python docs/draw_architecture.py
	$(BIN)/python docs/draw.py
	$(BIN)/python docs/draw_people.py
	$(BIN)/python docs/draw_isp.py
	$(BIN)/python docs/draw_enhance.py
	$(BIN)/python docs/draw_raw_stage.py
	$(BIN)/python docs/draw_desk.py
	$(BIN)/python docs/draw_calibration.py
	$(BIN)/python docs/draw_capture.py

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=23.2"
	$(BIN)/python -m pip install --quiet -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev,bench,basler,docs,huggingface]"
	touch $(READY)

clean:
	rm -rf $(VENV) out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
