# SPDX-License-Identifier: Apache-2.0
# A short front for meson, ninja and the scripts that do the work.
#
#   make demo          two Debian guests exchange traffic, in front of your eyes
#   make test          everything; does all the set-up it needs
#   make check         what needs no root, network or KVM; under two minutes
#   make test-native   the guest tests on this host's own KVM
#   make bench         figures beside a peer's, in one run; installs the peers
#   make lint          style, include direction, static analysis
#   make build, make install [PREFIX=/usr/local] [DESTDIR=], make deps, make clean

PREFIX ?= /usr/local
PYTEST := /usr/bin/python3 -m pytest -q -p no:cacheprovider
ASAN := build-asan

.PHONY: build deps check test test-native demo bench lint install clean \
	guest-image dpdk-image asan

build: build/build.ninja
	@ninja -C build

build/build.ninja:
	meson setup build --buildtype=release -Db_ndebug=false -Db_lto=true \
		--prefix=$(PREFIX)

asan: $(ASAN)/build.ninja
	@ninja -C $(ASAN)

$(ASAN)/build.ninja:
	meson setup $(ASAN) -Db_sanitize=address,undefined -Db_lundef=false

deps:
	@tools/install-deps

guest-image:
	@tools/guest/mk-guest-image build/guest

dpdk-image:
	@tools/guest/mk-guest-image --dpdk build/guest-dpdk

check: asan
	@tests/run unit proto

test: deps
	@tests/run

test-native: deps build guest-image dpdk-image
	BACKPLANE=$(CURDIR)/build/backplane $(PYTEST) tests/guest

demo: deps
	@$(MAKE) --no-print-directory build guest-image
	@tools/kvm-host -r tools/demo

bench:
	@tools/install-deps packages.list packages-bench.list
	@$(MAKE) --no-print-directory build guest-image
	@bench/run

lint:
	@tools/lint

install: build
	DESTDIR=$(DESTDIR) meson install -C build

clean:
	rm -rf build build-*
