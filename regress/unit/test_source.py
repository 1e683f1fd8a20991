"""The source keeps its own rules: format, lint, manuals, shell."""
import subprocess
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("how", [["make"], ["env", "make"]])
@pytest.mark.parametrize("flag", ["CPPFLAGS=-D_FORTIFY_SOURCE=3",
                                  "CFLAGS=-O2 -D_FORTIFY_SOURCE=3",
                                  "CC=gcc -D_FORTIFY_SOURCE=3"])
def test_flags_of_others(tmp_path, how, flag):
    """A packager's, as word or environment, or built in (Ubuntu's gcc)."""
    run(how[0], flag, *how[1:], "-s", f"B={tmp_path}",
        f"{tmp_path}/obj/common/fmt.o", f"{tmp_path}/obj/common/hagw.o",
        f"{tmp_path}/obj/regress/unit/test_proc.o")


def test_shell():
    for script in ("etc/hagw.init", "etc/install-deps.sh",
                   "etc/make-users.sh", ".ci/run"):
        run("sh", "-n", script)
