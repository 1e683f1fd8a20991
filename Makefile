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
else ifeq ($(FUZZ),1)
# FUZZ=1 is what "make fuzz" and its like build with; see below.
B := build/fuzz
CC := clang
CFLAGS := -O1 -g
SANFLAGS := -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=undefined
else
B := build
SANFLAGS :=
# Anew: a compiler (Ubuntu's) or a packager's flags have defined it already.
HARDEN := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
# A record passes through a dozen small files; clang's needs another ar and ld.
LTO := $(if $(findstring clang,$(CC)),,-flto=auto)
endif

PKGS := libevent libmnl libnftnl libbsd yaml-0.1 libseccomp libsodium jansson
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wvla
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu17 $(CFLAGS) $(WARN) -fPIE -fstack-protector-strong \
	-fstack-clash-protection -fcf-protection $(HARDEN) $(LTO) $(SANFLAGS)
# Ties parent and children of one build together.
BUILD_ID := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo release)
# Added to those of the command line too, which else replace them.
override CPPFLAGS += -D_GNU_SOURCE -Icommon
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
.PHONY: .FORCE all help deps deps-test users proof soak demo bench lab \
	lab-down lab-tools man test unit unit-bins fuzz fuzz-all fuzz-bins fuzz-corpus \
	check-format lint install clean

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
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) \
	    $(FIRST) $(UNIT_LIBS) $(call lib,$(PKGS) cmocka)

$(B)/unit/test_sync_sim: $(B)/obj/regress/unit/sim.o

# Names are unique within a program, not across: its own library first.
$(B)/unit/test_vrrp_%: FIRST = $(B)/libvrrpd.a
$(B)/unit/test_sync_%: FIRST = $(B)/libsyncd.a
$(B)/unit/test_nat_%: FIRST = $(B)/libnatd.a
$(B)/unit/test_hactl_%: FIRST = $(B)/libhactl.a
$(B)/unit/test_ctld%: FIRST = $(B)/libctld.a

$(B)/obj/regress/unit/%.o: override CPPFLAGS += -I. -Iparentd -Ivrrpd \
	-Isyncd -Inatd -Ictl

unit-bins: $(UNIT_BIN)

# Fuzzing: a program for each decoder of foreign bytes, clang's libFuzzer.
# Only what a target uses is built; regress/fuzz/FUZZ.md tells the rest.
FUZZ_NAMES := $(patsubst regress/fuzz/fuzz_%.c,%,\
	$(wildcard regress/fuzz/fuzz_*.c))
FUZZ_CONF := $(filter-out common/conf_key.c common/conf_imsg.c,\
	$(wildcard common/conf*.c)) common/schema.c common/yaml_read.c \
	common/fmt.c common/addr.c common/hagw.c common/log.c \
	regress/fuzz/fuzz.c
FUZZ_SYNC := $(filter-out syncd/syncd.c syncd/sync_io.c syncd/sync_event.c \
	syncd/sync_show.c,$(wildcard syncd/*.c)) regress/fuzz/fixed_random.c \
	regress/fuzz/no_parent.c
FUZZ_AUTHZ_CT := parentd/authz.c parentd/kctmsg.c
FUZZ_AUTHZ := $(FUZZ_AUTHZ_CT) $(wildcard parentd/authz_n*.c)
FUZZ_IMSG := common/imsg.c common/imsg_rules.c
FUZZ_NATD := $(filter-out natd/natd.c natd/nat_show.c natd/nat_state.c,\
	$(wildcard natd/*.c))

USES_vrrp := vrrpd/vrrp_packet.c common/cksum.c common/log.c \
	regress/fuzz/fuzz.c
USES_site := $(FUZZ_CONF) $(FUZZ_AUTHZ) $(FUZZ_NATD)
USES_sync_record := $(FUZZ_CONF) $(FUZZ_SYNC) $(FUZZ_AUTHZ_CT)
USES_sync_dgram := $(FUZZ_CONF) $(FUZZ_SYNC)
USES_sync_engine := $(USES_sync_record)
USES_imsg_parent := $(FUZZ_CONF) $(FUZZ_IMSG) $(FUZZ_AUTHZ) \
	parentd/budget.c parentd/control.c parentd/handover.c \
	parentd/history.c parentd/peers.c
USES_imsg_child := $(FUZZ_CONF) $(FUZZ_IMSG)
USES_nat_batch := $(FUZZ_CONF) $(FUZZ_AUTHZ) regress/fuzz/nlmutate.c
USES_ctl_request := $(FUZZ_CONF) $(FUZZ_IMSG) ctl/ctld_relay.c \
	regress/fuzz/no_parent.c
USES_ct_event := $(FUZZ_CONF) syncd/sync_record.c syncd/sync_wire.c \
	regress/fuzz/nlmutate.c
USES_nft_dump := $(FUZZ_CONF) $(FUZZ_NATD) regress/fuzz/nlmutate.c \
	regress/fuzz/no_parent.c

FUZZ_LIBS = $(call lib,libevent libbsd libsodium libmnl libnftnl \
	yaml-0.1)

build/fuzz/obj/regress/fuzz/%.o: override CPPFLAGS += -I. -Iparentd \
	-Ivrrpd -Isyncd -Inatd -Ictl -Iregress/fuzz

define FUZZ_PROG
build/fuzz/fuzz_$(1): $$(patsubst %.c,build/fuzz/obj/%.o,\
    regress/fuzz/fuzz_$(1).c $$(USES_$(1)))
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(SANFLAGS) -fsanitize=fuzzer -o $$@ $$^ $$(FUZZ_LIBS)
endef
ifeq ($(FUZZ),1)
$(foreach n,$(FUZZ_NAMES),$(eval $(call FUZZ_PROG,$(n))))
endif

# First inputs, from the daemons' own encoders and a real kernel.
build/fuzz/make_seeds: $(patsubst %.c,build/fuzz/obj/%.o, \
    regress/fuzz/seeds.c vrrpd/vrrp_packet.c common/cksum.c \
    parentd/knft.c parentd/kct.c parentd/kctmsg.c parentd/netlink.c \
    $(FUZZ_CONF) $(FUZZ_SYNC) $(FUZZ_NATD) $(FUZZ_IMSG))
	$(call say,LD,$@)
	$(Q)$(CC) $(SANFLAGS) -o $@ $^ $(FUZZ_LIBS)

FUZZ_JOBS ?= 2
TIME ?= 60
fuzz_make = $(MAKE) --no-print-directory -j$(FUZZ_JOBS) FUZZ=1

fuzz-bins:
	@$(fuzz_make) $(FUZZ_NAMES:%=build/fuzz/fuzz_%)

fuzz: ## run a fuzz target (clang): T=name, TIME=seconds
	@test -f regress/fuzz/fuzz_$(T).c || \
	    { echo "fuzz: T is one of: $(FUZZ_NAMES)" >&2; exit 2; }
	@$(fuzz_make) build/fuzz/fuzz_$(T)
	sh regress/fuzz/run.sh $(TIME) $(T)

fuzz-all: fuzz-bins ## run each of them, TIME=seconds each
	sh regress/fuzz/run.sh $(TIME) $(FUZZ_NAMES)

# The corpus anew, as small as it can be (as root: a kernel is asked).
fuzz-corpus: fuzz-bins
	@$(fuzz_make) build/fuzz/make_seeds
	ASAN_OPTIONS=detect_leaks=0 build/fuzz/make_seeds build/fuzz/seeds
	mkdir -p build/fuzz/seeds/site
	for d in good bad; do for f in regress/config/$$d/*.yaml; do \
	    cp $$f build/fuzz/seeds/site/$$d-$${f##*/}; done; done
	cp etc/site-*.yaml build/fuzz/seeds/site
	sh regress/fuzz/run.sh merge $(FUZZ_NAMES)

# Programs of the lab: flows, load, dumps; they share nothing with hagw.
LAB_DIR := regress/lab/tools
LAB_SRC := $(filter-out $(LAB_DIR)/tool.c,$(wildcard $(LAB_DIR)/*.c))
LAB_BIN := $(patsubst $(LAB_DIR)/%.c,build/lab/%,$(LAB_SRC))

build/lab/%: $(LAB_DIR)/%.c $(LAB_DIR)/tool.c $(LAB_DIR)/tool.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(LDFLAGS_ALL) -o $@ \
	    $(filter %.c,$^) $(call lib,libmnl libnetfilter_conntrack)

# What takes a child's place in the tests of separation.
build/lab/hostile: regress/hostile/hostile.c build/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(ALL_CFLAGS) $(LDFLAGS_ALL) -o $@ \
	    $^ $(call lib,$(LIBS_common))

# Preloaded, to make calls fail; a sanitizer has an allocator of its own.
SHIM := build/lab/shim.so build/lab/shim-san.so
build/lab/shim-san.so: SHIM_FLAGS := -DSHIM_WITHOUT_MALLOC

$(SHIM): regress/survival/shim.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -std=gnu17 -O2 -g $(WARN) $(SHIM_FLAGS) -fPIC \
	    -shared -o $@ $<

lab-tools: $(LAB_BIN) $(SHIM) build/lab/hostile

# The manual of the site file: its list of keys is the schema's.
$(B)/mkman: etc/mkman.c $(B)/libcommon.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(ALL_CFLAGS) $(LDFLAGS_ALL) -o $@ \
	    $^ $(call lib,$(LIBS_common))

$(B)/hagw-site.5: etc/hagw-site.5.in $(B)/mkman
	$(call say,GEN,$@)
	$(Q)$(B)/mkman etc/hagw-site.5.in >$@

man: $(B)/hagw-site.5

deps: ## install what building and running need (Debian, Ubuntu)
	sh etc/install-deps.sh

deps-test: ## and what the tests and the demo need
	sh etc/install-deps.sh test

users: ## create the users and the group hagw runs as
	sh etc/make-users.sh

PYTEST_ALL = $(PYTHON) -m pytest -q -o cache_dir=$(CURDIR)/build/pytest regress

test: ## install, build, run every test (as root)
	@$(MAKE) --no-print-directory deps-test users
	@$(MAKE) --no-print-directory all man lab-tools
	@$(MAKE) --no-print-directory SAN=1 unit-bins build/san/sbin/hagwd
	@$(PYTEST_ALL) $(PYTEST) || { rc=$$?; [ $$rc -eq 1 ] || exit $$rc; \
	    echo "again, and alone, those that failed: the load of a shared" \
	        "machine decides some"; \
	    $(PYTEST_ALL) --last-failed --last-failed-no-failures none; }

unit: man ## the unit tests alone, under ASan and UBSan
	@$(MAKE) --no-print-directory SAN=1 unit-bins
	$(PYTHON) -m pytest -q -p no:cacheprovider regress/unit $(PYTEST)

# Each fault as often as it takes to believe it; 34 minutes here.
PROOF ?= regress/survival $(addprefix regress/integration/test_, \
	calls.py control_abuse.py hostile.py separation.py)
proof: ## the tests of faults and separation in full (as root)
	@$(MAKE) --no-print-directory deps-test users
	@$(MAKE) --no-print-directory all lab-tools
	@$(MAKE) --no-print-directory SAN=1 build/san/sbin/hagwd
	$(PYTHON) -m pytest -q -p no:cacheprovider --full $(PROOF) $(PYTEST)

soak: ## random faults for MIN minutes; SEED=n: those of that run (as root)
	@$(MAKE) --no-print-directory all lab-tools
	$(PYTHON) regress/survival/soak.py --minutes $(or $(MIN),60) \
	    $(if $(SEED),--seed $(SEED))

demo: ## two gateways, real ssh, 300 flows: failover, crash, return (as root)
	@$(MAKE) --no-print-directory deps-test users
	@$(MAKE) --no-print-directory all lab-tools
	$(PYTHON) -m regress.lab.demo

bench: ## measure hagw beside keepalived and conntrackd (as root)
	@$(MAKE) --no-print-directory deps-test users
	@$(MAKE) --no-print-directory all lab-tools
	$(PYTHON) -m regress.bench

bench-%: ## one row of it, such as bench-cpu-1
	@$(MAKE) --no-print-directory deps-test users
	@$(MAKE) --no-print-directory all lab-tools
	$(PYTHON) -m regress.bench $*

lab: ## the demo's topology, left up to play in (as root)
	@$(MAKE) --no-print-directory deps-test users
	@$(MAKE) --no-print-directory all lab-tools
	$(PYTHON) -m regress.lab up

lab-down: ## take it down
	$(PYTHON) -m regress.lab down

C_FILES = $(shell git ls-files '*.c' '*.h')

check-format: ## KNF, by clang-format
	clang-format --dry-run -Werror $(C_FILES)

check-clang: ## the warnings of the other compiler
	clang -std=gnu17 $(CPPFLAGS) -DHAGW_BUILD='""' $(PKG_CFLAGS) $(WARN) -fsyntax-only \
	    $(foreach p,common $(PROGS),$(SRC_$(p)))

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
	install -m 0644 README.md SECURITY.md LICENSE syncd/PROTOCOL.md $(DOCDIR)
	install -m 0644 etc/site-*.yaml etc/networkd-hagw.conf \
	    etc/NetworkManager-hagw.conf $(DOCDIR)/examples
	sed 's|@PREFIX@|$(PREFIX)|g' etc/hagw.init >$(CONFDIR)/init.d/hagw
	chmod 0755 $(CONFDIR)/init.d/hagw
	sed 's|@PREFIX@|$(PREFIX)|g' etc/hagw.service \
	    >$(SYSTEMDDIR)/systemd/system/hagw.service
	chmod 0644 $(SYSTEMDDIR)/systemd/system/hagw.service
	install -m 0644 etc/hagw.sysusers $(SYSTEMDDIR)/sysusers.d/hagw.conf
	install -m 0644 etc/hagw.tmpfiles $(SYSTEMDDIR)/tmpfiles.d/hagw.conf

clean: ## remove what was built
	rm -rf build

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / \
	    { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Made anew when it changes: all programs of one tree are of one build.
$(B)/obj/common/hagw.o: $(B)/build-id
$(B)/build-id: .FORCE
	@mkdir -p $(@D)
	@echo $(BUILD_ID) | cmp -s - $@ || echo $(BUILD_ID) >$@
.FORCE:

$(B)/obj/common/hagw.o: override CPPFLAGS += -DHAGW_BUILD=\"$(BUILD_ID)\"

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
