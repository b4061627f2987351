# Two front doors: `make run` shows the exchange at work, `make test` proves it. Both install what they need.
BUILD ?= build
SAN   ?= build-asan
FUZZ_SECONDS ?= 60

.PHONY: help run build test check tsan fuzz soak bench install clean

help:
	@echo "make run     build, start lpxd with no configuration and watch uplinks travel (Ctrl-C ends)"
	@echo "make test    build with AddressSanitizer and UBSan, run unit, scenario and interop tests"
	@echo "make check   static checks: layers, sizes, headers, docstrings, formatting"
	@echo "make tsan    loops, queues and the router under ThreadSanitizer"
	@echo "make fuzz    run every fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS) each"
	@echo "make soak    long runs: replay, restarts, many subscribers"
	@echo "make bench   costs per call, printed and written to bench/results.json"
	@echo "make install put lpxd and lpx under /usr/local (DESTDIR=... for packaging)"

build/build.ninja:
	@tools/bootstrap build
	@tools/quiet meson setup $(BUILD) --buildtype=release --optimization=2 -Dtests=false

build: build/build.ninja
	@tools/build $(BUILD)

run: build
	@tools/run_demo $(BUILD)

$(SAN)/build.ninja:
	@tools/bootstrap build test check
	@tools/quiet meson setup $(SAN) -Db_sanitize=address,undefined -Db_lundef=false

test: $(SAN)/build.ninja
	@tools/build $(SAN)
	@/usr/bin/python3 tools/run_tests.py $(SAN)

check: $(SAN)/build.ninja
	@tools/build $(SAN)
	@tools/check_all $(SAN)

tsan:
	@tools/bootstrap build test
	@tools/run_tsan build-tsan

fuzz:
	@tools/bootstrap build fuzz
	@tools/run_fuzz build-fuzz $(FUZZ_SECONDS)

soak: $(SAN)/build.ninja
	@tools/build $(SAN)
	@/usr/bin/python3 -m pytest -q -p no:cacheprovider tests/soak --build $(abspath $(SAN))

bench: build
	@tools/bootstrap bench
	@bench/run

install: build
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --quiet

clean:
	@rm -rf $(BUILD) $(SAN) build-tsan build-fuzz
