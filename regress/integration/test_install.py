"""make install gives a tree that runs: init script, unit, manuals."""
import os
import pathlib
import re
import shutil
import stat
import subprocess

import pytest

import lab

INSTALLED = """\
/etc/init.d/hagw
/usr/bin/hactl
/usr/lib/systemd/system/hagw.service
/usr/lib/sysusers.d/hagw.conf
/usr/lib/tmpfiles.d/hagw.conf
/usr/libexec/hagw/ctld
/usr/libexec/hagw/natd
/usr/libexec/hagw/syncd
/usr/libexec/hagw/vrrpd
/usr/sbin/hagwd
/usr/share/doc/hagw/examples/site-firewall-pair.yaml
/usr/share/doc/hagw/examples/site-minimal.yaml
/usr/share/doc/hagw/examples/site-nat-pair.yaml
/usr/share/man/man5/hagw-site.5
/usr/share/man/man8/hactl.8
/usr/share/man/man8/hagwd.8
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    dest = tmp_path_factory.mktemp("dest")
    for mask, words in (("022", ["all", "man"]), ("077", [
            "install", f"DESTDIR={dest}", "PREFIX=/usr"])):
        proc = lab.call(["sh", "-c", f'umask {mask}; exec "$@"', "sh", "make",
                         "-C", lab.TOP, *words], timeout=140, check=False)
        assert proc.returncode == 0, proc.stdout + proc.stderr
    return dest


def test_what_is_installed(tree):
    for path in INSTALLED.split():
        assert (tree / path[1:]).is_file(), path
    for path in ("usr/sbin/hagwd", "usr/bin/hactl", "etc/init.d/hagw"):
        assert os.access(tree / path, os.X_OK), path
    for path in tree.rglob("*"):
        if path.is_file() and path.stat().st_size < 100000:
            assert b"@PREFIX@" not in path.read_bytes(), path


def test_modes(tree):
    """Whatever the umask of who installs."""
    for path in tree.rglob("*"):
        mode = path.stat().st_mode & 0o777
        if path == tree / "etc/hagw":
            assert mode == 0o750
        elif path.is_dir() or path.parent.name in ("bin", "sbin", "init.d") \
                or path.parent == tree / "usr/libexec/hagw":
            assert mode == 0o755, path
        else:
            assert mode == 0o644, path


def test_unit_file(tree):
    """systemd-analyze sees a root in which the programs are where it says."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    unit = tree / "usr/lib/systemd/system/hagw.service"
    text = unit.read_text()
    assert "Type=notify" in text and "WatchdogSec=" in text
    assert "Restart=always" in text
    # test_parent has what is lost when hagwd dies and its children live on
    assert "\nKillMode=process\n" in text
    # test_bad_input has what ends with 2, and what does not
    assert "\nRestartPreventExitStatus=2\n" in text
    kept = re.findall(r"^    (CAP_\w+),", (
        lab.TOP / "parentd" / "confine.c").read_text(), re.M)
    allowed = re.search("CapabilityBoundingSet=(.*)", text).group(1).split()
    assert len(kept) > 5 and set(kept) <= set(allowed)
    # The programs are not in the machine's /usr: let it find them.
    here = tree / "hagw.service"
    here.write_text(text.replace("=/usr/", f"={tree}/usr/"))
    proc = subprocess.run(["systemd-analyze", "verify", "--man=no", here],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=60, check=False)
    assert proc.returncode == 0 and "hagw.service" not in proc.stdout, \
        proc.stdout


@pytest.mark.parametrize("page", ["man8/hagwd.8", "man5/hagw-site.5",
                                  "man8/hactl.8"])
def test_manuals(tree, page):
    proc = subprocess.run(
        ["mandoc", "-Tlint", "-W", "warning",
         tree / "usr/share/man" / page], text=True, timeout=20,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert proc.stdout == "" and proc.returncode == 0, proc.stdout


@pytest.mark.parametrize("name, node", [
    ("firewall-pair", "fw-2"), ("minimal", "gw-1"), ("nat-pair", "nat2")])
def test_examples_pass_the_check(tree, name, node):
    path = tree / f"usr/share/doc/hagw/examples/site-{name}.yaml"
    proc = lab.call([tree / "usr/bin/hactl", "-f", path, "-N", node, "check"],
                    check=False)
    assert proc.returncode == 0 and proc.stderr == "", proc


@pytest.fixture(scope="module")
def box():
    """One gateway of the pair, alone."""
    with lab.NatPair(advertise="100ms") as pair:
        yield pair.gateways[0]


def test_init_script(tree, box):
    """start, status, reload, stop, with the exit codes of the LSB."""
    defaults = box.lab.dir / "default"
    defaults.write_text(f"prefix={tree}/usr\n"
                        f"HAGW_RUNDIR={box.rundir}\n"
                        f"HAGWD_OPTS='-f {box.site} -N {box.name}'\n")

    def script(word, code=0):
        proc = box.run(["sh", "-c", 'umask 077; exec "$@"', "sh", "env",
                        f"HAGW_DEFAULTS={defaults}", "PATH=/usr/sbin:"
                        "/usr/bin:/sbin:/bin", tree / "etc/init.d/hagw",
                        word], check=False, timeout=40)
        assert proc.returncode == code, (word, proc)
        return proc.stdout + proc.stderr

    assert "not running" in script("status", 3)
    box.rundir.rmdir()
    script("start")
    # for the group hagw, whatever the umask of who starts it
    assert {path.name: stat.filemode(path.stat().st_mode) for path in
            (box.rundir, box.rundir / "empty", box.rundir / "hagwd.pid",
             box.sock)} == {
                 box.rundir.name: "drwxr-xr-x", "empty": "dr-xr-xr-x",
                 "hagwd.pid": "-rw-r--r--", "hagw.sock": "srw-rw----"}
    assert box.sock.group() == "hagw"
    pid = int((box.rundir / "hagwd.pid").read_text())
    assert pathlib.Path(f"/proc/{pid}/exe").resolve() == \
        tree / "usr/sbin/hagwd"
    assert str(pid) in script("status")
    script("start")  # again: success, and still the same one
    assert int((box.rundir / "hagwd.pid").read_text()) == pid
    lab.wait_for("master", box.is_master, 10)

    def hactl(*words):
        return box.run([tree / "usr/bin/hactl", "-s", box.sock, *words])
    assert "MASTER" in hactl("show", "summary").stdout
    before = box.site.read_text()
    box.site.write_text(before.replace("site: nat-pair", "site: renamed"))
    script("reload")
    assert "renamed" in hactl("show", "summary").stdout
    box.site.write_text(before.replace("vrid: 10", "vrid: x"))
    assert "error" in script("reload", 2)
    box.site.write_text(before)
    script("restart")
    assert int((box.rundir / "hagwd.pid").read_text()) != pid
    lab.wait_for("master", box.is_master, 10)
    script("stop")
    assert box.holds() == set()
    assert box.pids() == []
    script("status", 3)
    script("stop")
    box.site.write_text(before.replace("vrid: 10", "vrid: x"))
    assert "error" in script("start", 1)  # once: it is not tried again
    assert box.pids() == []
    script("status", 3)
    script("nonsense", 2)
