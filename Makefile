# Every command a person needs. `make help` lists them.
PORT ?= 3000
PROMETHEUS ?= 9090
GRAFANA ?= 3001
# The log of `make run`, a file for each port: kill the hub, start it, and nothing is lost.
DATA ?= data
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
INSTALLED_DEV := $(VENV)/installed-dev
INSTALLED_RELEASE := $(VENV)/installed-release
# What the tests start for real. nodejs, npm and Go are taken as they are where they exist.
DEBIAN := chromium-headless-shell firefox-esr prometheus nginx-light systemd openssl strace haproxy faketime redis-server jq
# What `make soak` starts beside them: the other proxies of config/proxies/, bad clients, networks of their own.
DEBIAN_SOAK := caddy varnish apache2 slowhttptest iproute2 nftables golang-go buildah podman runc netavark debootstrap php-cli
# The files whose tests take longest come first (tests/conftest.py), not those with the most tests: else the last
# worker runs alone for a minute. Tests wait more than they compute: three workers a core, and each file on one of
# them, so that its fixtures are made once.
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) * 3)))
IN_PARALLEL := --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
# A container may say that Python keeps no bytecode: each worker would then compile all tests, and each start the hub.
COMPILED_ONCE := env -u PYTHONDONTWRITEBYTECODE
# A second make beside this one waits until the first has installed. macOS has no flock, and no turns.
TURN := $(if $(shell command -v flock 2>/dev/null),flock Makefile)
# The peers of the benchmarks, and the compiler of the C loop.
PEERS := gcc libc6-dev nginx-light libnginx-mod-nchan
# The checker of the page's types, in a folder that git ignores; the page itself has no package.
TYPES := tests/types
TSC := $(TYPES)/node_modules/.bin/tsc

.DEFAULT_GOAL := help
.PHONY: help run dev monitor test soak check format docs bench bench-quick bench-compare release-check plan packages clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(INSTALLED) ## start the hub with the simulator at http://localhost:3000, until Ctrl-C; its log is in data/
	@mkdir -p -m 700 $(DATA)
	@echo "Ctrl-C stops the hub; its events are kept in $(DATA)/$(PORT).db"
	@exec $(BIN)/tocsin serve --config config/demo.toml --port $(PORT) --journal sqlite:$(DATA)/$(PORT).db

dev: $(INSTALLED) ## the same, and restart when a file of the server changes
	@mkdir -p -m 700 $(DATA)
	@exec $(BIN)/python -m tocsin.cli.dev --config config/demo.toml --port $(PORT) --journal sqlite:$(DATA)/$(PORT).db

monitor: $(INSTALLED) ## start the hub, Prometheus, and Grafana if installed; PORT, PROMETHEUS, GRAFANA are the ports
	@command -v prometheus >/dev/null || sh tests/packages.sh prometheus
	@exec $(BIN)/python -m grafana.monitor --hub-port $(PORT) --prometheus-port $(PROMETHEUS) --grafana-port $(GRAFANA)

test: plan $(INSTALLED_DEV) packages ## install what the tests need and run all of them (5 minutes on two cores)
	@echo "All tests on $(WORKERS) workers: about 5 minutes on two cores"
	$(COMPILED_ONCE) $(BIN)/python -m pytest $(IN_PARALLEL)

soak: $(INSTALLED_DEV) ## the tests that take minutes, and their figures; SOAK_SEED and SOAK_SECONDS are those of tests/soak
	@sh tests/packages.sh $(DEBIAN) $(DEBIAN_SOAK)
	$(BIN)/python -m pytest -m soak -s --timeout 900

check: $(INSTALLED_DEV) $(TSC) ## format, lint, strict types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(TSC) --project $(TYPES)
	$(TSC) --project $(TYPES)/worker.json

format: $(INSTALLED_DEV) ## put every file into the form that `make check` asks for
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(INSTALLED) ## write the table of metrics into docs/metrics.md, the reference into docs/api.md, and the dashboard
	$(BIN)/python -m tocsin.ops.metrics.document docs/metrics.md
	$(BIN)/python -m tocsin.cli.reference docs/api.md
	$(BIN)/python -m grafana.dashboard

bench: $(INSTALLED_DEV) ## measure the hub beside its peers, and write docs/benchmarks.md (an hour)
	@sh tests/packages.sh $(PEERS)
	$(BIN)/python benchmarks/run.py

bench-quick: $(INSTALLED_DEV) ## the same in 4 minutes, one short round: shows that it works
	@sh tests/packages.sh $(PEERS)
	$(BIN)/python benchmarks/run.py --quick

bench-compare: $(INSTALLED_DEV) ## measure the hub beside that of another commit, BASE, in every row (40 minutes)
	$(BIN)/python benchmarks/compare.py --base $(or $(BASE),HEAD)

release-check: $(INSTALLED_RELEASE) ## build sdist, wheel and SBOM of the last commit into dist/, twice, and check them (a minute)
	@$(BIN)/python .ci/release.py

plan: # what `make test` is going to install
	@[ $(INSTALLED_DEV) -nt pyproject.toml ] || \
		echo "To be installed into $(VENV), 800 MB in two or three minutes: pytest, Playwright, mypy, ruff, ..."
	@sh tests/packages.sh --plan $(DEBIAN)

packages: # Debian's packages that the tests start for real
	@sh tests/packages.sh $(DEBIAN)

clean: ## remove what was installed and built
	rm -rf $(VENV) data dist build $(TYPES)/node_modules tests/clients/node_modules tests/client_js/node_modules tests/client_js/runtimes/node_modules client/js/types tests/lighthouse/node_modules benchmarks/.cache screenshots

$(INSTALLED): pyproject.toml
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tocsin needs python3 >= 3.11" >&2; exit 1; }
	@python3 -c 'import select; select.epoll' 2>/dev/null || { echo "Tocsin runs on Linux only: it needs epoll" >&2; exit 1; }
	@echo "Installing Tocsin into $(VENV) (half a minute: the hub, Tornado, msgspec, click, prometheus-client, httpx)"
	@$(TURN) sh -ec '[ $@ -nt $< ] && exit; \
		python3 -m venv $(VENV); \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[client]"; \
		touch $@'

$(INSTALLED_DEV): $(INSTALLED)
	@echo "Installing what the tests import into $(VENV) (a minute or two: pytest, Playwright, mypy, ...)"
	@$(TURN) sh -ec '[ $@ -nt $< ] && exit; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"; \
		touch $@'

$(INSTALLED_RELEASE): $(INSTALLED)
	@echo "Installing what checks a release into $(VENV) (half a minute: build, twine, cyclonedx-bom)"
	@$(TURN) sh -ec '[ $@ -nt $< ] && exit; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[release]"; \
		touch $@'

$(TSC): $(TYPES)/package-lock.json
	@sh tests/packages.sh
	@echo "Installing TypeScript into $(TYPES) (some seconds)"
	@$(TURN) sh -ec '[ $@ -nt $< ] && exit; \
		npm ci --silent --no-audit --no-fund --prefix $(TYPES); \
		touch $@'
