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
BASE_CFLAGS := -std=c11 -D_GNU_SOURCE $(WARN) -fPIC -fvisibility=hidden -pthread -MD -MP -iquote src -idirafter src
VARIANTS := release asan
release_CFLAGS := -O3
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
BENCH := build/release/bench
BENCH_RESULTS := build/bench
BENCH_GEN := $(BENCH)/gen
BENCH_PROGRAMS := $(addprefix $(BENCH)/,bench peer-copy-limit peer-block-limit peer-shmrpc peer-json-uds \
  peer-grpc-c peer-grpc-cpp)
BENCH_HARNESS := $(addprefix bench/,bench.c rows.c settings.c machine.c process.c round.c figures.c ratios.c \
  report.c results.c html.c)
# The rooms of src/ are found by quotes only, the generated code is not ours to warn about.
BENCH_CFLAGS := -g -O2 $(WARN) -pthread -MMD -MP -iquote src -iquote bench -isystem $(BENCH_GEN) -D_GNU_SOURCE
BENCH_CXX = $(Q)$(CXX) -std=c++17 $(BENCH_CFLAGS)
BENCH_LINK = $(Q)$(CC) -pthread $(LDFLAGS) $(filter %.o %.a,$^)
bench_objects = $(patsubst bench/%.c,$(BENCH)/obj/%.o,$(1))
# pkg-config is asked in recipes, when the packages are there.
bench_libs = $$(pkg-config --libs $(1))

$(BENCH)/obj/%.o: bench/%.c Makefile
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 $(BENCH_CFLAGS) $(CFLAGS) $(CPPFLAGS) -DBENCH_GRPC_VERSION="\"$$(pkg-config --modversion grpc++)\"" \
	  -c $< -o $@

$(BENCH)/obj/peer_grpc_c.o: $(BENCH_GEN)/echo.pb-c.c
$(BENCH)/obj/peer_grpc_cpp.o: bench/peer_grpc_cpp.cc $(BENCH_GEN)/echo.pb.cc Makefile
	$(call say,CXX,$@)
	@mkdir -p $(@D)
	$(BENCH_CXX) $(CXXFLAGS) $(CPPFLAGS) -c $< -o $@

$(BENCH_GEN)/echo.pb-c.c: bench/echo.proto
	$(call say,PROTOC,$@)
	@mkdir -p $(@D)
	$(Q)protoc-c --proto_path=bench --c_out=$(@D) $<
$(BENCH_GEN)/echo.pb.cc: bench/echo.proto
	$(call say,PROTOC,$@)
	@mkdir -p $(@D)
	$(Q)protoc --proto_path=bench --cpp_out=$(@D) --grpc_out=$(@D) \
	  --plugin=protoc-gen-grpc=$$(command -v grpc_cpp_plugin) $<
$(BENCH_GEN)/echo.grpc.pb.cc: $(BENCH_GEN)/echo.pb.cc ;
$(BENCH_GEN)/%.c.o: $(BENCH_GEN)/%.c
	$(call say,CC,$@)
	$(Q)$(CC) -O2 -c $< -o $@
$(BENCH_GEN)/%.cc.o: $(BENCH_GEN)/%.cc
	$(call say,CXX,$@)
	$(Q)$(CXX) -std=c++17 -O2 -c $< -o $@

$(BENCH)/bench: $(call bench_objects,$(BENCH_HARNESS))
	$(call say,LD,$@)
	$(BENCH_LINK) -lcjson -lm -o $@
$(BENCH)/peer-copy-limit: $(call bench_objects,bench/peer_copy_limit.c bench/shared.c bench/driver.c)
	$(call say,LD,$@)
	$(BENCH_LINK) -o $@
$(BENCH)/peer-block-limit: $(call bench_objects,bench/peer_block_limit.c bench/shared.c bench/driver.c)
	$(call say,LD,$@)
	$(BENCH_LINK) -o $@
$(BENCH)/peer-shmrpc: $(call bench_objects,bench/peer_shmrpc.c bench/driver.c) build/release/libshmrpc.a
	$(call say,LD,$@)
	$(BENCH_LINK) -o $@
$(BENCH)/peer-json-uds: $(call bench_objects,bench/peer_json_uds.c bench/driver.c) build/release/libshmrpc.a
	$(call say,LD,$@)
	$(BENCH_LINK) -o $@
$(BENCH)/peer-grpc-c: $(call bench_objects,bench/peer_grpc_c.c bench/driver.c) $(BENCH_GEN)/echo.pb-c.c.o
	$(call say,LD,$@)
	$(BENCH_LINK) $(call bench_libs,grpc libprotobuf-c) -o $@
$(BENCH)/peer-grpc-cpp: $(call bench_objects,bench/peer_grpc_cpp.c bench/driver.c) $(BENCH_GEN)/echo.pb.cc.o \
  $(BENCH_GEN)/echo.grpc.pb.cc.o
	$(call say,LD,$@)
	$(Q)$(CXX) -pthread $(LDFLAGS) $(filter %.o,$^) $(call bench_libs,grpc++ protobuf) -o $@

# The two Python rows. Where their packages cannot be had the benchmark goes on and says so.
BENCH_VENV := $(BENCH_RESULTS)/venv
comma := ,
BENCH_PYTHON := $(if $(NO_PYTHON),,$(if $(BENCH_PEERS),$(filter %-py grpc-py-uds,$(subst $(comma), ,$(BENCH_PEERS))),all))
.PHONY: bench-python
bench-python:
ifneq ($(BENCH_PYTHON),)
	@mkdir -p $(BENCH_RESULTS)/python
	$(Q)test -e $(BENCH_VENV)/ready || { \
	  echo 'Setting the Python rows up ...' && rm -rf $(BENCH_VENV) && \
	  timeout 900 sh -c 'python3 -m venv $(BENCH_VENV) && $(BENCH_VENV)/bin/python -m pip install --quiet \
	    --disable-pip-version-check shm-rpc-bridge==0.2.4 grpcio grpcio-tools && touch $(BENCH_VENV)/ready' \
	  >$(BENCH_RESULTS)/venv.log 2>&1 || { cat $(BENCH_RESULTS)/venv.log; echo 'No Python rows.'; }; }
	$(Q)test ! -e $(BENCH_VENV)/ready || $(BENCH_VENV)/bin/python -m grpc_tools.protoc -Ibench \
	  --python_out=$(BENCH_RESULTS)/python --grpc_python_out=$(BENCH_RESULTS)/python bench/echo.proto
endif

## bench: measure against gRPC and the machine's limits (BENCH_ITERS BENCH_ROUNDS BENCH_SIZES BENCH_PEERS NO_PYTHON=1)
.PHONY: bench bench-programs
export BENCH_ITERS BENCH_ROUNDS BENCH_SIZES BENCH_PEERS BENCH_SECTIONS NO_PYTHON
bench:
	$(call deps,build bench)
	@mkdir -p $(BENCH_RESULTS)
	+$(Q)$(MAKE) --no-print-directory NO_DEPS=1 bench-programs bench-python
	$(Q)$(BENCH)/bench $(BENCH) $(BENCH_RESULTS) bench
bench-programs: $(BENCH_PROGRAMS)

# ---- section: check (conformance/) ----
# What `make check` runs, in this order. A suite NAME is a plan (plan-NAME: one quoted line
# 'LABEL|SECONDS|shared or alone|COMMAND' a program, see conformance/run-tests.sh) and what must be
# built before (needs-NAME). A further suite adds its name here and its two variables.
CHECK_SUITES := runner unit-release unit-asan valgrind process-release process-asan interop kill crash-points
CHECK_JOBS ?= 2
INTEROP_CALLS ?= 20000
KILLS ?= 500
SEED ?=
VENV := build/venv

UNIT_TESTS := $(patsubst conformance/unit/%.c,%,$(UNIT_SRC))
PROCESS_SRC := $(wildcard conformance/process/test_*.c)
PROCESS_SCRIPTS := $(wildcard conformance/process/test_*.sh)
PROCESS_TESTS := $(patsubst conformance/process/%.c,%,$(PROCESS_SRC))
PROCESS_SUPPORT_SRC := $(filter-out $(PROCESS_SRC) conformance/process/kill.c,$(wildcard conformance/process/*.c))
INTEROP_PROGRAMS := $(patsubst conformance/interop/%.c,%,$(wildcard conformance/interop/*.c))

# The library with its named crash points, for programs that kill themselves at them.
crash_CFLAGS := -O2 -DSHMRPC_CRASH_POINTS
crash_LDFLAGS :=
$(eval $(call variant_rules,crash))

# Every point of conformance/cases/crash-points.txt, and the proof that there are no others.
CRASH_LIST := conformance/cases/crash-points.txt
build/crash/points build/crash/steps: build/crash/%: build/crash/conformance/process/crash/%.o \
  $(call objects,crash,conformance/process/crash/scene.c $(PROCESS_SUPPORT_SRC)) build/crash/libshmrpc.a
	$(call say,LD,$@)
	$(Q)$(CC) -pthread $(LDFLAGS) $^ -lcmocka -lcjson -lm -o $@

define check_rules
build/$(1)/process/%: build/$(1)/conformance/process/%.o $$(call objects,$(1),$$(PROCESS_SUPPORT_SRC)) build/$(1)/libshmrpc.a
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -pthread $$($(1)_LDFLAGS) $$(LDFLAGS) $$^ -lcmocka -lcjson -lm -o $$@

build/$(1)/interop/%: build/$(1)/conformance/interop/%.o build/$(1)/libshmrpc.a
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -pthread $$($(1)_LDFLAGS) $$(LDFLAGS) $$^ -o $$@

plan-unit-$(1) = $$(foreach t,$$(UNIT_TESTS),'unit-$(1)/$$(t)|180|shared|build/$(1)/unit/$$(t)')
needs-unit-$(1) = units-$(1)
# A test finds the programs of its own variant through SHMRPC_BUILD.
plan-process-$(1) = $$(foreach t,$$(PROCESS_TESTS),'process-$(1)/$$(t)|180|alone|SHMRPC_BUILD=build/$(1) build/$(1)/process/$$(t)') \
  $$(foreach t,$$(notdir $$(PROCESS_SCRIPTS)),'process-$(1)/$$(t:.sh=)|180|alone|SHMRPC_BUILD=build/$(1) bash conformance/process/$$(t)')
needs-process-$(1) = build-$(1) $$(addprefix build/$(1)/process/,$$(PROCESS_TESTS))
endef
$(foreach v,$(VARIANTS) crash,$(eval $(call check_rules,$(v))))

plan-runner = 'runner/test-runner|60|shared|conformance/test-runner.sh'
plan-valgrind = $(foreach t,$(UNIT_TESTS),'valgrind/$(t)|600|shared|conformance/valgrind.sh build/release/unit/$(t)')
needs-valgrind = units-release
plan-interop = 'interop/interop|7200|alone|SEED=$(SEED) conformance/interop/run.sh $(VENV) build/release $(INTEROP_CALLS)'
needs-interop = build-release $(addprefix build/release/interop/,$(INTEROP_PROGRAMS))
plan-kill = 'kill/kill|7200|alone|conformance/interop/venv.sh $(VENV); SEED=$(SEED) PYTHON=$(VENV)/bin/python build/crash/process/kill $(KILLS)'
needs-kill = build/crash/process/kill
plan-crash-points = 'crash-points/names|10|shared|spec/model/run.sh --points' \
  'crash-points/steps|400|alone|build/crash/steps' 'crash-points/points|600|alone|build/crash/points $(CRASH_LIST)'
needs-crash-points = build/crash/points build/crash/steps

run_suites = $(Q)printf '%s\n' $(foreach s,$(1),$(plan-$(s))) | conformance/run-tests.sh -j $(CHECK_JOBS)
# Packages come before anything is built, so the building is a second make.
suites = +$(Q)$(MAKE) --no-print-directory NO_DEPS=1 -j$(CHECK_JOBS) run-suites RUN_SUITES='$(1)'

## check: every test there is, in the release build, under sanitizers and under valgrind
.PHONY: check unit process valgrind interop kill crash-points run-suites
check:
	$(call deps,check)
	$(call suites,$(CHECK_SUITES))
## unit: the unit tests of the release build
unit: private RUN_SUITES := unit-release
## process: whole processes against each other, release and sanitizers
process: private RUN_SUITES := process-release process-asan
## valgrind: the unit tests under valgrind
valgrind: private RUN_SUITES := valgrind
## interop: INTEROP_CALLS calls between C and the existing Python package, both ways
interop: private RUN_SUITES := interop
## kill: KILLS times SIGKILL at a random moment, survivors checked (SEED=N repeats a run)
kill: private RUN_SUITES := kill
## crash-points: death at each named point and at each pair of one with one of the recovery; proof that these are all
crash-points: private RUN_SUITES := crash-points
unit process valgrind interop kill crash-points:
	$(call deps,check)
	$(call suites,$(RUN_SUITES))

run-suites: $(foreach s,$(RUN_SUITES),$(needs-$(s)))
	$(call run_suites,$(RUN_SUITES))

## trace: every requirement joined with its code and its tests; fails on a hole
.PHONY: trace
trace:
	$(Q)sh conformance/trace.sh . build/trace.txt

## stats: lines, functions and assertions a room of src/
.PHONY: stats
stats:
	$(Q)sh conformance/stats.sh

# ---- section: kit (conformance/runner, cases, adapters) ----
# The conformance runner shares no code with src/; only the reference adapter links the library.
# Further ports: an adapter below conformance/adapters/NAME, a line in PORTS and PORT_NAME; what must be
# built for it in needs-port-NAME.
KIT_SRC := $(wildcard conformance/runner/*.c)
REFERENCE_SRC := $(wildcard conformance/adapters/reference/*.c)
REFERENCE := build/release/conformance-adapters/reference
KIT := build/release/shmrpc-conformance
KIT_OUTPUT ?= build/conformance
ADAPTER ?=
REPORT ?= ndjson,junit,html

build/release/shmrpc-conformance: $(call objects,release,$(KIT_SRC))
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -lcjson -o $@

build/shmrpc-conformance: build/release/shmrpc-conformance
	$(Q)ln -sf release/shmrpc-conformance $@

# The library's allocations pass through the adapter's fault.c: all the functions that it allocates by.
FAULT_LDFLAGS := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=strdup
$(REFERENCE): $(call objects,release,$(REFERENCE_SRC)) build/release/libshmrpc.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -pthread $(LDFLAGS) $^ -lcjson -lm $(FAULT_LDFLAGS) -o $@

build/release/kit/bad_adapter: build/release/conformance/runner/tests/bad_adapter.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) $^ -lcjson -o $@

build/release/kit/test_kit: build/release/conformance/runner/tests/test_kit.o \
  $(filter-out %/main.o,$(call objects,release,$(KIT_SRC)))
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) $^ -lcmocka -lcjson -o $@

PORTS := reference python-package python-port
PORT_reference := $(REFERENCE)
PORT_python-package := $(VENV)/bin/python conformance/adapters/python-package/adapter.py
PORT_python-port := $(VENV)/bin/python conformance/adapters/python-port/adapter.py

# In `make check`: the runner's own tests, the cases against the specification, the reference.
CHECK_SUITES += kit conformance python-port
needs-kit = build/release/kit/test_kit build/release/kit/bad_adapter build/shmrpc-conformance $(REFERENCE)
plan-kit = 'kit/test_kit|300|alone|build/release/kit/test_kit'
plan-python-port = 'python-port/vectors|60|shared|python3 conformance/adapters/python-port/test_vectors.py'
needs-conformance = build/shmrpc-conformance $(REFERENCE)
plan-conformance = 'conformance/gate|20|shared|$(KIT) --gate' \
  'conformance/reference|400|alone|$(KIT) --quiet --adapter $(REFERENCE) --output $(KIT_OUTPUT)'

## conformance: the reference, all categories; ADAPTER="COMMAND" judges another port
.PHONY: conformance conformance-all conformance-run conformance-gate
conformance:
	$(call deps,build)
	+$(Q)$(MAKE) --no-print-directory NO_DEPS=1 conformance-run

conformance-gate: build/shmrpc-conformance
	$(Q)$(KIT) --gate

conformance-run: conformance-gate $(REFERENCE)
	$(Q)$(KIT) --adapter '$(or $(ADAPTER),$(REFERENCE))' --reference $(REFERENCE) \
	  --output $(KIT_OUTPUT) --report $(REPORT)

## conformance-all: every port that the kit ships with, and one matrix of them all
conformance-all:
	$(call deps,check)
	+$(Q)$(MAKE) --no-print-directory NO_DEPS=1 build/shmrpc-conformance $(REFERENCE) \
	  $(foreach p,$(PORTS),$(needs-port-$(p))) $(needs-mutants)
	$(Q)conformance/interop/venv.sh $(VENV)
	$(Q)failed=; $(foreach p,$(PORTS),echo "== $(p)"; \
	  $(KIT) --adapter '$(PORT_$(p))' --reference $(REFERENCE) --output $(KIT_OUTPUT) \
	    || failed="$$failed $(p)";) \
	$(KIT) --merge --report html,junit --output $(KIT_OUTPUT) \
	  $(foreach p,$(PORTS),$(KIT_OUTPUT)/$(p).ndjson); \
	echo "== mutants"; $(MUTANTS)/run.sh $(KIT) $(MUTANT) $(REFERENCE) build/mutants || failed="$$failed mutants"; \
	if [ -n "$$failed" ]; then echo "not as expected:$$failed"; exit 1; fi

## report-shots: pictures of the matrix and of the bench report in Chromium, wide and narrow, light and dark
.PHONY: report-shots
report-shots:
	$(call deps,report)
	+$(Q)$(MAKE) --no-print-directory NO_DEPS=1 build/shmrpc-conformance $(REFERENCE) build/release/kit/bad_adapter
	$(Q)conformance/interop/venv.sh $(VENV)
	$(Q)conformance/report-shots.sh $(KIT) build/release/kit/bad_adapter $(KIT_OUTPUT) build/report-shots \
	  $(BENCH_RESULTS)/report.html $(foreach p,$(PORTS),'$(p)=$(PORT_$(p))')

# ---- section: mutants (conformance/adapters/mutants) ----
# A copy of the library and of the reference adapter with every fault of mutants.txt built in; which one
# a process has is chosen when it starts. The sources themselves know nothing of it.
MUTANTS := conformance/adapters/mutants
MUTANT := build/mutant/conformance-adapters/mutant
MUTANT_COPY := build/mutant/copy
MUTANT_HEADERS := $(addprefix $(MUTANT_COPY)/,$(wildcard src/*.h conformance/adapters/reference/*.h))
MUTANT_OBJECTS := $(patsubst %.c,$(MUTANT_COPY)/%.o,$(LIB_SRC) $(REFERENCE_SRC)) build/mutant/mutant.o
MUTANT_CFLAGS := -std=c11 -D_GNU_SOURCE -DSHMRPC_MUTANTS $(WARN) -Wno-conversion -O2 -pthread -MMD -MP \
  -iquote $(MUTANT_COPY)/src -iquote build/mutant

$(MUTANT_COPY)/%: % $(MUTANTS)/mutants.txt $(MUTANTS)/patch.awk
	$(call say,AWK,$@)
	@mkdir -p $(@D)
	$(Q)awk -f $(MUTANTS)/patch.awk -v source=$< $(MUTANTS)/mutants.txt $< >$@

build/mutant/mutant_numbers.h: $(MUTANTS)/mutants.txt $(MUTANTS)/patch.awk
	@mkdir -p $(@D)
	$(Q)awk -f $(MUTANTS)/patch.awk -v list=1 $(MUTANTS)/mutants.txt | sed 's/ .*/,/' >$@

$(MUTANT_COPY)/%.o: $(MUTANT_COPY)/%.c Makefile | $(MUTANT_HEADERS)
	$(call say,CC,$@)
	$(Q)$(CC) $(MUTANT_CFLAGS) $(CFLAGS) $(CPPFLAGS) -c $< -o $@

build/mutant/mutant.o: $(MUTANTS)/mutant.c build/mutant/mutant_numbers.h Makefile
	$(call say,CC,$@)
	$(Q)$(CC) $(MUTANT_CFLAGS) $(CFLAGS) $(CPPFLAGS) -c $< -o $@

$(MUTANT): $(MUTANT_OBJECTS)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -pthread $(LDFLAGS) $^ -lcjson -lm $(FAULT_LDFLAGS) -o $@

CHECK_SUITES += mutants
needs-mutants = build/shmrpc-conformance $(REFERENCE) $(MUTANT)
plan-mutants = 'mutants/mutants|300|alone|$(MUTANTS)/run.sh $(KIT) $(MUTANT) $(REFERENCE) build/mutants'

## mutants: seeded faults, each must survive plain calls and fail in its case (MUTANT_NUMBERS="101 204")
.PHONY: mutants
mutants:
	$(call deps,check)
	+$(Q)$(MAKE) --no-print-directory NO_DEPS=1 -j$(CHECK_JOBS) $(needs-mutants)
	$(Q)$(MUTANTS)/run.sh $(KIT) $(MUTANT) $(REFERENCE) build/mutants $(MUTANT_NUMBERS)

# ---- section: install (man pages, completion, pkg-config) ----
BINDIR := $(DESTDIR)$(PREFIX)/bin
INCLUDEDIR := $(DESTDIR)$(PREFIX)/include
LIBRARYDIR := $(DESTDIR)$(LIBDIR)
MANDIR := $(DESTDIR)$(PREFIX)/share/man
COMPLETIONDIR := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
MAN1 := $(wildcard src/man/*.1)
MAN3 := $(wildcard src/man/*.3)
# A page describes a family of functions and names them all in its NAME section; each of the other
# names becomes a page that includes it.
man_names = sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm \([a-z0-9_]*\).*/\1/p' $(1)

## install: header, libraries, command, man pages, completion (PREFIX=/usr/local DESTDIR=)
.PHONY: install uninstall
install: build-release
	install -d '$(BINDIR)' '$(INCLUDEDIR)' '$(LIBRARYDIR)/pkgconfig' '$(MANDIR)/man1' '$(MANDIR)/man3' '$(COMPLETIONDIR)'
	install -m 755 build/release/shmrpc '$(BINDIR)/shmrpc'
	install -m 644 src/shmrpc.h src/shmrpc_cjson.h '$(INCLUDEDIR)'
	install -m 644 build/release/libshmrpc.a '$(LIBRARYDIR)'
	install -m 755 build/release/libshmrpc.so.$(VERSION) '$(LIBRARYDIR)'
	ln -sf libshmrpc.so.$(VERSION) '$(LIBRARYDIR)/libshmrpc.so.$(SOVERSION)'
	ln -sf libshmrpc.so.$(SOVERSION) '$(LIBRARYDIR)/libshmrpc.so'
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' \
	  src/shmrpc.pc.in > '$(LIBRARYDIR)/pkgconfig/shmrpc.pc'
	chmod 644 '$(LIBRARYDIR)/pkgconfig/shmrpc.pc'
	install -m 644 $(MAN1) '$(MANDIR)/man1'
	install -m 644 $(MAN3) '$(MANDIR)/man3'
	@for page in $(MAN3); do \
	  file=$${page##*/}; \
	  for name in $$($(call man_names,"$$page")); do \
	    if [ "$$name.3" != "$$file" ]; then \
	      printf '.so man3/%s\n' "$$file" > '$(MANDIR)'/man3/"$$name.3"; \
	      chmod 644 '$(MANDIR)'/man3/"$$name.3"; \
	    fi; \
	  done; \
	done
	install -m 644 src/tool/shmrpc.bash '$(COMPLETIONDIR)/shmrpc'

## uninstall: take away what install put there
uninstall:
	rm -f '$(BINDIR)/shmrpc' '$(INCLUDEDIR)/shmrpc.h' '$(INCLUDEDIR)/shmrpc_cjson.h'
	rm -f '$(LIBRARYDIR)/libshmrpc.a' '$(LIBRARYDIR)/libshmrpc.so' '$(LIBRARYDIR)/libshmrpc.so.$(SOVERSION)'
	rm -f '$(LIBRARYDIR)/libshmrpc.so.$(VERSION)' '$(LIBRARYDIR)/pkgconfig/shmrpc.pc'
	rm -f '$(COMPLETIONDIR)/shmrpc' $(patsubst src/man/%,'$(MANDIR)/man1/%',$(MAN1))
	@for page in $(MAN3); do \
	  rm -f '$(MANDIR)'/man3/"$${page##*/}"; \
	  for name in $$($(call man_names,"$$page")); do rm -f '$(MANDIR)'/man3/"$$name.3"; done; \
	done

# ---- section: evidence (fuzz/, coverage/, spec/model/) ----

# The fuzzers. Three builds of each target: under libFuzzer (clang), under fuzz/replay.c (any
# compiler), and for toctou with a call before each load of the library (-loads).
FUZZ_TARGETS := $(patsubst fuzz/fuzz_%.c,%,$(wildcard fuzz/fuzz_*.c))
FUZZ_SUPPORT_SRC := fuzz/harness.c fuzz/judge.c fuzz/scene.c
FUZZ_LOADS := toctou
FUZZ_SECONDS ?= 60
FUZZ_TARGET ?= $(FUZZ_TARGETS)
FUZZ_LDFLAGS := -Wl,--wrap=clock_nanosleep,--wrap=lstat,--wrap=unlink,--wrap=linkat
FUZZ_LOADS_LDFLAGS := $(foreach s,asan_load1 asan_load2 asan_load4 asan_load8 asan_load16 asan_loadN \
  asan_memcpy asan_memmove,-Wl$(comma)--wrap=__$(s)) -Wl,--wrap=memcpy -Wl,--wrap=memcmp
libfuzzer_CFLAGS := -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
  -fno-sanitize-recover=all -DFUZZ_MUTATOR
libfuzzer_LDFLAGS := -fsanitize=fuzzer,address,undefined
libfuzzer-loads_CFLAGS := $(libfuzzer_CFLAGS) -mllvm -asan-instrumentation-with-call-threshold=0
asan-loads_CFLAGS := $(asan_CFLAGS) --param asan-instrumentation-with-call-threshold=0 -fno-builtin-memcpy \
  -fno-builtin-memcmp
build/libfuzzer/% build/libfuzzer-loads/%: override CC := clang
# For the lines that the corpora reach: clang's source-based coverage, under fuzz/replay.c.
fuzz-lines_CFLAGS := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all \
  -fprofile-instr-generate -fcoverage-mapping
fuzz-lines_LDFLAGS := -fsanitize=address,undefined -fprofile-instr-generate
fuzz-lines-loads_CFLAGS := $(fuzz-lines_CFLAGS) -mllvm -asan-instrumentation-with-call-threshold=0
build/fuzz-lines/% build/fuzz-lines-loads/%: override CC := clang
$(foreach v,libfuzzer libfuzzer-loads asan-loads fuzz-lines fuzz-lines-loads,$(eval $(call variant_rules,$(v))))

# $(1) target, $(2) variant, $(3) what to link it with
define fuzz_rule
build/$(2)/$(3)_$(1): build/$(2)/fuzz/fuzz_$(1).o $(if $(filter replay,$(3)),build/$(2)/fuzz/replay.o) \
  $$(call objects,$(2),$$(FUZZ_SUPPORT_SRC)) build/$(2)/libshmrpc.a
	$$(call say,LD,$$@)
	$$(Q)$$(CC) -pthread $$($(patsubst %-loads,%,$(2))_LDFLAGS) $$(LDFLAGS) $$(FUZZ_LDFLAGS) \
	  $(if $(filter %-loads,$(2)),$$(FUZZ_LOADS_LDFLAGS)) $$^ -lcjson -lm -o $$@
endef
fuzz_variant = $(1)$(if $(filter $(FUZZ_LOADS),$(2)),-loads)
fuzz_program = build/$(call fuzz_variant,libfuzzer,$(1))/fuzz_$(1)
replay_program = build/$(call fuzz_variant,asan,$(1))/replay_$(1)
$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_rule,$(t),$(call fuzz_variant,libfuzzer,$(t)),fuzz)))
$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_rule,$(t),$(call fuzz_variant,asan,$(t)),replay)))
lines_program = build/$(call fuzz_variant,fuzz-lines,$(1))/replay_$(1)
$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_rule,$(t),$(call fuzz_variant,fuzz-lines,$(t)),replay)))

# Inputs made from the vectors and the conformance cases.
build/release/fuzz-seed: build/release/fuzz/seed.o
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -lcjson -o $@
build/fuzz/seed/made: build/release/fuzz-seed $(wildcard spec/vectors/*.json conformance/cases/*.json \
  conformance/cases/images/*.json)
	$(call say,SEED,$(@D))
	@rm -rf $(@D) && mkdir -p $(@D)
	$(Q)build/release/fuzz-seed spec/vectors conformance/cases $(@D)
	@touch $@

# In `make check`: every input that is committed or made, without clang.
CHECK_SUITES += fuzz-replay
needs-fuzz-replay = build/fuzz/seed/made $(foreach t,$(FUZZ_TARGETS),$(call replay_program,$(t)))
plan-fuzz-replay = $(foreach t,$(FUZZ_TARGETS),'fuzz-replay/$(t)|120|shared|$(call replay_program,$(t)) \
  $(wildcard fuzz/corpus/$(t) fuzz/regressions/$(t)) build/fuzz/seed/$(t)')

## fuzz: every target for FUZZ_SECONDS=60 on all allowed CPUs (FUZZ_TARGET="json frame": only these)
## fuzz-smoke: the same for 10 seconds a target
## fuzz-replay: all inputs again, twice each, without a fuzzer
## fuzz-seeded: a fault seeded into the room of each target must be found within 10 seconds
.PHONY: fuzz fuzz-smoke fuzz-replay fuzz-seeded fuzz-programs fuzz-corpora fuzz-minimise
fuzz:
	$(call deps,fuzz)
	+$(Q)$(MAKE) --no-print-directory NO_DEPS=1 fuzz-programs
	$(Q)fuzz/run.sh $(FUZZ_SECONDS) $(foreach t,$(FUZZ_TARGET),$(call fuzz_program,$(t)))
fuzz-smoke:
	+$(Q)$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=10
fuzz-replay:
	$(call deps,build)
	$(call suites,fuzz-replay)
fuzz-seeded:
	$(call deps,fuzz)
	+$(Q)$(MAKE) --no-print-directory NO_DEPS=1 fuzz-programs
	$(Q)fuzz/seeded.sh $(foreach t,$(FUZZ_TARGET),$(call fuzz_program,$(t)))
fuzz-programs: build/fuzz/seed/made $(foreach t,$(FUZZ_TARGET),$(call fuzz_program,$(t))) \
  $(foreach t,$(FUZZ_TARGET),$(call lines_program,$(t)))

# In `make check` as well: the loop of src/json_text.h that stands where a processor has no SSE2. No x86-64
# compiles it otherwise; the AVX2 path stays, and the target json compares the two.
portable_CFLAGS := $(release_CFLAGS) -U__SSE2__
portable_LDFLAGS := $(release_LDFLAGS)
PORTABLE_UNITS := $(addprefix build/portable/unit/,test_json test_json_write test_envelope)
PORTABLE_TARGETS := json json_roundtrip encode_cap envelope
$(eval $(call variant_rules,portable))
$(foreach t,$(PORTABLE_TARGETS),$(eval $(call fuzz_rule,$(t),portable,replay)))
CHECK_SUITES += portable
needs-portable = build/fuzz/seed/made $(PORTABLE_UNITS) $(PORTABLE_TARGETS:%=build/portable/replay_%)
plan-portable = $(foreach u,$(PORTABLE_UNITS),'portable/$(notdir $(u))|120|shared|$(u)') \
  $(foreach t,$(PORTABLE_TARGETS),'portable/replay_$(t)|120|shared|build/portable/replay_$(t) \
  $(wildcard fuzz/corpus/$(t) fuzz/regressions/$(t)) build/fuzz/seed/$(t)')

# What OSS-Fuzz looks for beside a program: fuzz_TARGET_seed_corpus.zip, fuzz_TARGET.options and
# fuzz_TARGET.dict, which it finds by this name alone. The inputs of frame and encode_cap have no words
# that a dictionary could offer: they are numbers and operations of one byte. Folders of one name
# go into one archive, which zipfile would warn about.
fuzz-corpora: build/fuzz/seed/made
	$(Q)$(foreach t,$(FUZZ_TARGETS),mkdir -p $(dir $(call fuzz_program,$(t))); \
	  cp $(wildcard fuzz/fuzz_$(t).dict) fuzz/fuzz_$(t).options $(dir $(call fuzz_program,$(t))); \
	  python3 -W ignore -m zipfile -c $(call fuzz_program,$(t))_seed_corpus.zip \
	  $(wildcard fuzz/corpus/$(t) fuzz/regressions/$(t)) build/fuzz/seed/$(t);)
# What the corpora under build/ have found and nobody keeps yet, minimised into fuzz/corpus.
fuzz-minimise:
	+$(Q)$(MAKE) --no-print-directory fuzz-programs
	$(Q)fuzz/minimise.sh $(foreach t,$(FUZZ_TARGET),$(call fuzz_program,$(t)))

# Coverage: the same programs once more, counting. coverage/flush.h says what of a process that dies
# is counted, coverage/lcovrc what counts of src/.
COVERAGE := build/coverage
COVERAGE_SUITES := unit-coverage process-coverage conformance-coverage fuzz-replay-coverage
coverage_CFLAGS := -O0 --coverage -fprofile-update=atomic -include coverage/flush.h
coverage_LDFLAGS := --coverage
$(eval $(call variant_rules,coverage))
$(eval $(call check_rules,coverage))
COVERAGE_FUZZ := $(filter-out $(FUZZ_LOADS),$(FUZZ_TARGETS))
$(foreach t,$(COVERAGE_FUZZ),$(eval $(call fuzz_rule,$(t),coverage,replay)))
$(COVERAGE)/conformance-adapters/reference: $(call objects,coverage,$(REFERENCE_SRC)) $(COVERAGE)/libshmrpc.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -pthread --coverage $(LDFLAGS) $^ -lcjson -lm $(FAULT_LDFLAGS) -o $@
needs-conformance-coverage = build/shmrpc-conformance $(COVERAGE)/conformance-adapters/reference
plan-conformance-coverage = 'coverage/reference|900|alone|$(KIT) --quiet \
  --adapter $(COVERAGE)/conformance-adapters/reference --output $(COVERAGE)/conformance'
needs-fuzz-replay-coverage = build/fuzz/seed/made $(foreach t,$(COVERAGE_FUZZ),$(COVERAGE)/replay_$(t))
plan-fuzz-replay-coverage = $(foreach t,$(COVERAGE_FUZZ),'coverage/replay_$(t)|300|shared|$(COVERAGE)/replay_$(t) \
  $(wildcard fuzz/corpus/$(t) fuzz/regressions/$(t)) build/fuzz/seed/$(t)')

## coverage: lines, functions and branches of src/, HTML in build/coverage/html, thresholds enforced
.PHONY: coverage coverage-run
coverage:
	$(call deps,coverage)
	+$(Q)$(MAKE) --no-print-directory NO_DEPS=1 -j$(CHECK_JOBS) coverage-run
	$(Q)coverage/report.sh $(COVERAGE)
# Allocations that fail: through the same file as the reference adapter's.
define failure_rules
build/$(1)/unit/test_allocation_failures: UNIT_LDFLAGS += $(FAULT_LDFLAGS)
build/$(1)/unit/test_allocation_failures: build/$(1)/conformance/adapters/reference/fault.o
endef
$(foreach v,$(VARIANTS) coverage,$(eval $(call failure_rules,$(v))))
# Counters of an earlier run are none of this one's. Processes of other users write them, too.
coverage-run: $(foreach s,$(COVERAGE_SUITES),$(needs-$(s)))
	$(Q)find $(COVERAGE) -name '*.gcda' -delete
	$(Q)find $(COVERAGE) -name '*.gcno' | sed 's/gcno$$/gcda/' | while read -r f; do : >"$$f"; chmod 666 "$$f"; done
	$(call run_suites,$(COVERAGE_SUITES))

# Analysers and the sanitizers that `make check` does not use; coverage/analyse.sh says which and why.
MSAN_TESTS := test_json test_json_write test_envelope test_frame test_name test_error
msan_CFLAGS := -O1 -fno-omit-frame-pointer -fsanitize=memory -fsanitize-memory-track-origins \
  -fno-sanitize-recover=all -Wno-string-concatenation -Wno-format-security
msan_LDFLAGS := -fsanitize=memory
tsan_CFLAGS := -O1 -fno-omit-frame-pointer -fsanitize=thread
tsan_LDFLAGS := -fsanitize=thread
analyzer_CFLAGS := -O1 -fanalyzer
analyzer_LDFLAGS :=
build/msan/% build/tsan/%: override CC := clang
# Suppressions of gcc's analyzer: a name that is kept in an array, and a total that is kept in a tree of
# the C library's, look lost to it.
build/analyzer/src/server.o build/analyzer/src/tool/channels.o build/analyzer/src/tool/methods.o: \
  analyzer_CFLAGS += -Wno-analyzer-malloc-leak
$(foreach v,msan tsan analyzer,$(eval $(call variant_rules,$(v))))
MSAN_PROGRAMS := $(addprefix build/msan/memory/,$(MSAN_TESTS))
$(MSAN_PROGRAMS): build/msan/memory/%: build/msan/conformance/unit/%.o build/msan/coverage/msan_cjson.o \
  $(call objects,msan,$(UNIT_SUPPORT_SRC)) build/msan/libshmrpc.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -pthread $(msan_LDFLAGS) $(LDFLAGS) $^ -lcmocka -lcjson -lm -o $@
build/tsan/both_ends: build/tsan/coverage/tsan_both_ends.o build/tsan/libshmrpc.a
	$(call say,LD,$@)
	$(Q)$(CC) -pthread $(tsan_LDFLAGS) $(LDFLAGS) $^ -Wl,--wrap=mmap,--wrap=munmap -o $@
ANALYSED := $(LIB_SRC) $(TOOL_SRC) $(EXAMPLE_SRC)
needs-sanitize = $(MSAN_PROGRAMS) build/tsan/both_ends
plan-sanitize = $(foreach t,$(MSAN_TESTS),'msan/$(t)|300|shared|build/msan/memory/$(t)') \
  'tsan/both_ends|300|shared|build/tsan/both_ends'
run-suites: $(if $(filter sanitize,$(RUN_SUITES)),$(needs-sanitize))

## analyse: clang-tidy, cppcheck, gcc -fanalyzer; MSan for the pure rooms; TSan with both ends in a process
.PHONY: analyse
analyse:
	$(call deps,analysis)
	$(Q)coverage/analyse.sh $(BASE_CFLAGS) -- $(ANALYSED)
	+$(Q)$(MAKE) --no-print-directory NO_DEPS=1 -j$(CHECK_JOBS) $(call objects,analyzer,$(ANALYSED))
	@echo 'gcc -fanalyzer: clean'
	$(call suites,sanitize)

# Mutations: a copy of src/ with all of them built in, and the unit tests with that; which one is in
# force is chosen when a test starts. conformance/mutation/run.py says what is counted how.
MUTATION := build/mutation
MUTATION_SAMPLE ?=
MUTATION_ROOM ?=
MUTATION_JOBS ?=
MUTATION_OBJECTS := $(patsubst src/%.c,$(MUTATION)/copy/%.o,$(LIB_SRC)) $(MUTATION)/mutation.o
MUTATION_TESTS := $(foreach d,unit asan,$(patsubst conformance/unit/%.c,$(MUTATION)/$(d)/%,$(UNIT_SRC)))
MUTATION_CFLAGS := -std=c11 -D_GNU_SOURCE -w -O1 -fPIC -fvisibility=hidden -pthread \
  -iquote $(MUTATION)/copy -iquote conformance/mutation
MUTATION_LDFLAGS := -Wl,--wrap=_cmocka_run_group_tests

$(MUTATION)/copy/mutations.json: $(LIB_SRC) $(wildcard src/*.h conformance/mutation/mutate.py conformance/mutation/parse.h)
	$(call say,MUTATE,$@)
	@rm -rf $(@D) && mkdir -p $(@D)
	$(Q)/usr/bin/python3 conformance/mutation/mutate.py $(@D)
$(MUTATION)/copy/%.o: $(MUTATION)/copy/mutations.json conformance/mutation/mutation.h
	$(call say,CC,$@)
	$(Q)$(CC) $(MUTATION_CFLAGS) -c $(MUTATION)/copy/$*.c -o $@
$(MUTATION)/%.o: conformance/mutation/%.c conformance/mutation/mutation.h
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE $(WARN) -O1 -c $< -o $@
$(MUTATION)/unit/%: build/release/conformance/unit/%.o $(call objects,release,$(UNIT_SUPPORT_SRC)) \
  $(MUTATION)/only.o $(MUTATION_OBJECTS)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -pthread $(LDFLAGS) $(MUTATION_LDFLAGS) $(UNIT_LDFLAGS) $^ -lcmocka -lcjson -lm -o $@
$(MUTATION)/copy/%.asan.o: $(MUTATION)/copy/mutations.json conformance/mutation/mutation.h
	$(call say,CC,$@)
	$(Q)$(CC) $(MUTATION_CFLAGS) $(asan_CFLAGS) -c $(MUTATION)/copy/$*.c -o $@
$(MUTATION)/asan/%: build/asan/conformance/unit/%.o $(call objects,asan,$(UNIT_SUPPORT_SRC)) \
  $(MUTATION)/only.o $(MUTATION)/mutation.o $(patsubst src/%.c,$(MUTATION)/copy/%.asan.o,$(LIB_SRC))
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -pthread $(asan_LDFLAGS) $(LDFLAGS) $(MUTATION_LDFLAGS) $(UNIT_LDFLAGS) $^ -lcmocka -lcjson -lm -o $@
$(MUTATION)/unit/test_allocation_failures $(MUTATION)/asan/test_allocation_failures: UNIT_LDFLAGS += $(FAULT_LDFLAGS)
$(MUTATION)/unit/test_allocation_failures: build/release/conformance/adapters/reference/fault.o
$(MUTATION)/asan/test_allocation_failures: build/asan/conformance/adapters/reference/fault.o

## mutation: small changes of src/ that no quick test notices (MUTATION_SAMPLE=60 MUTATION_ROOM="name lock" SEED=N)
.PHONY: mutation mutation-programs
mutation:
	$(call deps,mutation)
	+$(Q)$(MAKE) --no-print-directory NO_DEPS=1 -j$(CHECK_JOBS) mutation-programs
	$(Q)/usr/bin/python3 conformance/mutation/run.py --sample '$(MUTATION_SAMPLE)' --seed '$(SEED)' \
	  --room '$(MUTATION_ROOM)' --jobs '$(MUTATION_JOBS)' $(MUTATION)
mutation-programs: $(MUTATION_TESTS)

# Kills and hostile peers for as long as wanted.
SOAK_MINUTES ?= 5
build/release/soak: build/release/conformance/soak/soak.o $(call objects,release,$(PROCESS_SUPPORT_SRC)) \
  build/release/libshmrpc.a
	$(call say,LD,$@)
	$(Q)$(CC) -pthread $(LDFLAGS) $^ -lcmocka -lm -o $@

# In `make check`: that a soak would report each kind of fault.
CHECK_SUITES += soak
needs-soak = build/release/soak
plan-soak = 'soak/self-test|240|alone|build/release/soak --self-test'

## soak: many channels, random kills, hostile peers for SOAK_MINUTES=5 (SEED=N repeats the choices)
.PHONY: soak soak-program
soak:
	$(call deps,check)
	+$(Q)$(MAKE) --no-print-directory NO_DEPS=1 soak-program
	$(Q)SEED=$(SEED) build/release/soak $(SOAK_MINUTES)
soak-program: build/release/soak

## model: search the models of the protocol exhaustively; every removed rule must fail (LONG=1: more)
.PHONY: model
model:
	$(call deps,model)
	$(Q)LONG=$(LONG) spec/model/run.sh build/model

# ---- Last of all ----
# Once more, now that every section has said what its suites need.
run-suites: $(foreach s,$(RUN_SUITES),$(needs-$(s)))
