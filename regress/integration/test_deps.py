"""make deps: a package that it brings starts nothing, at the next boot too.

Run on a copy of this host's root that nobody else sees, with an apt-get that
does what a package's own scripts do to be started at boot.
"""
import subprocess

import pytest

import lab

SCRIPT = lab.TOP / "etc" / "install-deps.sh"

# $1: a directory for the copy; the script comes as standard input.
COPY = r"""
mount -t tmpfs none "$1" && mkdir "$1/upper" "$1/work" "$1/root" &&
mount -t overlay none -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" \
    "$1/root" || exit 77
root=$1/root
mount -t proc none "$root/proc"
mount --bind /dev "$root/dev"
mkdir "$root/stubs"
cd "$root/stubs"
cat >apt-get <<'EOF'
#!/bin/sh
[ "$1" = install ] || exit 0
[ "$(/usr/sbin/policy-rc.d; echo $?)" = 101 ] || exit 1
echo "asked for: $*"
systemctl enable keepalived.service
update-rc.d keepalived defaults
[ ! -e /broken ] || exit 100
EOF
cat >dpkg-query <<'EOF'
#!/bin/sh
case $* in *keepalived | *libmnl-dev) ;; *) echo installed ;; esac
EOF
cat >dpkg <<'EOF'
#!/bin/sh
[ "$2" = keepalived ] && cat /files
EOF
chmod 755 *
cat >"$root/files" <<'EOF'
/etc/init.d/keepalived
/lib/systemd/system
/lib/systemd/system/keepalived.service
EOF
for unit in keepalived bystander; do
	printf '[Service]\nExecStart=/bin/true\n[Install]\n%s\n' \
	    WantedBy=multi-user.target >"$root/lib/systemd/system/$unit.service"
done
cat >"$root/etc/init.d/keepalived" <<'EOF'
#!/bin/sh
### BEGIN INIT INFO
# Provides: keepalived
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
EOF
chmod 755 "$root/etc/init.d/keepalived"
rm -f "$root/usr/sbin/policy-rc.d" "$root"/etc/rc?.d/*keepalived
chroot "$root" systemctl --quiet enable bystander.service
[ -z "$2" ] || touch "$root/broken"
PATH=/stubs:/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" sh -s $3
echo "status $?"
cd "$root/etc"
ls systemd/system/multi-user.target.wants rc2.d
ls "$root/usr/sbin/policy-rc.d"
"""


def install(directory, *words, broken=False):
    with open(SCRIPT, encoding="utf-8") as script:
        done = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--net", "sh", "-c",
             COPY, "sh", directory, "yes" if broken else "", " ".join(words)],
            stdin=script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=60, check=False)
    if done.returncode == 77:
        pytest.skip(f"no overlay: {done.stdout}")
    return done.stdout


@pytest.mark.parametrize("broken", [False, True])
def test_nothing_new_is_enabled(tmp_path, broken):
    """Nor when the installation stopped half way; the rest is as it was."""
    said = install(tmp_path, "test", broken=broken)
    assert "libmnl-dev" in said and " keepalived" in said
    status, left = said.split("\nstatus ", 1)[1].split("\n", 1)
    assert status == ("100" if broken else "0"), said
    assert "bystander.service" in left
    assert "keepalived.service" not in left, said
    assert "S01keepalived" not in left and "K01keepalived" in left, said
    assert "policy-rc.d': No such file" in left, said


def test_building_needs_no_services(tmp_path):
    """make deps alone is for a gateway."""
    said = install(tmp_path)
    asked = said.split("asked for: ", 1)[1].split("\n", 1)[0]
    assert "libmnl-dev" in asked and "keepalived" not in asked, said
