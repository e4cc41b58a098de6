# Two commands matter: `make demo` shows the whole loop on data, `make test` runs every test there is.
# A fresh Debian or Ubuntu machine with Rust is enough; what else is missing is installed (see scripts/need).

export DATA SHA256 PORT AUDIENCE SEED

.PHONY: help demo test bench bench-peers check fmt

help:
	@echo "make demo                    the whole loop on a simulated public, then a server on 127.0.0.1:8080"
	@echo "make demo DATA=DIR           the same on RecBole files or Parquet in DIR"
	@echo "make demo DATA=URL SHA256=…  the same on a zip that is fetched and checked first"
	@echo "                             PORT=8080  SEED=1  AUDIENCE=0 (nobody acts on the server)"
	@echo "make test                    builds once, then unit, contract, scenario, end-to-end, tidy and docs tests"
	@echo "make check                   formatting, lints and documentation, as .ci/run does"
	@echo "make bench                   the benches behind docs/benchmarks.md"
	@echo "make bench-peers             the key-list store beside hashbrown, LMDB, redb, RocksDB, cdb, Sparkey: 20 minutes"

demo:
	@scripts/demo

test:
	@scripts/test

check:
	@scripts/check

bench:
	@scripts/need cc
	cargo bench -p data-layer -p compute-layer -p app-layer

bench-peers:
	@scripts/bench-peers

fmt:
	cargo fmt --all
	cargo fmt --manifest-path data-layer/benches/peers/Cargo.toml
