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

# V=1 shows the commands.
ifeq ($(V),1)
say =
Q :=
else
say = @printf '  %-4s %s\n' $(1) $(2);
Q := @
endif

PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS))
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
.PHONY: all help deps users demo lab lab-down lab-tools man test unit \
	unit-bins check-format lint install clean

all: $(BINS) ## build everything

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/libcommon.a: $(call obj,$(SRC_common))
	@rm -f $@
	$(call say,AR,$@)
	$(Q)ar rcs $@ $^

# Everything of a program but its main file, for the tests too.
define PROG
$(B)/lib$(1).a: $$(call obj,$$(filter-out $$(MAIN_$(1)),$$(SRC_$(1))))
	@rm -f $$@
	$$(call say,AR,$$@)
	$$(Q)ar rcs $$@ $$^

$(B)/$(DIR_$(1))/$(1): $$(call obj,$$(MAIN_$(1))) $(B)/lib$(1).a \
    $(B)/libcommon.a
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(ALL_CFLAGS) $$(LDFLAGS_ALL) -o $$@ $$^ \
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
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS_ALL) -o $@ $< $(FIRST) \
	    $(UNIT_LIBS) $(call lib,$(PKGS) cmocka)

# Names are unique within a program, not across: its own library first.
$(B)/unit/test_vrrp_%: FIRST = $(B)/libvrrpd.a
$(B)/unit/test_sync_%: FIRST = $(B)/libsyncd.a
$(B)/unit/test_nat_%: FIRST = $(B)/libnatd.a
$(B)/unit/test_hactl_%: FIRST = $(B)/libhactl.a
$(B)/unit/test_ctld%: FIRST = $(B)/libctld.a

$(B)/obj/regress/unit/%.o: CPPFLAGS += -I. -Iparentd -Ivrrpd -Isyncd -Inatd \
	-Ictl

unit-bins: $(UNIT_BIN)

# Programs of the lab: flows, load, dumps; they share nothing with hagw.
LAB_DIR := regress/lab/tools
LAB_SRC := $(filter-out $(LAB_DIR)/tool.c,$(wildcard $(LAB_DIR)/*.c))
LAB_BIN := $(patsubst $(LAB_DIR)/%.c,build/lab/%,$(LAB_SRC))

build/lab/%: $(LAB_DIR)/%.c $(LAB_DIR)/tool.c $(LAB_DIR)/tool.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(LDFLAGS_ALL) -o $@ \
	    $(filter %.c,$^) $(call lib,libmnl libnetfilter_conntrack)

lab-tools: $(LAB_BIN)

# The manual of the site file: its list of keys is the schema's.
$(B)/mkman: etc/mkman.c $(B)/libcommon.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(ALL_CFLAGS) $(LDFLAGS_ALL) -o $@ \
	    $^ $(call lib,$(LIBS_common))

$(B)/hagw-site.5: etc/hagw-site.5.in $(B)/mkman
	$(call say,GEN,$@)
	$(Q)$(B)/mkman etc/hagw-site.5.in >$@

man: $(B)/hagw-site.5

deps: ## install what building and testing need (Debian, Ubuntu)
	sh etc/install-deps.sh

users: ## create the users and the group hagw runs as
	sh etc/make-users.sh

test: ## install, build, run every test (as root)
	@$(MAKE) --no-print-directory deps users
	@$(MAKE) --no-print-directory all man lab-tools
	@$(MAKE) --no-print-directory SAN=1 unit-bins
	$(PYTHON) -m pytest -q -p no:cacheprovider regress $(PYTEST)

unit: ## the unit tests alone, under ASan and UBSan
	@$(MAKE) --no-print-directory SAN=1 unit-bins
	$(PYTHON) -m pytest -q -p no:cacheprovider regress/unit $(PYTEST)

demo: ## two gateways, real ssh, 300 flows: failover, crash, return (as root)
	@$(MAKE) --no-print-directory deps users
	@$(MAKE) --no-print-directory all lab-tools
	$(PYTHON) -m regress.lab.demo

lab: ## the demo's topology, left up to play in (as root)
	@$(MAKE) --no-print-directory deps users
	@$(MAKE) --no-print-directory all lab-tools
	$(PYTHON) -m regress.lab up

lab-down: ## take it down
	$(PYTHON) -m regress.lab down

C_FILES = $(shell git ls-files '*.c' '*.h')

check-format: ## KNF, by clang-format
	clang-format --dry-run -Werror $(C_FILES)

lint: ## cppcheck; the exceptions stand in etc/cppcheck.suppress
	cppcheck --quiet --std=c11 --enable=warning,performance,portability \
	    --inline-suppr --error-exitcode=1 --include=/usr/include/$(shell gcc -dumpmachine)/sys/queue.h -D_GNU_SOURCE -Icommon \
	    -Iparentd --suppressions-list=etc/cppcheck.suppress \
	    $(addprefix -i,regress) common parentd vrrpd syncd natd ctl

BINDIR = $(DESTDIR)$(PREFIX)/bin
SBINDIR = $(DESTDIR)$(PREFIX)/sbin
LIBEXECDIR = $(DESTDIR)$(PREFIX)/libexec/hagw
MANDIR = $(DESTDIR)$(PREFIX)/share/man
DOCDIR = $(DESTDIR)$(PREFIX)/share/doc/hagw
CONFDIR = $(DESTDIR)$(SYSCONFDIR)
# units, sysusers and tmpfiles are read from /usr/lib, or /usr/local/lib
SYSTEMDDIR = $(DESTDIR)$(PREFIX)/lib

install: all man ## into DESTDIR, under PREFIX (/usr/local)
	install -d $(BINDIR) $(SBINDIR) $(LIBEXECDIR) $(MANDIR)/man5 \
	    $(MANDIR)/man8 $(DOCDIR)/examples $(CONFDIR)/init.d \
	    $(SYSTEMDDIR)/systemd/system $(SYSTEMDDIR)/sysusers.d \
	    $(SYSTEMDDIR)/tmpfiles.d
	install -d -m 0750 $(CONFDIR)/hagw
	install -m 0755 $(B)/bin/hactl $(BINDIR)
	install -m 0755 $(B)/sbin/hagwd $(SBINDIR)
	install -m 0755 $(addprefix $(B)/libexec/hagw/,vrrpd syncd natd ctld) \
	    $(LIBEXECDIR)
	install -m 0644 $(B)/hagw-site.5 $(MANDIR)/man5
	install -m 0644 etc/hagwd.8 etc/hactl.8 $(MANDIR)/man8
	install -m 0644 README.md LICENSE syncd/PROTOCOL.md $(DOCDIR)
	install -m 0644 etc/site-*.yaml etc/networkd-hagw.conf \
	    etc/NetworkManager-hagw.conf $(DOCDIR)/examples
	sed 's|@PREFIX@|$(PREFIX)|g' etc/hagw.init >$(CONFDIR)/init.d/hagw
	chmod 0755 $(CONFDIR)/init.d/hagw
	sed 's|@PREFIX@|$(PREFIX)|g' etc/hagw.service \
	    >$(SYSTEMDDIR)/systemd/system/hagw.service
	install -m 0644 etc/hagw.sysusers $(SYSTEMDDIR)/sysusers.d/hagw.conf
	install -m 0644 etc/hagw.tmpfiles $(SYSTEMDDIR)/tmpfiles.d/hagw.conf

clean: ## remove what was built
	rm -rf build

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / \
	    { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(B)/obj/common/hagw.o: CPPFLAGS += -DHAGW_BUILD=\"$(BUILD_ID)\"

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
