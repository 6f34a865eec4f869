# Two commands do everything: `make run` and `make test`. Both build their own environment in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python
ARGS ?=
WORKERS ?= 2
# All that `make bench` measured.
RECORD := .benchmarks/latest.json
# Threads of torch in the tests: on their small images, more spend most of their time waiting for each other.
TEST_ENV := OMP_NUM_THREADS=1

# Needs no tools of Windows as long as nothing is linked.
WINDOWS := x86_64-pc-windows-gnu

SITE := target/site

.PHONY: run test test-all lint docs wheel generated bench bench-gpu tools clean

run: $(VENV)/installed
	$(BIN)/python -m ssimae run $(ARGS)

# What a developer runs: all but the marked `exhaustive`, each of which has a quicker sibling.
test: $(VENV)/installed
	cargo test --quiet
	$(TEST_ENV) $(BIN)/python -m pytest -n $(WORKERS) -m "not exhaustive" $(ARGS)

test-all: $(VENV)/installed
	cargo test --quiet
	$(TEST_ENV) $(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

lint: $(VENV)/installed
	cargo fmt --check
	cargo clippy --quiet --all-targets -- -D warnings
	cargo clippy --quiet --all-targets --features python -- -D warnings
	@if command -v rustup >/dev/null; then \
		rustup --quiet target add $(WINDOWS) && cargo check --quiet --features python --target $(WINDOWS); \
		else echo "not checked for Windows: the target $(WINDOWS) comes with rustup" >&2; fi
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m mypy.stubtest ssimae._rust
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/zizmor --offline --quiet .github

# The site, with its notebooks executed: warnings are errors, and so are links that lead nowhere.
docs: $(VENV)/documented
	rm -rf $(SITE)
	$(TEST_ENV) $(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --jobs 2 --fresh-env \
		--builder html --doctree-dir target/doctrees docs $(SITE)
	$(BIN)/python docs/check_site.py $(SITE)

# The wheel is built from the sdist, as an index would, and tried in an environment of its own. What it depends on is
# compiled and fetched already: the folder of cargo and the cache of uv are those of the first environment.
wheel: $(VENV)/installed
	rm -rf dist
	$(BIN)/maturin sdist --out dist
	CARGO_TARGET_DIR=$(CURDIR)/target $(BIN)/uv build --quiet --python $(BIN)/python --wheel --out-dir dist dist/ssimae-*.tar.gz
	@test "$$(uname)" != Linux || $(BIN)/auditwheel show dist/ssimae-*.whl | grep manylinux_ \
		|| { echo "the wheel links what no manylinux has" >&2; exit 1; }
	bash tests/package/try_wheel.sh $(BIN)/uv $(PYTHON) dist/ssimae-*.whl

# All rivals in one run, which ends in docs/benchmarks.md. `ARGS="-k 'map or loss'"` times some; the page says so.
bench: $(VENV)/rivals .venv-evaluation/rivals
	mkdir -p $(dir $(RECORD))
	RAYON_NUM_THREADS=$${RAYON_NUM_THREADS:-$$($(BIN)/python -c 'import torch; print(torch.get_num_threads())')} \
		$(BIN)/python -m pytest tests/perf --benchmark-enable --benchmark-only --benchmark-json=$(RECORD) $(ARGS)
	$(BIN)/python docs/generate/benchmarks.py $(RECORD)

# On a machine that has torch, Triton, numpy and lazy_loader, and perhaps nothing else: no environment is made.
bench-gpu:
	PYTHONPATH=python:tests $(PYTHON) -m perf.gpu.bench $(ARGS)

$(VENV)/installed: pyproject.toml Cargo.toml Cargo.lock $(wildcard rust/*.rs rust/*/*.rs rust/*/*/*.rs) | tools
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet uv
	$(INSTALL) -e '.[test]'
	touch $@

$(VENV)/documented: $(VENV)/installed
	$(INSTALL) -r pyproject.toml --extra docs
	touch $@

# Other packages that the benchmarks compare with; the tests do without them.
$(VENV)/rivals: $(VENV)/installed
	$(INSTALL) -e '.[test,bench]'
	touch $@

# Rivals that need an older numpy. Everything else they take from the first environment: torch is 6 GB. Of anomalib, which
# asks for a whole training framework, only what its metric imports.
.venv-evaluation/rivals: $(VENV)/rivals
	test -x .venv-evaluation/bin/python || $(PYTHON) -m venv .venv-evaluation
	.venv-evaluation/bin/python -c 'import pathlib, sys, sysconfig; \
		pathlib.Path(sysconfig.get_path("purelib"), "ssimae.pth").write_text(sys.argv[1])' \
		"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	.venv-evaluation/bin/pip install --quiet --no-deps 'numpy<2.4' 'ADEval>=1.1' 'anomalib>=2.7' opencv-python-headless \
		omegaconf pyyaml jsonargparse lightning tqdm pandas platformdirs python-dateutil pytz
	touch $@

# What is written by scripts: docs/settings.md and the like. A test tells when they are stale.
generated: $(VENV)/installed
	for script in docs/generate/*.py; do $(BIN)/python $$script || exit 1; done

tools:
	@command -v $(PYTHON) >/dev/null || { echo "ssimae needs Python 3.11 or newer; '$(PYTHON)' was not found (set PYTHON=...)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "ssimae needs Python 3.11 or newer; $$($(PYTHON) --version) is '$(PYTHON)' (set PYTHON=...)" >&2; exit 1; }
	@command -v cargo >/dev/null || { echo "ssimae needs Rust; 'cargo' was not found (https://rustup.rs)" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "ssimae needs a C linker; 'cc' was not found (Debian: apt-get install gcc)" >&2; exit 1; }

clean:
	rm -rf $(VENV) .venv-evaluation target dist
