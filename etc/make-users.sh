#!/bin/sh
# Creates the users and the group that hagw runs as; those already there are
# left alone. systemd-sysusers with hagw.sysusers does the same.
set -eu

ensure_group() {
	getent group "$1" >/dev/null || groupadd --system "$1"
}

ensure_user() {
	getent passwd "$1" >/dev/null && return
	useradd --system --user-group --no-create-home \
		--home-dir /nonexistent --shell /usr/sbin/nologin \
		--comment "$2" "$1"
}

if [ "$(id -u)" -ne 0 ]; then
	for u in _hagw_vrrp _hagw_sync _hagw_nat _hagw_ctl; do
		getent passwd "$u" >/dev/null && continue
		echo "users: $u is missing: run \"make users\" as root" >&2
		exit 1
	done
	exit 0
fi
ensure_group hagw
ensure_user _hagw_vrrp "hagw VRRP"
ensure_user _hagw_sync "hagw state synchronisation"
ensure_user _hagw_nat "hagw NAT and routing"
ensure_user _hagw_ctl "hagw control"
