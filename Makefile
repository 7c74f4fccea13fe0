# A thin front over Meson: what people type.
#
#   make          build build/hug (after installing what it needs)
#   make run      build and start the hub at http://127.0.0.1:7860 with a demo
#   make test     all set-up, build, every test; last line "N passed, N failed"
#   make bench    side-by-side tables against the peers
#   make fuzz     run every fuzz target for FUZZ_SECONDS (default 30) each
#   make install  PREFIX=/usr/local
#
# SAN=1 builds and tests with AddressSanitizer and UBSan in build-san/.

SAN ?=
BUILD := build$(if $(SAN),-san)
PREFIX ?= /usr/local
comma := ,
OPTIONS = $(if $(SAN),-Db_sanitize=address$(comma)undefined -Db_lundef=false)

.PHONY: all setup run test bench fuzz install clean
all: setup
	@ninja -C $(BUILD) --quiet

setup:
	@tools/setup
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) $(OPTIONS) >/dev/null

run: all
	@tools/setup run
	@tools/run $(BUILD)/hug

test: all
	@tools/test $(BUILD)

bench: all
	@tools/setup bench
	@bench/run $(BUILD)/hug

fuzz: setup
	@tools/fuzz

install: all
	@meson configure $(BUILD) -Dprefix='$(PREFIX)'
	@meson install -C $(BUILD) $(if $(DESTDIR),--destdir '$(DESTDIR)') >/dev/null

clean:
	rm -rf build build-san build-fuzz
