# `make run` to see it work, `make test` to test it, `make help` for the rest.

.NOTPARALLEL:
.PHONY: help deps model llama-server run test lint bench fuzz docs clean \
  build build-local build-5.1 build-5.2 build-5.3 build-5.4 build-jit

help: ## this list
	@sed -n 's/^\([a-z0-9. -]*\):.*## /\1|/p' Makefile | awk -F'|' '{ printf "  %-28s %s\n", $$1, $$2 }'

deps: ## install what building and testing need (apt)
	@scripts/deps.sh

model: ## get SmolLM2-135M-Instruct into the cache (93 MB)
	@scripts/model.sh

llama-server: ## build llama.cpp's server into the cache; specs compare with it (ten minutes)
	@scripts/llama_server.sh

run: deps model ## an agent on a local model, on Lua 5.4
	@scripts/run.sh

test: deps model ## all tests and checks, on Lua 5.4 and LuaJIT
	@scripts/test.sh

lint: ## formats and static checks
	@scripts/lint.sh

build: build-5.4 build-jit ## build/5.4/zigllms.so and build/jit/zigllms.so

build-5.1 build-5.2 build-5.3 build-5.4 build-jit: ## the module for one engine
	@scripts/build.sh release build $(@:build-%=%)

build-local: ## both with the embedded engine, in build/local
	@scripts/build.sh release build/local 5.4 local
	@scripts/build.sh release build/local jit local

bench: build ## benchmarks on both engines
	@scripts/bench.sh

fuzz: ## 60 s of generated input for each reader of the core (ZIGLLMS_FUZZ_SECONDS)
	@scripts/fuzz.sh

docs: build-5.4 ## write the generated documents anew
	@scripts/docs.sh

clean: ## remove build/ (cargo's files are in the cache)
	@rm -rf build
