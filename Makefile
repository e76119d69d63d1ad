# make: the default run. make test: every test. Both set up .venv first; both are quick the second time.

VENV ?= .venv
# The first Python on the PATH that is new enough (a shim without a version behind it does not count).
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
CORES ?= all
# What is installed, with the hash of each file. `make LOCK=` has the same versions but no hashes: for torch from elsewhere.
LOCK ?= locks/dev.txt
PIP = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check

# Stages run `python -m sdc`: the environment's Python comes first.
export PATH := $(abspath $(VENV))/bin:$(PATH)

.PHONY: run toy test test-heavy test-slurm test-kubernetes test-faults gpu-check screenshot similarities docs format lock audit clean
.DEFAULT_GOAL := run

run: $(VENV)/.installed
	@snakemake --cores $(CORES)
	@echo; cat results/table1.md; echo; echo "This table: results/table1.csv, .md, .tex and .html; with figures: results/report.html; every metric: results/metrics.csv"

# docs/toy.md.
toy: $(VENV)/.installed
	@python examples/toy.py

test: $(VENV)/.installed
	@python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-heavy: $(VENV)/.installed
	@python -m pytest -m heavy

# Needs munge, slurmctld, slurmd and slurm-client of the distribution.
test-slurm: $(VENV)/.installed
	@python -m pytest -m slurm tests/slurm

test-kubernetes: $(VENV)/.installed
	@python -m pytest -m kubernetes tests/kubernetes

# Faults on purpose: about an hour on two cores. FAULTS_SEED=3 draws others; the table at the end is written too.
test-faults: $(VENV)/.installed
	@mkdir -p results
	@FAULTS_TABLE=results/faults.md python -m pytest -m '' -n auto --maxprocesses 4 --dist worksteal tests/faults

# What is claimed of a GPU, within 8 minutes: needs no .venv, only a Python with torch. Writes results/gpu-check.json.
gpu-check:
	@$(PYTHON) benchmarks/gpu_check.py

# The pictures of the page in README and docs/search.md. Needs a Chromium.
screenshot: $(VENV)/.installed
	@snakemake --cores $(CORES) $(SHOWN)
	@python docs/screenshot.py $(SHOWN)
SHOWN = $(foreach method,sdc greedyhash,results/runs/digits/pixels/$(method)/64bit/seed0/index)

# The image of the README.
similarities: $(VENV)/.installed
	@snakemake --cores $(CORES) $(PAIRS:%=%/metrics.json)
	@python docs/similarities.py $(PAIRS)
PAIRS = $(foreach method,greedyhash sdc,results/runs/digits/pixels/$(method)/64bit/seed0)

# The documentation as a site, from disk or by any web server (which its search needs): site/index.html.
docs: $(VENV)/.installed
	@NO_MKDOCS_2_WARNING=1 python -m mkdocs build --quiet
	@echo "site/index.html"

# And what is written from the code: the schema for editors, the help of the command line, the names of the package.
format: $(VENV)/.installed
	ruff check --fix . && ruff format . && snakefmt Snakefile workflow
	$(VENV)/bin/python -m sdc.plan.schema > workflow/schemas/config.schema.json
	$(VENV)/bin/python tests/unit/test_cli.py
	$(VENV)/bin/python tests/contract/test_api.py

# After a change to pyproject.toml or constraints.txt; SECURITY.md. Both need uv and a package index.
lock:
	@for extra in workflow dev; do $(LOCKING) --extra $$extra --output-file locks/$$extra.txt pyproject.toml; done
LOCKING = uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --generate-hashes --constraint constraints.txt

audit:
	@uvx pip-audit --disable-pip --require-hashes --requirement locks/dev.txt

$(VENV)/.installed: pyproject.toml constraints.txt $(LOCK)
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; install it, or name it: make PYTHON=/path/to/python3"; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (minutes the first time; torch is large)"
ifneq ($(LOCK),)
	@$(PIP) --require-hashes --requirement $(LOCK)
	@$(PIP) --no-deps --no-build-isolation --editable .
else
	@$(PIP) --constraint constraints.txt --editable '.[dev]'
endif
	@touch $@

clean:
	rm -rf $(VENV) results/[!R]* .snakemake
