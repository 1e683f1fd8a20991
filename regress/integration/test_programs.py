"""What hactl and hagwd say by themselves: no daemon runs, no lab is built."""
import json
import os
import subprocess

import pytest

from lab.gateway import HACTL, HAGWD, new_key

# On this host lo is there; the other interface is not.
SITE = """\
site: office
nodes:
  gw-1: { priority: 100 }
networks:
  lan:
    interface: lo
    address: { gw-1: 10.0.0.2/24 }
    vip: 10.0.0.1
    vrid: 1
  wan:
    interface: eht1
    address: { gw-1: 192.0.2.2/24 }
    vip: 192.0.2.1
    vrid: 2
ha:
  networks: [lan, wan]
"""
NO_LINK = "this host has no interface eht1: until it has, gw-1 is in FAULT"


def run(*argv, name="elsewhere"):
    """A program on a host of another name; exit code, stdout, stderr."""
    argv = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"',
            name, *map(str, argv)]
    proc = subprocess.run(argv, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=20,
                          check=False)
    return proc.returncode, proc.stdout, proc.stderr


@pytest.fixture
def site(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    return path


@pytest.fixture
def synced(site, tmp_path):
    """The site with a sync block, and the key it names."""
    key = new_key(tmp_path / "sync.key")
    site.write_text(f"{SITE}sync:\n  over: [lan]\n  key_file: {key}\n")
    return site, key


def test_check_warns_of_a_missing_interface(site):
    """A misspelt name is found before the node is in FAULT for it."""
    for words in ((), ("-N", "gw-1")):
        code, out, err = run(HACTL, "-f", site, *words, "check", name="gw-1")
        assert code == 0 and "ok, for node gw-1" in out
        assert f"{site}:11:16: warning: {NO_LINK}" in err
        assert "interface lo" not in err and "1 warning\n" in err
    code, out, _ = run(HACTL, "-j", "-f", site, "check", name="gw-1")
    found = json.loads(out)
    assert code == 0 and found["ok"] and found["warnings"] == 1
    assert found["messages"][0]["text"].startswith(NO_LINK)


def test_check_for_another_host(site):
    """Its interfaces are not those of the host the file is checked on."""
    code, out, err = run(HACTL, "-f", site, "-N", "gw-1", "check")
    assert (code, err) == (0, "") and "ok, for node gw-1" in out
    code, out, err = run(HACTL, "-f", site, "check")
    assert (code, err) == (0, "") and "ok, for the site" in out


def test_check_for_another_host_asks_for_no_key(synced):
    """It is there, not here."""
    site, key = synced
    key.unlink()
    for words in (("-N", "gw-1"), ()):
        code, out, _ = run(HACTL, "-f", site, *words, "check")
        assert code == 0 and "key file was not read (another host's)" in out
        code, out, _ = run(HACTL, "-j", "-f", site, *words, "check")
        assert code == 0 and json.loads(out)["key_error"] is None
    code, _, err = run(HACTL, "-f", site, "check", name="gw-1")
    assert code == 2 and f"{key}: no such key" in err


# What -n, and a start, find the node's name in.
NODE = pytest.mark.parametrize("words, name", [
    ((), "gw-1"), (("-N", "gw-1"), "elsewhere")])


@NODE
def test_hagwd_warns_once(synced, words, name):
    site, _ = synced
    code, out, err = run(HAGWD, "-n", "-f", site, *words, name=name)
    assert (code, out) == (0, f"{site}: configuration ok\n")
    assert err.count("sync has nobody to talk to") == 1
    assert err.count("1 warning\n") == 1


@NODE
def test_hagwd_names_an_error_once(site, words, name):
    site.write_text(SITE + "sync:\n  over: [lam]\n")
    code, out, err = run(HAGWD, "-n", "-f", site, *words, name=name)
    assert (code, out) == (2, "")
    assert err.count("lam") == 2 and err.count(": error: ") == 1


def test_hagwd_on_a_host_that_is_none_of_the_nodes(site):
    """As a start there: refused, with what to do about it."""
    code, out, err = run(HAGWD, "-n", "-f", site)
    assert (code, out) == (2, "")
    assert 'node "elsewhere" is not in nodes: (gw-1)' in err
    assert "name it with -N or in /etc/hagw/node" in err
    assert run(HAGWD, "-d", "-f", site, "-r", site.parent / "run") == \
        (code, out, err)


@pytest.mark.parametrize("how, message", [
    ("missing", "no such key"), ("mode", "mode 0644, must be 0600"),
    ("short", "must hold 32 bytes")])
def test_hagwd_with_a_bad_key(synced, how, message):
    """-n says what a start would."""
    site, key = synced
    if how == "missing":
        key.unlink()
    elif how == "mode":
        key.chmod(0o644)
    else:
        key.write_bytes(b"short")
    words = ("-f", site, "-N", "gw-1", "-r", site.parent / "run")
    said = [run(HAGWD, way, *words) for way in ("-n", "-d")]
    for code, out, err in said:
        assert (code, out) == (2, "") and f"{key}: {message}" in err
    # but for the time of day
    assert len({err.splitlines()[-1].split(" ", 1)[1]
                for _, _, err in said}) == 1
    assert not (site.parent / "run").exists()


def test_hagwd_without_root(synced):
    """The key is root's: that it was not read is said, no more."""
    site, key = synced
    key.unlink()
    with open(site, encoding="utf-8") as text:
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
             HAGWD, "-n", "-f", f"/dev/fd/{text.fileno()}", "-N", "gw-1"],
            pass_fds=[text.fileno()], capture_output=True, text=True,
            timeout=20, check=False)
    assert done.returncode == 0, done
    assert done.stdout.endswith("configuration ok; the key file was not read "
                                "(not root)\n")


def to_journal(*argv):
    """What a program that systemd started writes into the journal."""
    end, stderr = os.pipe()
    at = os.fstat(stderr)
    with open(end, encoding="utf-8") as journal:
        subprocess.run([HAGWD, *argv], stderr=stderr, timeout=20, check=False,
                       env={"JOURNAL_STREAM": f"{at.st_dev}:{at.st_ino}"})
        os.close(stderr)
        return journal.read()


def test_hagwd_under_systemd(synced):
    """Every line has a priority, those of a refused site file too."""
    site, key = synced
    words = ("-d", "-f", site, "-N", "gw-1", "-r", site.parent / "run")
    key.unlink()
    said = to_journal(*words)
    assert f"\n<2>{key}: no such key" in said
    site.write_text(SITE + "sync:\n  over: [lam]\n")
    said += to_journal(*words)
    assert f"<4>{site}:18:10: error: " in said and "<4>1 error, " in said
    assert all(line[0] == "<" and line[2] == ">"
               for line in said.splitlines())


def test_hagwd_for_a_node_that_is_not_there(site):
    code, out, err = run(HAGWD, "-n", "-f", site, "-N", "gw-9")
    assert (code, out) == (2, "")
    assert err.count('node "gw-9" is not in nodes') == 1


def as_json(*words):
    """What hactl says where no hagwd runs: exit code and one object."""
    code, out, err = run(HACTL, "-j", "-s", "/nonexistent/sock", *words)
    assert err == ""
    return code, json.loads(out)


@pytest.mark.parametrize("words", ["failover", "failback", "reload",
                                   "monitor", "show sync"])
def test_json_of_a_failure(words):
    """A script finds the exit code and the reason in the same keys."""
    code, found = as_json(*words.split())
    assert code == 3
    assert found["schema"] == 1 and found["command"] == words
    assert found["code"] == 3 and "result" not in found
    assert found["error"].startswith("no answer from hagwd")


def test_json_of_monitor_is_a_line():
    _, out, _ = run(HACTL, "-j", "-s", "/nonexistent/sock", "monitor")
    assert out.count("\n") == 1 and out.endswith("}\n")


def test_json_of_version():
    code, found = as_json("version")
    assert code == 0 and found["hagwd"] is None
    assert found["error"].startswith("no answer from hagwd")
