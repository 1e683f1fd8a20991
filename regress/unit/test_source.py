"""The source keeps its own rules: format, lint, manuals, shell."""
import shutil
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def run(*argv):
    done = subprocess.run(argv, cwd=TOP, timeout=600, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-6000:]


def test_format():
    run("make", "-s", "check-format")


def test_lint():
    run("make", "-s", "lint")


def test_manuals():
    run("mandoc", "-Tlint", "-W", "warning", "etc/hagwd.8", "etc/hactl.8",
        "build/hagw-site.5")


def test_shell():
    for script in ("etc/hagw.init", "etc/install-deps.sh",
                   "etc/make-users.sh", ".ci/run"):
        run("sh", "-n", script)


def test_unit_file(tmp_path):
    assert shutil.which("systemd-analyze"), "make deps installs systemd"
    unit = (TOP / "etc/hagw.service").read_text()
    # verify looks for the programs and pages it names
    prefix = tmp_path / "usr"
    run("make", "-s", "install", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    unit = unit.replace("@PREFIX@", str(prefix))
    unit = "\n".join(line for line in unit.splitlines()
                     if not line.startswith("Documentation="))
    path = tmp_path / "hagw.service"
    path.write_text(unit)
    run("systemd-analyze", "verify", "--man=no", str(path))
