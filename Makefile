# SPDX-License-Identifier: MIT
# Tessera: one non-recursive Makefile. Everything that is built goes below build/<variant>/.
#
#   CC=gcc|clang   the compiler            DEBUG=1        -O0 -g3, assertions on
#   SAN=LIST       sanitizers, e.g. SAN=address,undefined or SAN=thread
#   V=1            show the commands       WERROR=0       warnings do not stop the build

ifeq ($(origin CC),default)
CC := gcc
endif
AR      ?= ar
DEBUG   ?= 0
SAN     ?=
V       ?= 0
WERROR  ?= 1

comma   := ,
variant := $(notdir $(firstword $(CC)))$(if $(filter 1,$(DEBUG)),-debug)$(if $(SAN),-$(subst $(comma),+,$(SAN)))
B       := build/$(variant)
Q       := $(if $(filter 1,$(V)),,@)
say      = $(if $(filter 1,$(V)),,@printf '  %-6s %s\n' $(1) $(2))

PKGS       := glib-2.0 liburcu-memb jansson libfdt
LIBS_EXTRA := -lfdt

WARN := -Wall -Wextra -Wshadow -Wundef -Wvla -Wstrict-prototypes -Wmissing-prototypes \
        -Wwrite-strings -Wformat=2 -Wimplicit-fallthrough -Wno-unused-parameter
WARN += $(if $(filter 1,$(WERROR)),-Werror)

# libfdt has no pkg-config file in Debian 12; its header is in the default search path.
pkg-config := $(shell command -v pkg-config)
ifneq ($(pkg-config),)
PKG_CFLAGS := $(shell pkg-config --cflags $(filter-out libfdt,$(PKGS)) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(filter-out libfdt,$(PKGS)) 2>/dev/null) $(LIBS_EXTRA)
endif

CPPFLAGS_ALL := -D_GNU_SOURCE -Iinclude $(PKG_CFLAGS) $(CPPFLAGS)
CFLAGS_ALL   := -std=gnu11 $(WARN) -pthread -fno-strict-aliasing -fno-common \
                $(if $(filter 1,$(DEBUG)),-O0 -g3,-O2 -g -DG_DISABLE_CAST_CHECKS) \
                $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -DTESSERA_SANITIZE) \
                $(if $(findstring thread,$(SAN)),-DTESSERA_TSAN) $(CFLAGS)
LDFLAGS_ALL  := -pthread $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)

LIB_SRCS  := $(filter-out src/main.c,$(wildcard src/*/*.c src/*/*/*.c))
LIB_OBJS  := $(LIB_SRCS:%.c=$B/%.o)
MAIN_OBJS := $(patsubst %.c,$B/%.o,$(wildcard src/main.c))

.PHONY: all
all: ## build build/tessera
all: build/tessera

# Registered classes live in a linker section, which an archive member that nobody names would
# not bring along: the program links the objects themselves, unit tests the archive.
$B/tessera: $(MAIN_OBJS) $(LIB_OBJS) $B/flags
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(MAIN_OBJS) $(LIB_OBJS) $(PKG_LIBS)

.PHONY: build/tessera
build/tessera: $B/tessera
	$(Q)cmp -s $< $@ || cp $< $@

$B/libtessera.a: $(LIB_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(LIB_OBJS)

$B/%.o: %.c $B/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# Changed flags rebuild everything.
$B/flags: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL)' | cmp -s - $@ || \
	    echo '$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL)' > $@

# Unit tests: tests/unit/test-*.c, each a program of its own with tests/unit/support/*.c.
# Those in tests/unit/kvm/ have the three ioctl functions replaced by the model KVM.
UNIT_SUPPORT   := $(patsubst %.c,$B/%.o,$(wildcard tests/unit/support/*.c))
UNIT_TESTS     := $(patsubst %.c,$B/%,$(wildcard tests/unit/test-*.c))
KVM_SUPPORT    := $(patsubst %.c,$B/%.o,$(wildcard tests/unit/kvm/support/*.c))
UNIT_KVM_TESTS := $(patsubst %.c,$B/%,$(wildcard tests/unit/kvm/test-*.c))
KVM_WRAP       := -Wl,--wrap=kvm_system_ioctl,--wrap=kvm_vm_ioctl,--wrap=kvm_vcpu_ioctl

$(UNIT_TESTS): $B/%: $B/%.o $(UNIT_SUPPORT) $B/libtessera.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< $(UNIT_SUPPORT) $B/libtessera.a $(PKG_LIBS) -lcmocka

$(UNIT_KVM_TESTS): $B/%: $B/%.o $(UNIT_SUPPORT) $(KVM_SUPPORT) $B/libtessera.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) $(KVM_WRAP) -o $@ $< $(UNIT_SUPPORT) $(KVM_SUPPORT) $B/libtessera.a $(PKG_LIBS) -lcmocka

.PHONY: unit
unit: ## build and run the unit tests
unit: $(UNIT_TESTS) $(UNIT_KVM_TESTS)
	$(Q)for t in $^; do $$t || exit 1; done

.PHONY: FORCE clean help
FORCE:
clean: ## remove everything that was built
	rm -rf build

help: ## this list
	@grep -hE '^[a-z][a-z/-]*:.*##' $(MAKEFILE_LIST) | sort | sed 's/:[^#]*## */\t/' | expand -t 20

-include $(shell find $B -name '*.d' 2>/dev/null)
