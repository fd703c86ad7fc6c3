# The commands of the project; `make` alone lists them. CI runs these and nothing else.

.DEFAULT_GOAL := help
.PHONY: help setup web demo test test-keycloak interop check deny bench

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what the tests need and the machine lacks
	@scripts/setup

web: ## build the pages that are built into the program
	@scripts/web

demo: web ## serve the trading and rag examples, with events at once
	@scripts/demo

test: setup web ## run every test: crates, real clients, dependency bans, links
	cargo test --workspace --locked
	scripts/interop
	scripts/check-bans
	scripts/check-links

test-keycloak: setup web ## let a real Keycloak judge the server (needs Java 17 or 21, and Maven the first time)
	scripts/keycloak

interop: setup web ## run only the tests with real clients
	scripts/interop

check: setup web ## run what must pass before a change lands: format, lints, docs, licences, tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	scripts/check-deny
	cargo test --workspace --locked
	scripts/interop
	scripts/check-bans
	scripts/check-links

deny: ## check licences, advisories and sources of the dependencies
	scripts/check-deny

bench: ## measure CPU per delivery and memory per connection
	cargo run --release --locked -p stentor-bench
