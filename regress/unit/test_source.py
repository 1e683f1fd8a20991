"""The source keeps its own rules: format, lint, manuals, shell."""
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def run(*argv):
    done = subprocess.run(argv, cwd=TOP, timeout=600, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-6000:]


def test_format():
    run("make", "-s", "check-format")


def test_clang():
    run("make", "-s", "check-clang")


def test_lint():
    run("make", "-s", "lint")


def test_manuals():
    run("mandoc", "-Tlint", "-W", "warning", "etc/hagwd.8", "etc/hactl.8",
        "build/hagw-site.5")


def test_shell():
    for script in ("etc/hagw.init", "etc/install-deps.sh",
                   "etc/make-users.sh", ".ci/run"):
        run("sh", "-n", script)
