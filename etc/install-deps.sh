#!/bin/sh
# Installs what building and running hagw need, with "test" what its tests and
# the demo need too, from the distribution's own packages. Does nothing, and
# needs no network, when all is there.
set -eu

packages="build-essential pkg-config
libevent-dev libmnl-dev libnftnl-dev libbsd-dev
libyaml-dev libseccomp-dev libsodium-dev libjansson-dev"
hint="make deps"
if [ "${1:-}" = test ]; then
	hint="make deps-test"
	packages="$packages git strace libnetfilter-conntrack-dev libcmocka-dev
python3 python3-pytest python3-scapy
nftables iproute2 iputils-ping procps tcpdump conntrack
openssh-server openssh-client keepalived conntrackd
clang libclang-rt-14-dev clang-format cppcheck mandoc systemd"
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
	echo "deps: this system has no apt; install these by hand:" >&2
	echo "$packages" >&2
	exit 1
fi

missing=""
for p in $packages; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || :)
	[ "$status" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "deps: missing:$missing" >&2
	echo "deps: run \"$hint\" as root" >&2
	exit 1
fi

# The tests start what they want themselves: at the next boot nothing may be
# there that was not before. systemd's own units are what boots a system.
disable_services() {
	for p in $missing; do
		[ "$p" != systemd ] || continue
		for file in $(dpkg -L "$p" 2>/dev/null); do
			case $file in
			*@.*) ;; # started by name only
			*/systemd/system/*/*) ;;
			*/systemd/system/*.service | */systemd/system/*.socket | \
			    */systemd/system/*.timer)
				disable_unit "${file##*/}"
				;;
			/etc/init.d/*) update-rc.d "${file##*/}" disable || : ;;
			esac
		done
	done
}

disable_unit() {
	command -v systemctl >/dev/null || return 0
	systemctl --quiet disable "$1" || :
}

echo "deps: installing$missing"
# no service of a package just installed may start by itself
policy=/usr/sbin/policy-rc.d
if [ -e $policy ]; then
	policy=""
else
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
fi
trap 'disable_services; [ -z "$policy" ] || rm -f "$policy"' EXIT
apt-get update -q
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
	--no-install-recommends $missing
