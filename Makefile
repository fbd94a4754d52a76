# SPDX-License-Identifier: MIT
# Tessera: one non-recursive Makefile. Everything that is built goes below build/<variant>/.

# The build's variables; `make help` prints this block.
#
#   CC=gcc|clang   the compiler
#   DEBUG=1        -O0 -g3
#   SAN=LIST       sanitizers, e.g. SAN=address,undefined or SAN=thread
#   COV=1          count what the tests execute (see cov)
#   V=1            show the commands
#   WERROR=0       warnings do not stop the build
#   STATIC=0|1     link the program with shared libraries, or without (default: without, when every
#                  library's archive is there and nothing instruments the code)
#   RUN_IN_RIG=0|1 `make run` here, or in the emulated machine (default: by /proc/cpuinfo)
#   PREFIX, DESTDIR  where `make install` puts things (default /usr/local)

MAKEFLAGS += --no-print-directory
ifeq ($(origin CC),default)
CC := gcc
endif
AR      ?= ar
DEBUG   ?= 0
SAN     ?=
COV     ?= 0
V       ?= 0
WERROR  ?= 1
PREFIX  ?= /usr/local
JOBS    ?= $(shell nproc)

comma   := ,
variant := $(notdir $(firstword $(CC)))$(if $(filter 1,$(DEBUG)),-debug)$(if $(filter 1,$(COV)),-cov)$(if $(SAN),-$(subst $(comma),+,$(SAN)))
B       := build/$(variant)
Q       := $(if $(filter 1,$(V)),,@)
say      = $(if $(filter 1,$(V)),,@printf '  %-6s %s\n' $(1) $(2))

# libfdt has no pkg-config file in Debian 12; its header is in the default search path.
PKGS       := glib-2.0 liburcu-memb jansson
LIBS_EXTRA := -lfdt -ledit

WARN := -Wall -Wextra -Wshadow -Wundef -Wvla -Wstrict-prototypes -Wmissing-prototypes \
        -Wwrite-strings -Wformat=2 -Wimplicit-fallthrough -Wno-unused-parameter
WARN += $(if $(filter 1,$(WERROR)),-Werror)

# On a fresh machine pkg-config itself may be missing while this is read: the targets that install
# packages start make again after it. Only a build is refused here.
PKG_ERROR := $(shell pkg-config --print-errors --exists $(PKGS) 2>&1 || echo missing)
ifeq ($(PKG_ERROR),)
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS))
PKG_LIBS   := $(shell pkg-config --libs $(PKGS)) $(LIBS_EXTRA)
endif

# A program that loads no libraries starts a third faster. It stays position-independent. The
# linker's warnings are about look-ups of users in GLib and libedit (they need shared libraries of
# this very C library, even then): nothing here calls them. The last three are what libedit needs.
STATIC_LIBS := $(shell pkg-config --static --libs $(PKGS) 2>/dev/null) $(LIBS_EXTRA) -ltinfo -lbsd -lmd
STATIC_NEED := rcrt1.o libc.a $(patsubst -l%,lib%.a,$(filter -l%,$(STATIC_LIBS)))
STATIC_LACK  = $(shell for f in $(STATIC_NEED); do [ -e "$$($(CC) -print-file-name=$$f)" ] || echo $$f; done)
ifneq ($(SAN)$(filter 1,$(COV)),)
override STATIC := 0
endif
STATIC ?= $(if $(STATIC_LACK),0,1)
STATIC := $(STATIC)
PROGRAM_LIBS := $(if $(filter 1,$(STATIC)),-static-pie -Wl$(comma)--no-warnings $(STATIC_LIBS),$(PKG_LIBS))

SAN_FLAGS    := $(if $(SAN),-fsanitize=$(SAN))
SAN_DEFINES  := $(if $(SAN),-DTESSERA_SANITIZE) $(if $(findstring thread,$(SAN)),-DTESSERA_TSAN)
CPPFLAGS_ALL := -D_GNU_SOURCE -Iinclude $(PKG_CFLAGS) $(CPPFLAGS)
CFLAGS_ALL   := -std=gnu11 $(WARN) -pthread -fno-strict-aliasing -fno-common \
                $(if $(filter 1,$(DEBUG)),-O0 -g3,-O2 -g -DG_DISABLE_CAST_CHECKS) \
                $(if $(SAN),$(SAN_FLAGS) -fno-sanitize-recover=all -fno-omit-frame-pointer $(SAN_DEFINES)) \
                $(if $(filter 1,$(COV)),--coverage) $(CFLAGS)
LDFLAGS_ALL  := -pthread $(SAN_FLAGS) $(if $(filter 1,$(COV)),--coverage) $(LDFLAGS)

LIB_SRCS  := $(filter-out src/main.c,$(wildcard src/*/*.c src/*/*/*.c))
LIB_OBJS  := $(LIB_SRCS:%.c=$B/%.o)
MAIN_OBJS := $(patsubst %.c,$B/%.o,$(wildcard src/main.c))

# The program that a user finds is build/tessera; sanitized and counting ones stay in their folder.
PROGRAM   := $(if $(MAIN_OBJS),$B/tessera)
INSTALLED := $(if $(MAIN_OBJS),$(if $(SAN)$(filter 1,$(COV)),$B/tessera,build/tessera),$B/libtessera.a)

.PHONY: all
all: ## build build/tessera (the default)
all: $(INSTALLED)

# Registered classes live in a linker section, which an archive member that nobody names would
# not bring along: the program links the objects themselves, unit tests the archive.
$B/tessera: $(MAIN_OBJS) $(LIB_OBJS) $B/flags $B/program-libs
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(MAIN_OBJS) $(LIB_OBJS) $(PROGRAM_LIBS)

# By rename: a program that runs meanwhile keeps its own.
.PHONY: build/tessera
build/tessera: $B/tessera
	$(Q)cmp -s $< $@ || { cp $< $@.new && mv $@.new $@; }

$B/libtessera.a: $(LIB_OBJS) $B/flags
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(LIB_OBJS)

$B/%.o: %.c $B/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# Changed flags, and sources that were added or removed, rebuild.
BUILT_WITH = $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL)
$B/flags: FORCE
	$(if $(PKG_ERROR),$(error missing packages ($(PKG_ERROR)): run `make deps` first))
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(BUILT_WITH)' | cmp -s - $@ || echo '$(BUILT_WITH)' > $@
	$(Q)echo '$(LIB_SRCS)' | cmp -s - $B/sources || { rm -f $B/libtessera.a $B/tessera; echo '$(LIB_SRCS)' > $B/sources; }

# Linked with other libraries, the program is not to be compiled again.
$B/program-libs: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(PROGRAM_LIBS)' | cmp -s - $@ || echo '$(PROGRAM_LIBS)' > $@

# What the targets below need beside a compiler. They start make again after it, with a job for
# each processor unless told otherwise.
SUBMAKE = $(MAKE) $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS))
.PHONY: deps
deps: ## install the Debian packages of packages.txt that are missing (root or sudo)
	$(Q)scripts/deps

.PHONY: run
run: ## boot a stock Debian kernel to a shell (in the rig where KVM has no hardware below)
run: deps
	+$(Q)$(SUBMAKE) all
	$(Q)scripts/run-linux

$B/scripts/monitor-reference: $B/scripts/monitor-reference.o $(LIB_OBJS) $B/flags
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(PKG_LIBS)

.PHONY: docs
docs: ## write anew the commands in docs/monitor.md, from their table, and the pictures in docs/pictures
docs: $B/scripts/monitor-reference $B/scripts/memory-map-pictures
	$(Q)$< docs/monitor.md
	$(Q)$B/scripts/memory-map-pictures docs/pictures

include tests/tests.mk

.PHONY: install
install: ## install the program and its manual below DESTDIR/PREFIX
install: all
	install -D -m 755 build/tessera $(DESTDIR)$(PREFIX)/bin/tessera
	$(if $(wildcard docs/tessera.1),install -D -m 644 docs/tessera.1 $(DESTDIR)$(PREFIX)/share/man/man1/tessera.1)

.PHONY: clean
clean: ## remove everything that was built, but not fetched kernels
	$(Q)[ ! -d build ] || find build -mindepth 1 -maxdepth 1 ! -name kernels -exec rm -rf {} +

.PHONY: distclean
distclean: ## remove fetched kernels too
	rm -rf build

.PHONY: help
help: ## this list
	@sed -n '/^# The build/,/^$$/s/^# \{0,1\}//p' Makefile
	@echo
	@grep -hE '^[a-z][a-z/-]*:.*##' $(MAKEFILE_LIST) | sort | sed 's/:[^#]*## */\t/' | expand -t 16

.PHONY: FORCE
FORCE:

-include $(shell find $B -name '*.d' 2>/dev/null)
