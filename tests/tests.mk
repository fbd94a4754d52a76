# SPDX-License-Identifier: MIT
# The tests, benchmarks and fuzz targets; included by the Makefile. See docs/testing.md.

RESULTS := $B/results
SUITES  := unit guest $(if $(PROGRAM),rig)

# --- Unit tests: tests/unit/test-*.c, each a program of its own with tests/unit/support/*.c.
# Those in tests/unit/kvm/ have the three ioctl functions replaced by the model KVM. Scripts
# tests/unit/test-*.sh print TAP themselves; TESSERA names the program for them.
UNIT_SUPPORT   := $(patsubst %.c,$B/%.o,$(wildcard tests/unit/support/*.c))
UNIT_TESTS     := $(patsubst %.c,$B/%,$(wildcard tests/unit/test-*.c))
UNIT_SCRIPTS   := $(wildcard tests/unit/test-*.sh)
KVM_SUPPORT    := $(patsubst %.c,$B/%.o,$(wildcard tests/unit/kvm/support/*.c))
UNIT_KVM_TESTS := $(patsubst %.c,$B/%,$(wildcard tests/unit/kvm/test-*.c))
KVM_WRAP       := -Wl,--wrap=kvm_system_ioctl,--wrap=kvm_vm_ioctl,--wrap=kvm_vcpu_ioctl

$(UNIT_TESTS): $B/%: $B/%.o $(UNIT_SUPPORT) $B/libtessera.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< $(UNIT_SUPPORT) $B/libtessera.a $(PKG_LIBS) -lcmocka

$(UNIT_KVM_TESTS): $B/%: $B/%.o $(UNIT_SUPPORT) $(KVM_SUPPORT) $B/libtessera.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) $(KVM_WRAP) -o $@ $< $(UNIT_SUPPORT) $(KVM_SUPPORT) $(or $(KVM_OBJS),$B/libtessera.a) $(PKG_LIBS) -lcmocka

# A whole machine: the device classes are in a linker section, so this one links the objects.
START_TEST := $B/tests/unit/kvm/test-start-failure
$(START_TEST): private KVM_OBJS := $(LIB_OBJS)
$(START_TEST): $(LIB_OBJS)

# Those in tests/unit/machine/ run whole machines on the model KVM. They link the objects, as the
# program does, so that every command and device is registered. Host calls go through
# support/faults.c, which can make them fail.
MACHINE_SUPPORT    := $(patsubst %.c,$B/%.o,$(wildcard tests/unit/machine/support/*.c))
HOST_CALLS         := mmap munmap mprotect madvise memfd_create ftruncate fallocate eventfd timerfd_create signalfd \
                      open fstat fcntl pread pthread_create
HOST_WRAP          := $(HOST_CALLS:%=-Wl,--wrap=%)
UNIT_MACHINE_TESTS := $(patsubst %.c,$B/%,$(wildcard tests/unit/machine/test-*.c))

$(UNIT_MACHINE_TESTS): $B/%: $B/%.o $(MACHINE_SUPPORT) $(KVM_SUPPORT) $(UNIT_SUPPORT) $(LIB_OBJS) $B/flags
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) $(KVM_WRAP) $(HOST_WRAP) -o $@ $(filter %.o,$^) $(PKG_LIBS) -lcmocka

# The stress test breaks grace periods on purpose, in a child of its own.
$B/tests/unit/test-edit-stress: private LDFLAGS_ALL += -Wl,--wrap=rcu_defer

# --- Guest tests: tests/guest/test-*.c start payloads on this machine's /dev/kvm. They link the
# objects, as the program does, and find the payloads in the folder TESSERA_PAYLOADS.
GUEST_SUPPORT := $(patsubst %.c,$B/%.o,$(wildcard tests/guest/support/*.c))
GUEST_TESTS   := $(patsubst %.c,$B/%,$(wildcard tests/guest/test-*.c))
GUEST_SCRIPTS := $(wildcard tests/guest/test-*.sh)

$(GUEST_TESTS): $B/%: $B/%.o $(GUEST_SUPPORT) $(LIB_OBJS) $B/flags
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(PKG_LIBS) -lcmocka

# Two of them run the unit tests' model KVM beside the kernel's.
$B/tests/guest/test-kvm-real $B/tests/guest/test-slot-differential: $(KVM_SUPPORT) $B/tests/unit/support/access-fixture.o

# Looks at files of -trace, here and in the rig.
CHECK_TRACE := $B/tests/trace/check-trace
$(CHECK_TRACE): $(CHECK_TRACE).o $B/flags
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< $(PKG_LIBS)

# These run in the rig too (tests/rig/scenarios/slots.sh and translate.sh).
RIG_GUEST_TESTS := $B/tests/guest/test-slot-differential $B/tests/guest/test-slot-toggle $B/tests/guest/test-translate

# tests/rig/programs/test-*.c are for the rig alone: they need what only its host can be made to give.
# They are linked as guest tests are; scenarios run them (rig_test in tests/rig/lib.sh).
RIG_PROGRAMS := $(patsubst %.c,$B/%,$(wildcard tests/rig/programs/test-*.c))

$(RIG_PROGRAMS): $B/%: $B/%.o $(GUEST_SUPPORT) $(LIB_OBJS) $B/flags
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(PKG_LIBS) -lcmocka

# A payload is one file, .S or .c, linked with payloads/support/* by the one linker script into
# NAME.elf; NAME.bin is the same as a flat image. Integer code only: the interpreter of a KVM
# without hardware knows no SSE.
PAYLOAD_DIR     := tests/guest/payloads
PAYLOAD_LD      := $(PAYLOAD_DIR)/payload.ld
PAYLOADS        := $(basename $(wildcard $(PAYLOAD_DIR)/*.S $(PAYLOAD_DIR)/*.c))
PAYLOAD_ELVES   := $(PAYLOADS:%=$B/%.elf)
PAYLOAD_BINS    := $(PAYLOADS:%=$B/%.bin)
PAYLOAD_SUPPORT := $(patsubst %,$B/%.po,$(basename $(wildcard $(PAYLOAD_DIR)/support/*.S $(PAYLOAD_DIR)/support/*.c)))
PAYLOAD_CFLAGS  := -std=gnu11 $(WARN) -O2 -g -ffreestanding -fno-pic -mno-sse -mno-mmx -mno-80387 -mgeneral-regs-only \
                   -mno-red-zone -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables \
                   -I$(PAYLOAD_DIR) -Iinclude
PAYLOAD_LDFLAGS := -nostdlib -static -Wl,-T,$(PAYLOAD_LD),--build-id=none,-z,noexecstack,-z,max-page-size=4096,--no-warn-rwx-segments

$B/$(PAYLOAD_DIR)/%.po: $(PAYLOAD_DIR)/%.S $B/flags
	$(call say,GUESTAS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(PAYLOAD_CFLAGS) -MMD -MP -MF $(@:.po=.d) -c -o $@ $<

$B/$(PAYLOAD_DIR)/%.po: $(PAYLOAD_DIR)/%.c $B/flags
	$(call say,GUESTCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(PAYLOAD_CFLAGS) -MMD -MP -MF $(@:.po=.d) -c -o $@ $<

$(PAYLOAD_ELVES): %.elf: %.po $(PAYLOAD_SUPPORT) $(PAYLOAD_LD)
	$(call say,GUESTLD,$@)
	$(Q)$(CC) $(PAYLOAD_LDFLAGS) -o $@ $< $(PAYLOAD_SUPPORT)

$(PAYLOAD_BINS): %.bin: %.elf
	$(Q)objcopy -O binary $< $@

# payloads/images/NAME.S is a kernel file byte by byte, without the linker script.
PAYLOAD_IMAGES := $(patsubst %.S,$B/%.img,$(wildcard $(PAYLOAD_DIR)/images/*.S))

$(PAYLOAD_IMAGES): %.img: %.po
	$(call say,IMAGE,$@)
	$(Q)objcopy -O binary -j .image $< $@

.PHONY: payloads
payloads: $(PAYLOAD_ELVES) $(PAYLOAD_BINS) $(PAYLOAD_IMAGES)
.SECONDARY: $(PAYLOADS:%=$B/%.po)

# --- Running them. A suite writes its counts to $(RESULTS)/SUITE.count.
TEST_ENV := TESSERA=$(abspath $(PROGRAM)) TESSERA_PAYLOADS=$(abspath $B/$(PAYLOAD_DIR)) TESSERA_BUILD=$(abspath $B) \
            CC='$(CC)' ASAN_OPTIONS=abort_on_error=0:detect_stack_use_after_return=1 \
            LSAN_OPTIONS=suppressions=$(abspath tests/lsan-suppressions):print_suppressions=0 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 G_SLICE=always-malloc

.PHONY: unit
unit: $(UNIT_TESTS) $(UNIT_KVM_TESTS) $(UNIT_MACHINE_TESTS) $(PROGRAM) $B/scripts/memory-map-pictures
	$(Q)$(TEST_ENV) tests/run-suite -j $(JOBS) unit $(RESULTS) $(UNIT_TESTS) $(UNIT_KVM_TESTS) $(UNIT_MACHINE_TESTS) $(UNIT_SCRIPTS)

.PHONY: guest
guest: $(GUEST_TESTS) $(CHECK_TRACE) $(PROGRAM) payloads
	$(Q)$(TEST_ENV) tests/run-suite guest $(RESULTS) $(GUEST_TESTS) $(GUEST_SCRIPTS)

.PHONY: rig
rig: $(INSTALLED) $(RIG_GUEST_TESTS) $(RIG_PROGRAMS) $(CHECK_TRACE) payloads
	$(Q)BUILD=$(abspath $B) tests/rig/check $(RESULTS) $(SCENARIOS)

.PHONY: check
check: ## run all tests: unit, guest and rig (under 15 minutes)
check: deps
	+$(Q)MAKE='$(SUBMAKE)' tests/run-suites $(foreach t,$(SUITES),$t $(RESULTS)/$t.count)

.PHONY: check-unit
check-unit: ## run the unit tests: no KVM needed
check-unit: deps
	+$(Q)$(SUBMAKE) unit

.PHONY: check-guest
check-guest: ## run the guest tests: small payloads on this machine's /dev/kvm
check-guest: deps
	+$(Q)$(SUBMAKE) guest

.PHONY: check-rig
check-rig: ## run the rig tests: stock kernels in an emulated machine (SCENARIOS='a b' for some)
check-rig: deps
	+$(Q)$(SUBMAKE) rig

.PHONY: check-long
check-long: ## what takes longer: all of check with more rounds, and the long scenarios
check-long: export TESSERA_LONG := 1
check-long: deps
	+$(Q)MAKE='$(SUBMAKE)' tests/run-suites $(foreach t,$(SUITES),$t $(RESULTS)/$t.count)

SANITIZERS := address,undefined thread
.PHONY: check-san
check-san: ## run the unit and guest tests under the address, undefined and thread sanitizers
check-san: deps
	+$(Q)MAKE='$(SUBMAKE)' tests/run-suites $(foreach s,$(SANITIZERS),$(foreach t,unit guest,\
	    'SAN=$s $t' build/$(notdir $(firstword $(CC)))-$(subst $(comma),+,$s)/results/$t.count))

.PHONY: check-layers
check-layers: ## check that no file includes a header of a layer above its own
	$(Q)scripts/check-layers

# --- Fuzzing: tests/fuzz/fuzz-*.c with libFuzzer, the kept corpus in tests/fuzz/corpus/NAME/.
FUZZ_RUNS  ?= 20000
FUZZ_SEED  ?= 1
FUZZ_TESTS := $(patsubst %.c,$B/%,$(wildcard tests/fuzz/fuzz-*.c))

$(FUZZ_TESTS): $B/%: $B/%.o $B/libtessera.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $< $B/libtessera.a $(PKG_LIBS)

.PHONY: fuzz-run
fuzz-run: $(FUZZ_TESTS)
	$(Q)FUZZ_RUNS=$(FUZZ_RUNS) FUZZ_SEED=$(FUZZ_SEED) tests/fuzz/run $(RESULTS) $(FUZZ_TESTS)

.PHONY: fuzz
fuzz: ## run each fuzz target FUZZ_RUNS times from its kept corpus (clang)
fuzz: deps
	+$(Q)$(SUBMAKE) CC=clang SAN=fuzzer-no-link,address,undefined fuzz-run

# --- Benchmarks: tests/bench/bench-*.c and bench-*.sh print lines "name value unit".
BENCH_SUPPORT := $(patsubst %.c,$B/%.o,$(wildcard tests/bench/support/*.c))
BENCH_TESTS   := $(patsubst %.c,$B/%,$(wildcard tests/bench/bench-*.c))
BENCH_SCRIPTS := $(wildcard tests/bench/bench-*.sh)

$(BENCH_TESTS): $B/%: $B/%.o $(BENCH_SUPPORT) $(LIB_OBJS) $B/flags
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< $(BENCH_SUPPORT) $(LIB_OBJS) $(PKG_LIBS)

# Without the kernel: these answer the ioctls themselves.
$B/tests/bench/bench-run-loop $B/tests/bench/bench-commit: private LDFLAGS_ALL += $(KVM_WRAP)

# The same with an exit path without any trace point: what is left over is what they cost.
UNTRACED      := $B/tests/bench/untraced
UNTRACED_SRCS := $(addprefix src/accel/kvm/,vcpu-run.c vcpu-exits.c coalesced.c) \
                 $(addprefix src/memory/,access.c access-size.c access-counters.c dispatch.c)
UNTRACED_OBJS := $(UNTRACED_SRCS:%.c=$(UNTRACED)/%.o)
$(UNTRACED_OBJS): $(UNTRACED)/%.o: %.c $B/flags
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -DTESSERA_UNTRACED -MMD -MP -c -o $@ $<

$(UNTRACED)/bench-run-loop: $B/tests/bench/bench-run-loop.o $(BENCH_SUPPORT) $(UNTRACED_OBJS) $(LIB_OBJS) $B/flags
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) $(KVM_WRAP) -o $@ $(filter-out $(UNTRACED_SRCS:%.c=$B/%.o),$(filter %.o,$^)) $(PKG_LIBS)

# A test compares the two, in builds whose instructions are the program's.
TRACE_COST := tests/unit/test-trace-cost.sh
ifeq ($(SAN)$(filter 1,$(COV))$(filter 1,$(DEBUG)),)
unit: $B/tests/bench/bench-run-loop $(UNTRACED)/bench-run-loop
else
UNIT_SCRIPTS := $(filter-out $(TRACE_COST),$(UNIT_SCRIPTS))
endif

# A machine on the model KVM; the benchmark stands between it and the model, and stamps.
BENCH_MODEL := $(filter-out %/model-kvm.o %-fixture.o,$(KVM_SUPPORT)) $B/tests/bench/model-kvm.o
$B/tests/bench/model-kvm.o: $B/tests/unit/kvm/support/model-kvm.o
	$(Q)objcopy --redefine-sym __wrap_kvm_vm_ioctl=model_kvm_vm_ioctl $< $@

$B/tests/bench/bench-device-add-user: private LDFLAGS_ALL += $(KVM_WRAP)
$B/tests/bench/bench-device-add-user: private BENCH_SUPPORT += $(BENCH_MODEL)
$B/tests/bench/bench-device-add-user: $(BENCH_MODEL)

# Machines on the model KVM as it is.
BENCH_MACHINE       := $(filter-out %-fixture.o,$(KVM_SUPPORT)) $B/tests/bench/model/model-machine.o
BENCH_MACHINE_TESTS := $B/tests/bench/bench-terabyte $B/tests/bench/bench-slot-ioctls \
                       $B/tests/bench/bench-info-memory
$(BENCH_MACHINE_TESTS): private LDFLAGS_ALL += $(KVM_WRAP)
$(BENCH_MACHINE_TESTS): private BENCH_SUPPORT += $(BENCH_MACHINE)
$(BENCH_MACHINE_TESTS): $(BENCH_MACHINE)

# So is what draws the pictures of docs/memory-map.md.
PICTURES := $B/scripts/memory-map-pictures
$(PICTURES): $(PICTURES).o $(BENCH_MACHINE) $(LIB_OBJS) $B/flags
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) $(KVM_WRAP) -o $@ $(filter %.o,$^) $(PKG_LIBS)

# The program itself, linked as it is, with stamps around the steps of its start.
BENCH_STAMPED      := $B/tests/bench/start/tessera-stamped
BENCH_STAMPED_WRAP := options_parse accelerator_start ram_block_new pc_new kvm_attach_memory kvm_make_irqchip \
                      accelerator_add_vcpus pc_prepare_boot pc_reset vcpu_set_reset
$(BENCH_STAMPED): $(MAIN_OBJS) $(LIB_OBJS) $B/tests/bench/start/stamps.o $B/flags $B/program-libs
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) $(BENCH_STAMPED_WRAP:%=-Wl,--wrap=%) -o $@ $(filter %.o,$^) $(PROGRAM_LIBS)

# Their guests, and the bare KVM loop that is measured against: it links nothing but the C library.
BENCH_PAYLOAD_DIR   := tests/bench/payloads
BENCH_PAYLOADS      := $(patsubst %.S,$B/%.elf,$(wildcard $(BENCH_PAYLOAD_DIR)/*.S))
BENCH_PAYLOAD_FLAGS := -nostdlib -static -Wa,-I$(BENCH_PAYLOAD_DIR) \
                       -Wl,-T,$(BENCH_PAYLOAD_DIR)/payload.ld,--build-id=none,-z,noexecstack,--no-warn-rwx-segments
BENCH_BARE          := $B/tests/bench/bare/bare-kvm
BENCH_ENV           := TESSERA=$(abspath $(PROGRAM)) TESSERA_BUILD=$(abspath $B) \
                       TESSERA_BENCH_PAYLOADS=$(abspath $B/$(BENCH_PAYLOAD_DIR))

$(BENCH_PAYLOADS): $B/%.elf: %.S $(BENCH_PAYLOAD_DIR)/payload.ld $(BENCH_PAYLOAD_DIR)/pvh.inc $B/flags
	$(call say,GUESTAS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BENCH_PAYLOAD_FLAGS) -o $@ $<

$(BENCH_BARE): $(BENCH_BARE).o $B/flags
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $<

BENCH_RIG := $B/tests/bench/rig/boot $B/tests/bench/rig/hotplug
$(BENCH_RIG): $B/%: $B/%.o $(BENCH_SUPPORT) $B/flags
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< $(BENCH_SUPPORT) $(PKG_LIBS)

# The init of a guest that has nothing but it: no sanitizer, no shared library.
BENCH_INIT := $B/tests/bench/rig/hotplug-init
$(BENCH_INIT): $B/%: %.c $B/flags
	$(call say,GUESTCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) -D_GNU_SOURCE -O2 -static -o $@ $<

.PHONY: bench-programs
bench-programs: $(BENCH_TESTS) $(UNTRACED)/bench-run-loop $(BENCH_STAMPED) $(PROGRAM) payloads $(BENCH_PAYLOADS) $(BENCH_BARE) $(BENCH_RIG) $(BENCH_INIT)

.PHONY: bench-run
bench-run: bench-programs
	$(Q)status=0; for bench in $(BENCH_TESTS) $(BENCH_SCRIPTS); do $(BENCH_ENV) $$bench || status=1; done; exit $$status

.PHONY: bench
bench: ## run the benchmarks, one line "name value unit" for each figure
bench: deps
	+$(Q)$(SUBMAKE) bench-run

.PHONY: bench-rig-run
bench-rig-run: bench-programs
	$(Q)$(BENCH_ENV) tests/bench/rig/run $(or $(ROUNDS),7) $(BENCHES)

.PHONY: bench-rig
bench-rig: ## run the benchmarks that boot stock kernels, in the rig (ROUNDS=7; BENCHES='boot hotplug' for some)
bench-rig: deps
	+$(Q)$(SUBMAKE) bench-rig-run

# --- Coverage: lines executed and branches taken by the unit and guest tests, file by file.
.PHONY: cov
cov: ## show which lines and branches the unit and guest tests execute, by file and folder
cov: deps
	+-$(Q)$(SUBMAKE) COV=1 unit
	+-$(Q)$(SUBMAKE) COV=1 guest
	$(Q)scripts/coverage build/$(notdir $(firstword $(CC)))-cov
