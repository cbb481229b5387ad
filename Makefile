# Self-Gated. `make` lists the commands; each one works alone. GNU make 3.81 or later.
.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c "import ensurepip, venv" >/dev/null 2>&1 && break; done; echo $$p)
PIP_ARGS ?=
NB ?=
NOTEBOOK_LIMIT ?=
PROFILE ?= quick
DEVICE ?= auto
NAMES ?=
WORKERS ?=
CIFAR ?=
PORT ?= 8000
COURSE ?= course
ASSIGNMENT ?=
STUDENT ?=
SUBMITTED ?=
FROM ?=
DUE ?=
MARKS ?=
ARGS ?=

PY := .venv/bin/python
GRADING := $(PY) -m selfgated.grading --course "$(COURSE)"
STAMP := .venv/.installed
UNFINISHED := .venv/.unfinished
SITE := _build/html/index.html

supported := 3.11.% 3.12.% 3.13.%
print_version := import sys; print(".".join(map(str, sys.version_info[:3])))
version = $(shell $(1) -c '$(print_version)' 2>/dev/null)
goal = $(or $(firstword $(MAKECMDGOALS)),book)
# $(error) prints one line and stops before the first command of the recipe runs.
require_supported = $(if $(filter $(supported),$(1)),,$(error Self-Gated needs Python 3.11 to 3.13; $(PYTHON) $(if \
	$(1),is $(1),cannot be run). Name another with make $(goal) PYTHON=python3.12))

.PHONY: help book serve lab test test-gpu notebooks exercises kit release collect grade marks feedback grades slides results lint ulp constraints clean distclean

help:  ## list the commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

book: $(STAMP)  ## build the book into _build/html
	$(PY) tools/build_book.py
	@echo "The book: file://$(CURDIR)/$(SITE) (or: make serve)"

serve: $(SITE)  ## serve the built book on localhost (PORT=8000)
	$(PY) -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

lab: $(STAMP)  ## open the notebooks in JupyterLab
	$(PY) -m jupyterlab

test: $(STAMP)  ## run the tests and doctests, then compare every notebook with its stored outputs
	SELFGATED_DEVICE=cpu OMP_NUM_THREADS=1 $(PY) -m pytest tests src/selfgated --doctest-modules -n 2 --dist loadscope
	$(PY) tools/check_notebooks.py $(if $(NOTEBOOK_LIMIT),--limit $(NOTEBOOK_LIMIT)) $(NB)

test-gpu: $(STAMP)  ## rerun the training notebooks on CUDA, by their assertions
	$(PY) tools/gpu_notebooks.py $(NB)

notebooks: $(STAMP)  ## re-execute and normalise the notebooks (NB=notebooks/02_swish.ipynb for one)
	$(PY) tools/notebooks.py $(NB)

exercises: $(STAMP)  ## write exercises/ from solutions/: what students get
	$(PY) tools/exercises.py

kit: $(STAMP)  ## a zip for students per assignment, in _build/kits (ASSIGNMENT=02_swish for one)
	$(PY) tools/kit.py $(ASSIGNMENT)

release: $(STAMP)  ## enter an assignment in the gradebook and make its kit (ASSIGNMENT= DUE="2027-03-01 23:59")
	$(GRADING) release $(ASSIGNMENT) $(if $(DUE),--due "$(DUE)") $(ARGS)

collect: $(STAMP)  ## take notebooks from an LMS's zip or folder (FROM= ASSIGNMENT=)
	$(GRADING) collect "$(FROM)" $(if $(ASSIGNMENT),--assignment $(ASSIGNMENT)) $(ARGS)

grade: $(STAMP)  ## grade submissions in the sandbox (SUBMITTED=folder ASSIGNMENT= STUDENT= WORKERS=)
	$(GRADING) grade $(if $(SUBMITTED),--submitted "$(SUBMITTED)") $(if $(ASSIGNMENT),--assignment $(ASSIGNMENT)) \
		$(if $(STUDENT),--student "$(STUDENT)") $(if $(WORKERS),--workers $(WORKERS)) $(ARGS)

marks: $(STAMP)  ## enter marks of open questions, or write the table to fill in (MARKS=marks.csv)
	$(GRADING) marks $(if $(MARKS),"$(MARKS)") $(if $(ASSIGNMENT),--assignment $(ASSIGNMENT)) $(ARGS)

feedback: $(STAMP)  ## write a feedback page for every graded submission (ASSIGNMENT= STUDENT=)
	$(GRADING) feedback $(if $(ASSIGNMENT),--assignment $(ASSIGNMENT)) $(if $(STUDENT),--student "$(STUDENT)") $(ARGS)

grades: $(STAMP)  ## write grades.csv
	$(GRADING) grades $(ARGS)

slides: $(STAMP)  ## slides of each chapter, in _build/slides (NB=notebooks/02_swish.ipynb for one)
	$(PY) tools/slides.py $(NB)

results: $(STAMP)  ## record what the chapters plot (PROFILE=tiny|quick|full DEVICE=auto|cpu|cuda NAMES= WORKERS= CIFAR=)
	$(PY) -m selfgated.experiments $(NAMES) --profile $(PROFILE) --device $(DEVICE) \
		$(if $(WORKERS),--workers $(WORKERS)) $(if $(CIFAR),--cifar $(CIFAR)) $(ARGS)

lint: $(STAMP)  ## check style, format and the order of imports
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	.venv/bin/lint-imports

ulp: $(STAMP)  ## measure the errors of the float32 kernels (ARGS=--help)
	OMP_NUM_THREADS=1 $(PY) benchmarks/ulp_float32.py $(ARGS)

constraints: $(STAMP)  ## write constraints.txt from what is installed
	$(PY) tools/constraints.py

clean:  ## remove what was built, keep .venv
	rm -rf _build .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find book exercises notebooks results solutions src tests tools \
		\( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -prune -exec rm -rf {} +

distclean: clean  ## remove .venv as well
	rm -rf .venv src/*.egg-info

$(SITE):
	$(MAKE) book

# A killed pip can leave half a package that it later takes for a whole one: an unfinished .venv is made anew.
$(STAMP): requirements.txt constraints.txt pyproject.toml
	$(call require_supported,$(call version,$(PYTHON)))
	@test ! -e $(UNFINISHED) && $(PY) -c 'import pip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		>/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@rm -f $@ && touch $(UNFINISHED)
	$(PY) -m pip install --disable-pip-version-check -r requirements.txt -c constraints.txt $(PIP_ARGS)
	@rm $(UNFINISHED)
	$(PY) -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@
