# hagw. GNU make; see "make help".

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
CC ?= cc
PYTHON ?= /usr/bin/python3

# SAN=1 builds with ASan and UBSan, into a tree of its own.
ifeq ($(SAN),1)
B := build/san
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined
else
B := build
SANFLAGS :=
HARDEN := -D_FORTIFY_SOURCE=2
endif

PKGS := libevent libmnl libnetfilter_conntrack libnftnl libbsd yaml-0.1 \
	libseccomp libsodium jansson
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wvla
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu17 $(CFLAGS) $(WARN) -fPIE -fstack-protector-strong \
	-fstack-clash-protection -fcf-protection $(HARDEN) $(SANFLAGS)
# Ties parent and children of one build together.
BUILD_ID := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo release)
CPPFLAGS += -D_GNU_SOURCE -Icommon
LDFLAGS_ALL = -pie -Wl,-z,relro,-z,now,-z,noexecstack $(SANFLAGS) $(LDFLAGS)

PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS))
lib = $(shell pkg-config --libs $(1))

# A program is a folder; ctl holds two.
HACTL_SRC := ctl/hactl.c ctl/words.c ctl/client.c ctl/out.c \
	$(wildcard ctl/show_*.c) $(wildcard ctl/cmd_*.c)
SRC_common := $(wildcard common/*.c)
SRC_hagwd := $(wildcard parentd/*.c)
SRC_vrrpd := $(wildcard vrrpd/*.c)
SRC_syncd := $(wildcard syncd/*.c)
SRC_natd := $(wildcard natd/*.c)
SRC_hactl := $(HACTL_SRC)
SRC_ctld := $(filter-out $(HACTL_SRC),$(wildcard ctl/*.c))

MAIN_hagwd := parentd/parentd.c
MAIN_vrrpd := vrrpd/vrrpd.c
MAIN_syncd := syncd/syncd.c
MAIN_natd := natd/natd.c
MAIN_ctld := ctl/ctld.c
MAIN_hactl := ctl/hactl.c

PROGS := hagwd vrrpd syncd natd ctld hactl
DIR_hagwd := sbin
DIR_hactl := bin
DIR_vrrpd := libexec/hagw
DIR_syncd := libexec/hagw
DIR_natd := libexec/hagw
DIR_ctld := libexec/hagw

LIBS_common := libevent libbsd yaml-0.1 libseccomp libsodium
LIBS_hagwd := $(LIBS_common) libmnl
LIBS_vrrpd := $(LIBS_common)
LIBS_syncd := $(LIBS_common) libmnl
LIBS_natd := $(LIBS_common) libmnl libnftnl
LIBS_ctld := $(LIBS_common)
LIBS_hactl := $(LIBS_common) jansson

BINS := $(foreach p,$(PROGS),$(B)/$(DIR_$(p))/$(p))

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all help deps users demo lab lab-down test unit check-format lint \
	install clean

all: $(BINS)

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/libcommon.a: $(call obj,$(SRC_common))
	@rm -f $@
	ar rcs $@ $^

# Everything of a program but its main file, for the tests too.
define PROG
$(B)/lib$(1).a: $$(call obj,$$(filter-out $$(MAIN_$(1)),$$(SRC_$(1))))
	@rm -f $$@
	ar rcs $$@ $$^

$(B)/$(DIR_$(1))/$(1): $$(call obj,$$(MAIN_$(1))) $(B)/lib$(1).a \
    $(B)/libcommon.a
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_CFLAGS) $$(LDFLAGS_ALL) -o $$@ $$^ \
	    $$(call lib,$$(LIBS_$(1)))
endef
$(foreach p,$(PROGS),$(eval $(call PROG,$(p))))

# Unit tests: one program per file, linked with what it pulls in.
UNIT_SRC := $(wildcard regress/unit/test_*.c)
UNIT_BIN := $(patsubst regress/unit/%.c,$(B)/unit/%,$(UNIT_SRC))
UNIT_LIBS := $(B)/libhagwd.a $(B)/libvrrpd.a $(B)/libsyncd.a $(B)/libnatd.a \
	$(B)/libctld.a $(B)/libhactl.a $(B)/libcommon.a

$(B)/unit/%: $(B)/obj/regress/unit/%.o $(UNIT_LIBS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS_ALL) -o $@ $^ \
	    $(call lib,$(PKGS) cmocka)

$(B)/obj/regress/unit/%.o: CPPFLAGS += -I.

unit-bins: $(UNIT_BIN)

$(B)/obj/common/hagw.o: CPPFLAGS += -DHAGW_BUILD=\"$(BUILD_ID)\"

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
