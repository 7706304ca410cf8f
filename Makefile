# Every command a person runs. `make` alone lists them.

CARGO ?= cargo
# Where cargo builds. spin.toml names the components under ./target, so for running they are always built there.
TARGET := $(or $(CARGO_TARGET_DIR),target)
STACK := $(TARGET)/release/local-stack

GUESTS := -p shortlink-create -p shortlink-resolve -p shortlink-manage -p shortlink-health
COMPONENTS := build --profile component --target wasm32-wasip2 $(GUESTS)
SERVERS := -p shortlink-local-host -p shortlink-batch -p shortlink-local-stack
# What the rules of short-link must not depend on.
IMPURE := ^(spin|tokio|wasm|wit|wasi|http|hyper|reqwest)

.DEFAULT_GOAL := help
.PHONY: help setup build startlocal stoplocal upgradelocal revisionlocal test unittest integrationtest \
	integrationtesttls e2etest \
	bench soak fuzz loadtestcreate loadtestredirect stresstestcreate stresstestredirect \
	tfsetupinit tfsetupvalidate tfsetupapply tfdeployinit tfdeployvalidate tfdeployapply tftest \
	lint deny lintformat manifests clean setup-rust purecore testbuild

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

setup: ## install what is missing: the wasm target, Postgres, Redis, nginx
	@infra/local/install

setup-rust:
	@infra/local/install rust

build: setup-rust ## build everything that runs, in release
	$(CARGO) build --release $(SERVERS)
	$(CARGO) $(COMPONENTS) --target-dir target

startlocal: setup build ## build, then start everything on this machine
	@"$(STACK)" start

stoplocal: ## stop what startlocal started, and remove its data
	@test -x "$(STACK)" || $(CARGO) build --release -p shortlink-local-stack
	@"$(STACK)" stop

upgradelocal: ## migrate the database of the running local stack
	$(CARGO) build --release $(SERVERS)
	@"$(STACK)" batch migrate

revisionlocal: export DESCRIPTION = $(m)
revisionlocal: ## make the next migration: make revisionlocal m="describe change"
	@infra/local/new-migration "$$DESCRIPTION"

test: unittest integrationtest e2etest ## every test

unittest: setup-rust purecore ## the tests beside the code
	$(CARGO) test --workspace --lib --bins

integrationtest: testbuild ## the components over HTTP, on real servers, with faults
	$(CARGO) test --workspace --test integration -- --skip e2e::

integrationtesttls: testbuild ## the same, and the whole local stack, with TLS to Postgres and both Redis
	SHORT_LINK_TLS=on $(CARGO) test --workspace --test integration

e2etest: testbuild ## the whole local stack, through nginx
	$(CARGO) test --workspace --test integration e2e::

# What to pass on: make bench BENCH='--seconds 2 --only bare,hot'; make loadtestcreate LOADTEST='--seconds 10'.
BENCH ?=
LOADTEST ?=
# The front door of the local stack; LOAD_TEST_TARGET names another.
export LOAD_TEST_TARGET ?= http://127.0.0.1:$(or $(SHORT_LINK_PROXY_PORT),8080)
LOAD_TEST := $(CARGO) run --release --manifest-path load-test/Cargo.toml --target-dir target/load-test --

bench: ## measure every path, on servers of its own; see bench/README.md
	@infra/local/install bench
	$(CARGO) $(COMPONENTS) -p shortlink-bare-redirect
	$(CARGO) build --release $(SERVERS) -p shortlink-bench
	@"$(TARGET)/release/bench" $(BENCH)

SECONDS := 60
soak: setup ## a history check under faults: make soak SECONDS=60 SEED=7
	$(CARGO) build --release $(SERVERS)
	$(CARGO) $(COMPONENTS)
	SHORT_LINK_HOST="$${SHORT_LINK_HOST:-$(abspath $(TARGET))/release/local-host}" \
	SHORT_LINK_BATCH="$(abspath $(TARGET))/release/shortlink-batch" \
	$(CARGO) run --release -p shortlink-local-stack --example soak -- --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

# TARGETS names some of fuzz/fuzz_targets; without it all of them share the time.
fuzz: testbuild ## feed every parser and component with made-up input: make fuzz SECONDS=600 TARGETS=draft
	@SEED=$(SEED) fuzz/run $(SECONDS) $(TARGETS)

loadtestcreate: ## 20 users create links through the running local stack for 30 s
	$(LOAD_TEST) load-create $(LOADTEST)

loadtestredirect: ## 300 users follow links for 60 s
	$(LOAD_TEST) load-redirect $(LOADTEST)

stresstestcreate: ## 100 users, 10 more each second, create links
	$(LOAD_TEST) stress-create $(LOADTEST)

stresstestredirect: ## 300 users, 30 more each second, follow links
	$(LOAD_TEST) stress-redirect $(LOADTEST)

lint: setup-rust ## check formatting and lints, natively and for the components
	$(CARGO) fmt --all --check
	$(CARGO) fmt --all --check --manifest-path fuzz/Cargo.toml
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --target wasm32-wasip2 $(GUESTS) -- -D warnings

deny: ## check licences, sources and known vulnerabilities of every dependency
	.ci/deny

lintformat: setup-rust ## format, then check the lints
	$(CARGO) fmt --all
	$(CARGO) fmt --all --manifest-path fuzz/Cargo.toml
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --target wasm32-wasip2 $(GUESTS) -- -D warnings

manifests: ## check the images, compose, Kubernetes and observability files, and that they agree
	@infra/check-manifests

tfsetupinit: ## make ready what Terraform needs for an account: TF_WORKSPACE=staging make tfsetupinit; see infra/README.md
	@infra/tf setup init

tfsetupvalidate: ## check infra/setup
	@infra/tf setup validate

tfsetupapply: ## plan infra/setup, and apply it when that is confirmed
	@infra/tf setup apply

tfdeployinit: ## the same for the service
	@infra/tf deploy init

tfdeployvalidate: ## check infra/deploy
	@infra/tf deploy validate

tfdeployapply: ## plan infra/deploy, and apply it when that is confirmed
	@infra/tf deploy apply

tftest: ## check the Terraform: formatting, validity, its tests with a mock of AWS, checkov
	@infra/tftest

clean: ## stop the local stack and remove everything that was built
	@test ! -d .local || $(MAKE) stoplocal
	$(CARGO) clean
	rm -rf target

# The tests drive the servers as programs, so cargo does not build them by itself. All of the workspace at once, as the
# tests are built: with fewer packages or targets cargo would choose other features and build every dependency again.
# The libraries are left out: those of the components do not link natively.
testbuild: setup
	$(CARGO) build --workspace --bins --tests --examples
	$(CARGO) $(COMPONENTS) -p shortlink-faulty

purecore:
	@tree=$$($(CARGO) tree -p shortlink-core -e normal --all-features --prefix none) || exit 1; \
	if printf '%s\n' "$$tree" | grep -E '$(IMPURE)'; then \
		echo 'shortlink-core must not depend on these' >&2; exit 1; \
	fi
