# One line each; the work is in .ci/ and tests/lab. Everything runs in .venv, which is made when needed.
.DEFAULT_GOAL := help
.PHONY: help demo test check unit kernel uml parity docs forms completions dist deb soak bench bench-quick clean
SOAK = 200
ACTS = 50000
PYTEST = .venv/bin/python -m pytest
BENCH = .venv/bin/python -m tests.bench
ROOT = test "$$(id -u)" = 0 || { echo "macvnet: make $@ needs root, because it makes network namespaces: sudo make $@" >&2; exit 1; }

help:    ## This list
	@sed -n 's/^\([a-z-]*\): *\([a-z ]*\)## /  make \1  /p' Makefile | column -t -l 3 2>/dev/null || grep '## ' Makefile
demo:    ## Play the story of the tutorial in a throw-away lab, on the real kernel (root)
	@$(ROOT); .ci/setup demo; .venv/bin/python -m tests.lab.demo
test:    ## Everything: checks, all tests natively and in User Mode Linux; the machine is left as it was (root)
	@$(ROOT); .ci/unchanged .ci/test
check:   ## ruff, mypy --strict and the import contracts
	@.ci/setup tools
	.venv/bin/ruff check --quiet --output-format concise .
	.venv/bin/ruff format --quiet --check .
	.venv/bin/mypy --no-error-summary
	.venv/bin/lint-imports --no-cache >.venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }
unit:    ## Tests without a kernel: units, contracts, properties
	@.ci/setup tools; $(PYTEST) tests/unit tests/contracts tests/properties
kernel:  ## Tests on this kernel, with the kinds of link it has (root)
	@$(ROOT); .ci/setup test; $(PYTEST) tests/kernel
uml:     ## All kernel tests inside User Mode Linux, with every kind of link (root)
	@$(ROOT); .ci/setup test; .venv/bin/python -m tests.lab.uml --everything tests/kernel
parity:  ## The same command lines through a real dockerd and through macvnet (root)
	@$(ROOT); .ci/setup test; $(PYTEST) tests/parity
soak:    ## What takes long: SOAK=200 power cuts, ACTS=50000 things done by a crowd (root)
	@$(ROOT); .ci/setup test; MACVNET_SOAK_CUTS=$(SOAK) MACVNET_SOAK_ACTS=$(ACTS) $(PYTEST) -o python_files='soak_*.py' tests/soak
	@MACVNET_TEST_FAULTS=all $(PYTEST) tests/kernel/test_faults.py tests/kernel/test_errnos.py
	@MACVNET_TEST_FAULTS=all .venv/bin/python -m tests.lab.uml --timeout 3600 tests/kernel/test_faults.py
bench:   ## Measure macvnet beside its peers, for minutes; docs/performance.md is written anew (root)
	@$(ROOT); .ci/setup bench; .ci/unchanged $(BENCH) --json build/bench.json --page
bench-quick: ## The same with less of everything, in less than a minute; prints only (root)
	@$(ROOT); .ci/setup bench; .ci/unchanged $(BENCH) --quick
docs:    ## Write docs/reference, docs/pictures and man anew, from the program
	@.ci/setup tools; .venv/bin/python -m tests.docs.reference; .venv/bin/python -m tests.docs.manual; .venv/bin/python -m tests.docs.pictures
forms:   ## Encode anew what macvnet/kernel/prepared.py has, with the pyroute2 that is installed
	@.ci/setup tools; .venv/bin/python -m release.forms
completions: ## Write completions anew, from the program
	@.ci/setup tools
	.venv/bin/macvnet completion bash >completions/macvnet.bash
	.venv/bin/macvnet completion zsh >completions/_macvnet
	.venv/bin/macvnet completion fish >completions/macvnet.fish
dist:    ## Wheel, sdist and the single file macvnet.pyz, in dist/; the same bytes for the same commit
	@.ci/setup tools; .venv/bin/python -m release dist
deb: dist ## A Debian package of it, in dist/, for the version of Python that makes it
	@.venv/bin/python -m release.deb dist
clean:   ## Remove .venv, dist and what the tools cached
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
