# One task list for people and CI. Needs Rust and make; PostgreSQL is installed where that is possible
# (tests/with-postgres says how it is found).

CARGO ?= cargo
# Test builds can stop or die at a named step: see tests/README.md.
FEATURES := --features pgmig-cli/failpoints
# Archives for test-corpus: a directory laid out as fixtures/README.md says.
PGMIG_CORPUS ?= $(CURDIR)/fixtures
# PostgreSQL versions to test on, such as 13,15,16; none: the newest server of this machine.
PGMIG_PG ?=
# Integration tests to run on them: parts of their names; none: all.
TESTS ?=

ifneq ($(shell $(CARGO) nextest --version 2>/dev/null),)
RUN_ALL := $(CARGO) nextest run --workspace $(FEATURES)
# As the whole workspace is built, so that nothing is built twice.
RUN_INTEGRATION = $(RUN_ALL) -E 'package(pgmig-tests)' $(TESTS)
RUN_CORPUS := $(CARGO) nextest run -p pgmig-tests corpus:: --no-capture
else
RUN_ALL := $(CARGO) test --workspace $(FEATURES) --lib --bins --tests
RUN_INTEGRATION = $(CARGO) test -p pgmig-tests -- $(TESTS)
integration: binary
RUN_CORPUS := $(CARGO) test -p pgmig-tests corpus:: -- --nocapture
endif

.DEFAULT_GOAL := help
comma := ,
VERSIONS := $(subst $(comma), ,$(PGMIG_PG))
FIRST := $(firstword $(VERSIONS))
OTHERS := $(wordlist 2,$(words $(VERSIONS)),$(VERSIONS))

.PHONY: help demo test integration other-servers hostile sweep soak real binary test-corpus rewriting check public-api standalone packages book deny sbom dist dist-packages dist-check doctest fuzz memory bench fixtures

help:
	@echo "make demo         the main job end to end, on a private PostgreSQL cluster"
	@echo "make test         all tests, on a private PostgreSQL cluster; PGMIG_PG=15,16 runs the integration tests on each version"
	@echo "make integration  the integration tests only; TESTS='corpus:: jobs::' chooses some, PGMIG_PG as above"
	@echo "make other-servers  parts of the integration tests on 13, 16, 17 and 18"
	@echo "make hostile      every attack of tests/hostile/, by every login and strategy; PGMIG_HOSTILE=TEXT chooses some"
	@echo "make sweep        a database for each kind of entry and attribute, compared with pg_restore, on PostgreSQL 15, 16 and 18; PGMIG_PG as above, PGMIG_SWEEP=TEXT chooses some"
	@echo "make soak         random faults, FAULTS=1000 of them from SEED=N on, in ROOMS=2 at a time, at most MINUTES=N; writes docs/soak.md"
	@echo "make real         databases of real products, compared with pg_restore; PRODUCTS='lemmy synapse' chooses some; needs package registries"
	@echo "make test-corpus  restore every archive under PGMIG_CORPUS=DIR and compare with pg_restore"
	@echo "make rewriting    restore ROWS=N generated rows and compare each with what PostgreSQL says (10 million)"
	@echo "make check        formatting, lints, documentation, unit tests, packages, the book, deny.toml without its advisories"
	@echo "make book         docs/ as a book, in target/book, with all its links followed; gets mdbook from PyPI if there is none"
	@echo "make public-api   write the list of the libraries' public items anew (pgmig-core/public-api.txt)"
	@echo "make deny         all of deny.toml, by cargo-deny; needs the network"
	@echo "make sbom         the crates that pgmig is made of, as target/pgmig.cdx.json (CycloneDX)"
	@echo "make dist         one binary for every Linux with glibc 2.17 or later, in dist/; ARCH='x86_64 aarch64' makes both; needs perl, python3 and PyPI"
	@echo "make dist-packages  a .deb and an .rpm of it; needs dpkg-deb and rpmbuild"
	@echo "make dist-check   check all that, and run the binary in root file systems of Debian and Ubuntu; SUITES='bookworm sid' chooses some, SUITES=none makes none; needs root"
	@echo "make fuzz         run each fuzz target RUNS=20000 times and print the number of executions"
	@echo "make bench        times of restores and of verify, beside pg_restore's"
	@echo "make fixtures     make the archives of each release anew (fixtures/releases)"
	@echo "make memory       peak memory of a restore of 300 MB and of 1 GB"

demo:
	$(CARGO) build -p pgmig-cli
	tests/with-postgres demo/run target/debug/pgmig

# The binary is built with the tests of pgmig-cli.
test: doctest
	tests/on-servers "$(FIRST)" $(RUN_ALL)
	$(if $(OTHERS),tests/on-servers "$(OTHERS)" $(RUN_INTEGRATION))

# Not part of test: it takes as long as all the others.
hostile: binary
	tests/with-postgres $(CARGO) nextest run --workspace $(FEATURES) --profile hostile

# Not part of test either: two hundred databases on each server.
sweep: binary
	tests/on-servers "$(or $(VERSIONS),15 16 18)" $(CARGO) nextest run --workspace $(FEATURES) --profile sweep

# Not part of test either: a thousand faults take an hour. test has one of each kind.
FAULTS ?= 1000
SEED ?=
ROOMS ?= 2
MINUTES ?=
soak: binary
	@mkdir -p docs
	PGMIG_SOAK_FAULTS=$(FAULTS) PGMIG_SOAK_SEED=$(SEED) PGMIG_SOAK_ROOMS=$(ROOMS) PGMIG_SOAK_MINUTES=$(MINUTES) PGMIG_SOAK_TABLE=$(CURDIR)/docs/soak.md \
		tests/with-postgres $(CARGO) nextest run --workspace $(FEATURES) --profile soak --no-capture

# Installs packages of crates.io, PyPI and npm outside the checkout.
PRODUCTS ?=
real:
	$(CARGO) build -p pgmig-cli
	tests/with-postgres tests/real target/debug/pgmig $(PRODUCTS)

binary:
	$(CARGO) build -p pgmig-cli $(FEATURES)

# Parts of the integration tests on the servers that `make test` leaves out: on 16, which the pods have, reports, strategies,
# privileges and the way back; on the others what each version has of its own.
other-servers:
	$(MAKE) --no-print-directory integration PGMIG_PG=16 TESTS="every:: swap:: privileges:: previous::"
	$(MAKE) --no-print-directory integration PGMIG_PG=13,17,18 TESTS="roles_and_releases:: statistics:: verification:: swap::carry_over:: privileges::reports::"

integration:
	tests/on-servers "$(VERSIONS)" $(RUN_INTEGRATION)

test-corpus: binary
	PGMIG_CORPUS="$(abspath $(PGMIG_CORPUS))" tests/with-postgres $(RUN_CORPUS)

# nextest would end these tests after five minutes.
ROWS ?= 10000000
rewriting: binary
	PGMIG_GENERATED_ROWS=$(ROWS) tests/with-postgres $(CARGO) test -p pgmig-tests generated::copy_data -- --nocapture

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --workspace --all-targets $(FEATURES) -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items
	CARGO="$(CARGO)" tests/public-api | diff -u pgmig-core/public-api.txt - || { \
		echo "the libraries' public items have changed; if that is intended, run: make public-api" >&2; exit 1; }
	$(CARGO) test --workspace --lib --bins $(FEATURES)
	$(CARGO) run --quiet -p pgdump-archive --example list -- fixtures/archives/15_file_z0.dump tenant | grep -q "Contoso Bank"
	$(MAKE) --no-print-directory standalone packages book

# The archive reader depends on no database driver, no runtime and no TLS.
standalone:
	@mkdir -p target
	$(CARGO) tree -p pgdump-archive --all-features --target all -e normal,build --prefix none > target/pgdump-archive.tree
	! grep -E '^(tokio|async|futures|sqlx|openssl|native-tls|rustls|hyper|pgmig)' target/pgdump-archive.tree

packages:
	tests/packages

# Gets mdbook from PyPI once, if it is not on PATH; needs python3 with its venv.
book:
	tests/book

public-api:
	CARGO="$(CARGO)" tests/public-api > pgmig-core/public-api.txt.new
	mv pgmig-core/public-api.txt.new pgmig-core/public-api.txt

# Not part of check: cargo-deny takes long to build, and it downloads the known vulnerabilities. A test of tests/supply-chain/
# enforces the rest of deny.toml.
deny:
	$(CARGO) deny --version || { echo "make deny requires: cargo install cargo-deny --locked" >&2; exit 1; }
	$(CARGO) deny --locked check

sbom:
	$(CARGO) build --workspace $(FEATURES) --bin pgmig-supply-chain
	target/debug/pgmig-supply-chain sbom > target/pgmig.cdx.json.new
	mv target/pgmig.cdx.json.new target/pgmig.cdx.json

ARCH ?= x86_64
dist:
	CARGO="$(CARGO)" packaging/build $(ARCH)

dist-packages:
	packaging/packages

SUITES ?=
dist-check:
	tests/with-postgres --tls packaging/check $(SUITES)

doctest:
	$(CARGO) test --workspace --doc $(FEATURES)

memory:
	$(CARGO) build --release -p pgmig-cli
	tests/with-postgres tests/memory target/release/pgmig

RUNS ?= 20000
fuzz:
	fuzz/run $(RUNS)

fixtures:
	tests/with-postgres tests/make-releases

# BENCH="store small" chooses shapes, BENCH=" " takes all; RUNS, JOBS, SCALE and FLOOR are described in benches/README.md.
BENCH ?= store
bench:
	$(CARGO) build --release -p pgmig-cli
	PGMIG_TEST_FSYNC=1 tests/with-postgres benches/restore target/release/pgmig $(BENCH)
	tests/with-postgres benches/verify target/release/pgmig
