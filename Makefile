# loiter. `make help` lists the targets; README.md says what they are for.
#
# Everything built lands in build/. Packages are installed by scripts/install-packages, by name; servers that
# tests watch are only unpacked, by scripts/fetch-servers.

PREFIX ?= /usr/local
DESTDIR ?=
CXX ?= g++
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/bin/bpftool /usr/local/sbin/bpftool) bpftool)
LLVM_STRIP ?= llvm-strip
RUSTC ?= $(firstword $(wildcard /usr/bin/rustc) rustc)
GO ?= $(firstword $(wildcard /usr/bin/go) go)

B := build
UNAME_M := $(shell uname -m)
BPF_ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(UNAME_M)))
MULTIARCH := $(shell $(CXX) -print-multiarch 2>/dev/null)

BASE_PACKAGES := spdlog
DAEMON_PACKAGES := libbpf libmicrohttpd libcap-ng libseccomp libdw libelf zlib capstone sqlite3
CLI_PACKAGES := libcurl ncursesw libseccomp
TEST_PACKAGES := gtest gmock
pkg_cflags = $(shell pkg-config --cflags $(1) 2>/dev/null)
pkg_libs = $(shell pkg-config --libs $(1) 2>/dev/null)

CPPFLAGS += -I. -I$(B)/bpf -D_GNU_SOURCE
CXXFLAGS ?= -O2 -g
ALL_CXXFLAGS := -std=c++20 -Wall -Wextra -Werror -fstack-protector-strong -D_FORTIFY_SOURCE=2 -pthread \
                $(call pkg_cflags,$(BASE_PACKAGES) $(DAEMON_PACKAGES) $(CLI_PACKAGES) $(TEST_PACKAGES)) $(CXXFLAGS)
LDFLAGS += -pthread -Wl,--as-needed -Wl,-z,relro,-z,now
# BPF_PROG() leaves `ctx` unused, and each architecture leaves what it does not need.
BPF_CFLAGS := -g -O2 -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Wextra -Werror -Wno-unused-parameter \
              -Ibpf -I/usr/include/$(MULTIARCH)

BASE_SRC := $(wildcard daemon/base/*.cpp)
DAEMON_SRC := $(filter-out daemon/main.cpp $(BASE_SRC),$(wildcard daemon/*.cpp daemon/*/*.cpp daemon/*/*/*.cpp))
CLI_SRC := $(filter-out cli/main.cpp,$(wildcard cli/*.cpp cli/*/*.cpp))
UNIT_SRC := $(wildcard tests/unit/*.cpp)
LIVE_SRC := $(wildcard tests/live/*.cpp)
TESTLIB_SRC := $(wildcard tests/lib/*.cpp)
WORKLOAD_SRC := $(wildcard tests/workloads/*.cpp)
WORKLOAD_C_SRC := $(wildcard tests/workloads/*.c)
WORKLOAD_RUST_SRC := $(wildcard tests/workloads/*.rs)
WORKLOAD_GO_SRC := $(wildcard tests/workloads/*.go)
HEALTHY_SRC := $(wildcard tests/healthy/*.cpp tests/healthy/*.java tests/healthy/*.js tests/healthy/*.py)
CORPUS_SRC := $(wildcard tests/corpus/*.c tests/corpus/*.cpp tests/corpus/*.py)
BENCH_SRC := $(wildcard tests/bench/*.cpp)
FUZZ_SRC := $(wildcard tests/fuzz/*.cpp)
objects = $(patsubst %.cpp,$(B)/obj/%.o,$(1))

BPF_SRC := $(wildcard bpf/*.bpf.c)
BENCH_BPF_SRC := $(wildcard tests/bench/*.bpf.c)
SKELETONS := $(patsubst %.bpf.c,$(B)/bpf/%.skel.h,$(notdir $(BPF_SRC)))
BENCH_SKELETONS := $(patsubst %.bpf.c,$(B)/bpf/%.skel.h,$(notdir $(BENCH_BPF_SRC)))

BASE_LIBS = $(call pkg_libs,$(BASE_PACKAGES))
# Without a .pc file: BCC's symbol reader (libbcc_bpf, not libbcc) and the demangler.
DAEMON_LIBS = $(call pkg_libs,$(DAEMON_PACKAGES)) -lbcc_bpf -liberty
CLI_LIBS = $(call pkg_libs,$(CLI_PACKAGES))
TEST_LIBS = $(call pkg_libs,$(TEST_PACKAGES))
TEST_MAIN_LIBS = $(call pkg_libs,gtest_main)

# Of those in C also a static one, and both linked with musl; of some in C++ a static one; of those in Rust
# one without symbols.
C_WORKLOADS := $(patsubst tests/workloads/%.c,$(B)/tests/workloads/%,$(WORKLOAD_C_SRC))
RUST_WORKLOADS := $(patsubst tests/workloads/%.rs,$(B)/tests/workloads/%,$(WORKLOAD_RUST_SRC))
WORKLOADS := $(patsubst tests/workloads/%.cpp,$(B)/tests/workloads/%,$(WORKLOAD_SRC)) \
             $(C_WORKLOADS) $(foreach libc,-static -musl -musl-static,$(addsuffix $(libc),$(C_WORKLOADS))) \
             $(RUST_WORKLOADS) $(addsuffix -stripped,$(RUST_WORKLOADS)) \
             $(patsubst tests/workloads/%.go,$(B)/tests/workloads/%,$(WORKLOAD_GO_SRC)) \
             $(addprefix $(B)/tests/workloads/,cxx_kinds-static stacks-static start_routines-static libvanishing.so \
                                               libmaking.so openmp_team)
CORPUS := $(patsubst tests/corpus/%,$(B)/tests/corpus/%,$(basename $(filter-out %/corpus.py,$(CORPUS_SRC))) \
                                                        tests/corpus/corpus.py tests/corpus/expected.json)
TEST_DATA := $(addprefix $(B)/,$(wildcard tests/data/*.json))
HEALTHY := $(addprefix $(B)/,$(HEALTHY_SRC:.cpp=))
TEST_BINARIES := $(B)/tests/unit_tests $(B)/tests/live_tests
FUZZERS := $(foreach name,$(notdir $(basename $(FUZZ_SRC))),$(B)/fuzz/$(name) $(B)/fuzz/$(name).planted)
BENCH_BINARIES := $(if $(BENCH_SRC),$(B)/tests/bench/bench)

FUZZ_CXXFLAGS := $(filter-out -D_FORTIFY_SOURCE=%,$(ALL_CXXFLAGS)) -O1 -fno-omit-frame-pointer

.PHONY: all tests benches fuzz run test test-all bench lint install clean help
.DELETE_ON_ERROR:
.SUFFIXES:
# Kept, though only a step on the way. Not so all others: an object that is missing, as of a source that came while
# make ran, must be made, however old its source.
.SECONDARY: $(patsubst %.skel.h,%.bpf.o,$(SKELETONS) $(BENCH_SKELETONS)) \
            $(call objects,$(WORKLOAD_SRC) $(filter %.cpp,$(HEALTHY_SRC))) \
            $(foreach name,$(FUZZ_SRC:.cpp=),$(B)/fuzz/obj/$(name).o $(B)/fuzz/obj/$(name).planted.o)

AS_INVOKER := scripts/as-invoker
BUILD_AS_INVOKER = $(AS_INVOKER) $(MAKE) --no-print-directory -j$$(nproc) AS_IS=1

# Under sudo alone, too, what is built belongs to who called it.
ifeq ($(AS_IS)$(if $(SUDO_UID),$(shell id -u)),0)
all tests benches fuzz:
	@+$(AS_INVOKER) $(MAKE) --no-print-directory AS_IS=1 $@
else
all: $(B)/loiterd $(B)/loiter
tests: all $(TEST_BINARIES) $(WORKLOADS) $(CORPUS) $(HEALTHY) $(TEST_DATA)
benches: tests $(BENCH_BINARIES)
fuzz: $(FUZZERS)
endif

# --- BPF: object, stripped of DWARF (its BTF stays), and skeleton ---------------------------------

define bpf_rules
$(B)/bpf/%.bpf.o: $(1)/%.bpf.c
	@mkdir -p $$(@D)
	$$(CLANG) $$(BPF_CFLAGS) -MMD -MP -MT $$@ -MF $$(@:.o=.d) -c $$< -o $$@
	@$$(LLVM_STRIP) -g $$@
endef
$(eval $(call bpf_rules,bpf))
$(eval $(call bpf_rules,tests/bench))

$(B)/bpf/%.skel.h: $(B)/bpf/%.bpf.o
	{ echo '// NOLINTBEGIN: bpftool made it'; $(BPFTOOL) gen skeleton $< name $*_bpf && echo '// NOLINTEND'; } > $@

# --- C++ -------------------------------------------------------------------------------------------

$(B)/obj/%.o: %.cpp
	@mkdir -p $(@D)
	$(CXX) $(CPPFLAGS) $(ALL_CXXFLAGS) -MMD -MP -c $< -o $@

# Tests are compiled in groups: what they include takes longer than they do (measured: eight files 63 s one by one, 22 s
# together). A file's group hangs on its name, so that a new one changes one group.
group = $(shell printf '%s\n' $(1) | awk -v groups=$(2) -f scripts/group-of.awk)
UNIT_GROUPS := $(call group,$(UNIT_SRC),14)
LIVE_GROUPS := $(call group,$(LIVE_SRC),8)
in_groups = $(addprefix $(B)/groups/$(1)-,$(addsuffix .cpp,$(sort $(foreach entry,$(2),$(firstword $(subst :, ,$(entry)))))))
UNIT_UNITS := $(call in_groups,unit,$(UNIT_GROUPS))
LIVE_UNITS := $(call in_groups,live,$(LIVE_GROUPS))

define write_group
	@mkdir -p $(@D)
	@printf '#include "%s"\n' $(patsubst $*:%,%,$(filter $*:%,$(1))) >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
endef
$(UNIT_UNITS): $(B)/groups/unit-%.cpp: FORCE
	$(call write_group,$(UNIT_GROUPS))
$(LIVE_UNITS): $(B)/groups/live-%.cpp: FORCE
	$(call write_group,$(LIVE_GROUPS))
.PHONY: FORCE

# And more often than they run: half as long without optimisation (measured: 19 s against 10 s), and a quarter less with
# lines alone as debug information (12.4 against 9.6).
$(call objects,$(UNIT_UNITS) $(LIVE_UNITS)): ALL_CXXFLAGS := $(filter-out -D_FORTIFY_SOURCE=%,$(ALL_CXXFLAGS)) -O0 -g1

$(call objects,$(DAEMON_SRC) daemon/main.cpp $(UNIT_UNITS) $(LIVE_UNITS)): | $(SKELETONS)
$(call objects,$(BENCH_SRC)): | $(SKELETONS) $(BENCH_SKELETONS)

link = @mkdir -p $(@D) && echo "link $@" && $(CXX) $(LDFLAGS) $(filter %.o,$^) -o $@

$(B)/loiterd: $(call objects,daemon/main.cpp $(DAEMON_SRC) $(BASE_SRC))
	$(link) $(DAEMON_LIBS) $(BASE_LIBS)

$(B)/loiter: $(call objects,cli/main.cpp $(CLI_SRC) $(BASE_SRC))
	$(link) $(CLI_LIBS) $(BASE_LIBS)

$(B)/tests/unit_tests: $(call objects,$(UNIT_UNITS) $(TESTLIB_SRC) $(DAEMON_SRC) $(CLI_SRC) $(BASE_SRC))
	$(link) $(DAEMON_LIBS) $(CLI_LIBS) $(BASE_LIBS) $(TEST_LIBS) $(TEST_MAIN_LIBS)

$(B)/tests/live_tests: $(call objects,$(LIVE_UNITS) $(TESTLIB_SRC) $(DAEMON_SRC) $(BASE_SRC))
	$(link) $(DAEMON_LIBS) $(BASE_LIBS) $(TEST_LIBS)

$(B)/tests/workloads/%: $(B)/obj/tests/workloads/%.o
	$(link)

# Stacks of these are compared function by function: always optimised, never with frame pointers. musl-gcc
# finds the kernel's headers only where glibc's are: last.
STACK_FLAGS := -O2 -g -fomit-frame-pointer -Wall -Wextra -Werror -pthread -D_GNU_SOURCE -I.
MUSL_FLAGS := -idirafter /usr/include -idirafter /usr/include/$(MULTIARCH)
build_c = @mkdir -p $(@D) && echo "build $@" && $(1) -std=c17 $(STACK_FLAGS) -MMD -MP -MF $@.d $< -o $@
$(B)/tests/workloads/%: tests/workloads/%.c
	$(call build_c,$(CC))
$(B)/tests/workloads/%-static: tests/workloads/%.c
	$(call build_c,$(CC) -static)
$(B)/tests/workloads/%-musl: tests/workloads/%.c
	$(call build_c,musl-gcc $(MUSL_FLAGS))
$(B)/tests/workloads/%-musl-static: tests/workloads/%.c
	$(call build_c,musl-gcc -static $(MUSL_FLAGS))
$(B)/tests/workloads/%-static: tests/workloads/%.cpp
	@mkdir -p $(@D) && echo "build $@"
	@$(CXX) -std=c++20 -static $(STACK_FLAGS) -DSTATIC_BINARY -MMD -MP -MF $@.d $< -o $@
$(B)/tests/workloads/lib%.so: tests/workloads/library/%.cpp
	@mkdir -p $(@D) && echo "build $@"
	@$(CXX) -std=c++20 -shared -fPIC $(STACK_FLAGS) -MMD -MP -MF $@.d $< -o $@
$(B)/tests/workloads/%: tests/workloads/openmp/%.c
	$(call build_c,$(CC) -fopenmp)
$(B)/tests/workloads/%: tests/workloads/%.go
	@mkdir -p $(@D) && echo "build $@"
	@GOCACHE=$(abspath $(B))/go-cache CGO_ENABLED=1 GO111MODULE=off $(GO) build -o $@ $<
build_rust = @mkdir -p $(@D) && echo "build $@" && \
             $(RUSTC) --edition 2021 -D warnings -O -C force-frame-pointers=no $(1) $< -o $@
$(B)/tests/workloads/%: tests/workloads/%.rs
	$(call build_rust,-g)
$(B)/tests/workloads/%-stripped: tests/workloads/%.rs
	$(call build_rust,-C strip=symbols --cfg stripped)
$(call objects,$(addprefix tests/workloads/,cxx_kinds.cpp stacks.cpp start_routines.cpp makers_cxx.cpp)): \
  ALL_CXXFLAGS := -std=c++20 $(STACK_FLAGS)

# The corpus: tests/corpus/NAME.{c,cpp,py} are all called NAME, and run alike.
CORPUS_FLAGS := -O1 -g -Wall -Wextra -Werror -pthread -D_GNU_SOURCE -I.
$(B)/tests/corpus/%: tests/corpus/%.c
	@mkdir -p $(@D) && echo "build $@"
	@$(CC) -std=gnu11 $(CORPUS_FLAGS) -MMD -MP -MF $@.d $< -o $@
$(B)/tests/corpus/%: tests/corpus/%.cpp
	@mkdir -p $(@D) && echo "build $@"
	@$(CXX) -std=c++20 $(CORPUS_FLAGS) -MMD -MP -MF $@.d $< -o $@
$(B)/tests/corpus/%: tests/corpus/%.py
	@mkdir -p $(@D) && install -m 0755 $< $@
$(B)/tests/corpus/corpus.py $(B)/tests/corpus/expected.json: $(B)/tests/corpus/%: tests/corpus/%
	@mkdir -p $(@D) && install -m 0644 $< $@

# Healthy programs: what no compiler is needed for is copied as it is.
$(B)/tests/healthy/%: $(B)/obj/tests/healthy/%.o
	$(link)
$(addprefix $(B)/,$(filter-out %.cpp,$(HEALTHY_SRC))): $(B)/tests/healthy/%: tests/healthy/%
	@mkdir -p $(@D) && install -m 0644 $< $@

$(TEST_DATA): $(B)/tests/data/%: tests/data/%
	@mkdir -p $(@D) && install -m 0644 $< $@

$(B)/tests/bench/bench: $(call objects,$(BENCH_SRC) $(TESTLIB_SRC) $(DAEMON_SRC) $(BASE_SRC))
	$(link) $(DAEMON_LIBS) $(BASE_LIBS) $(TEST_LIBS) -lbenchmark

# Fuzzers: tests/fuzz/NAME.cpp, with the product's code that reads what is foreign, instrumented. Each has a twin with a
# planted bug (tests/fuzz/fuzz.h).

fuzz_objects = $(patsubst %.cpp,$(B)/fuzz/obj/%.o,$(1))

$(B)/fuzz/obj/%.o: %.cpp
	@mkdir -p $(@D)
	$(CLANG)++ $(CPPFLAGS) $(FUZZ_CXXFLAGS) -fsanitize=fuzzer-no-link,address -MMD -MP -c $< -o $@

$(B)/fuzz/obj/%.planted.o: %.cpp
	@mkdir -p $(@D)
	$(CLANG)++ $(CPPFLAGS) $(FUZZ_CXXFLAGS) -DLOITER_PLANTED_BUG -fsanitize=fuzzer-no-link,address -MMD -MP -c $< -o $@

$(call fuzz_objects,$(DAEMON_SRC)): | $(SKELETONS)

# What they reach, and no more: each file takes clang's sanitizer seconds. Where one is missing, the linker says so.
FUZZED_SRC := $(filter-out %/parser.cpp %/parser_child.cpp %/sandbox.cpp,$(wildcard daemon/inspect/parser/*.cpp)) \
              $(addprefix daemon/inspect/,descriptors.cpp file_locks.cpp futex_rust.cpp futex_shape.cpp maps.cpp \
                                          stack_types.cpp) \
              daemon/sensors/file_table.cpp $(BASE_SRC)
$(B)/fuzz/obj/product.a: $(call fuzz_objects,$(FUZZED_SRC))
	@rm -f $@
	ar rcs $@ $^

$(B)/fuzz/%: $(B)/fuzz/obj/tests/fuzz/%.o $(B)/fuzz/obj/product.a
	@echo "link $@"
	@$(CLANG)++ -fsanitize=fuzzer,address $(LDFLAGS) $^ -o $@ $(DAEMON_LIBS) $(CLI_LIBS) $(BASE_LIBS)

# --- what people call ------------------------------------------------------------------------------

run:
	@scripts/install-packages build
	@+$(BUILD_AS_INVOKER) all
	@$(B)/loiter top

test:
	@scripts/install-packages build test
	@scripts/fetch-servers
	@+$(BUILD_AS_INVOKER) tests fuzz
	@scripts/run-tests

test-all:
	@scripts/install-packages build test
	@scripts/fetch-servers --all
	@+$(BUILD_AS_INVOKER) tests fuzz
	@scripts/run-tests --all

bench:
	@scripts/install-packages build test bench
	@+$(BUILD_AS_INVOKER) benches
	@scripts/run-bench $(if $(CHECK),--check)

lint:
	@scripts/install-packages build lint
	@+$(BUILD_AS_INVOKER) $(SKELETONS)
	@$(AS_INVOKER) scripts/lint

install:
	@+$(BUILD_AS_INVOKER) all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin
	install -m 0755 $(B)/loiter $(DESTDIR)$(PREFIX)/bin/loiter
	install -m 0755 $(B)/loiterd $(DESTDIR)$(PREFIX)/sbin/loiterd

clean:
	rm -rf $(B)

help:
	@echo "sudo make run       install what it needs, build, open loiter top"
	@echo "sudo make test      install, build, pass the tests; test-all: also those that take long"
	@echo "make                build build/loiter and build/loiterd; tests, benches, fuzz: their programs"
	@echo "sudo make bench     measure; CHECK=1: exit 1 where a goal is missed"
	@echo "make lint install clean    install takes PREFIX= and DESTDIR="

-include $(shell [ -d $(B) ] && find $(B) -path $(B)/servers -prune -o -name '*.d' -print)
