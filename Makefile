# SHM-RPC: one makefile, every product under build/VARIANT. `make help` lists the targets.
.DEFAULT_GOAL := all
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VERSION := $(shell sed -n 's/^\#define SHMRPC_VERSION "\(.*\)"/\1/p' src/shmrpc.h)
SOVERSION := $(firstword $(subst ., ,$(VERSION)))
PREFIX ?= /usr/local
DESTDIR ?=
LIBDIR ?= $(PREFIX)/lib
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' '$(1)' '$(2)')

# ---- Toolchain --------------------------------------------------------------------------------
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
CXX := $(if $(filter default,$(origin CXX)),g++,$(CXX))
WARN := -Wall -Wextra -Wconversion -Wshadow -Werror
CFLAGS ?= -g
BASE_CFLAGS := -std=c11 -D_GNU_SOURCE $(WARN) -fPIC -fvisibility=hidden -pthread -MMD -MP -iquote src
VARIANTS := release asan
release_CFLAGS := -O2
release_LDFLAGS :=
asan_CFLAGS := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
asan_LDFLAGS := -fsanitize=address,undefined

# ---- Sources ----------------------------------------------------------------------------------
LIB_SRC := $(wildcard src/*.c)
TOOL_SRC := $(wildcard src/tool/*.c)
EXAMPLE_SRC := $(wildcard src/examples/*.c)
UNIT_SRC := $(wildcard conformance/unit/test_*.c)
UNIT_SUPPORT_SRC := $(filter-out $(UNIT_SRC),$(wildcard conformance/unit/*.c))

objects = $(patsubst %.c,build/$(1)/%.o,$(2))

# ---- Rules, once a variant --------------------------------------------------------------------
define variant_rules
build/$(1)/%.o: %.c Makefile
	$$(call say,CC,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(BASE_CFLAGS) $$($(1)_CFLAGS) $$(CFLAGS) $$(CPPFLAGS) -c $$< -o $$@

build/$(1)/libshmrpc.a: $$(call objects,$(1),$$(LIB_SRC))
	$$(call say,AR,$$@)
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^

build/$(1)/libshmrpc.so.$$(VERSION): $$(call objects,$(1),$$(LIB_SRC)) src/shmrpc.map
	$$(call say,LD,$$@)
	$$(Q)$$(CC) -shared -pthread $$($(1)_LDFLAGS) $$(LDFLAGS) -Wl,-soname,libshmrpc.so.$$(SOVERSION) \
	  -Wl,--version-script=src/shmrpc.map -Wl,-z,defs $$(filter %.o,$$^) -o $$@
	$$(Q)ln -sf libshmrpc.so.$$(VERSION) build/$(1)/libshmrpc.so.$$(SOVERSION)
	$$(Q)ln -sf libshmrpc.so.$$(SOVERSION) build/$(1)/libshmrpc.so

build/$(1)/shmrpc: $$(call objects,$(1),$$(TOOL_SRC)) build/$(1)/libshmrpc.a
	$$(call say,LD,$$@)
	$$(Q)$$(CC) -pthread $$($(1)_LDFLAGS) $$(LDFLAGS) $$^ -lcjson -lm -o $$@

build/$(1)/examples/%: build/$(1)/src/examples/%.o build/$(1)/libshmrpc.a
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -pthread $$($(1)_LDFLAGS) $$(LDFLAGS) $$^ -o $$@

build/$(1)/unit/%: build/$(1)/conformance/unit/%.o $$(call objects,$(1),$$(UNIT_SUPPORT_SRC)) build/$(1)/libshmrpc.a
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -pthread $$($(1)_LDFLAGS) $$(LDFLAGS) $$(UNIT_LDFLAGS) $$^ -lcmocka -lcjson -lm -o $$@

.PHONY: units-$(1)
units-$(1): $$(patsubst conformance/unit/%.c,build/$(1)/unit/%,$$(UNIT_SRC))

.PHONY: build-$(1)
build-$(1): build/$(1)/libshmrpc.a build/$(1)/libshmrpc.so.$$(VERSION) build/$(1)/shmrpc \
  $$(patsubst src/examples/%.c,build/$(1)/examples/%,$$(EXAMPLE_SRC))
endef
$(foreach v,$(VARIANTS),$(eval $(call variant_rules,$(v))))
.SECONDARY:
-include $(shell find build -name '*.d' 2>/dev/null)

# ---- Packages ---------------------------------------------------------------------------------
# Every entry point first makes sure of the packages it needs; NO_DEPS=1 skips that.
deps = $(if $(NO_DEPS),,$(Q)sh conformance/packages.sh $(1))

## all: build the library, the command and the examples
.PHONY: all
all: build-release build/shmrpc

build/shmrpc: build/release/shmrpc
	$(Q)ln -sf release/shmrpc $@

## help: this list
.PHONY: help
help:
	@sed -n 's/^## \(.*\)/\1/p' Makefile | awk -F': ' '{printf "  make %-16s %s\n", $$1, $$2}'

# ---- section: bench (bench/) ----

# ---- section: check (conformance/) ----

# ---- section: install (man pages, completion, pkg-config) ----

# ---- section: evidence (fuzz/, coverage/, spec/model/) ----

