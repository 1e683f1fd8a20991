"""The demo, as "make demo" runs it, and what is left when it is stopped."""
import signal
import subprocess
import sys
import time

import lab
from lab.core import entries, namespaces

DEMO = [sys.executable, "-m", "regress.lab.demo"]
STEPS = ("everything is well", "planned failover", "failback",
         "crash of nat1", "nat1 returns", "crash of nat2", "nat2 returns")


def test_demo():
    """Exit 0, in less than two minutes, no flow lost at any step."""
    proc = subprocess.run(DEMO, cwd=lab.TOP, text=True, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    assert proc.returncode == 0, proc.stdout
    for step in STEPS:
        rows = [line for line in proc.stdout.splitlines()
                if f"s {step}" in line]
        assert len(rows) == 1, proc.stdout
        assert " 300    0 " in rows[0], rows


def test_demo_cleans_up_when_interrupted():
    before = {entry["run"] for _, entry in entries()}
    proc = subprocess.Popen(DEMO, cwd=lab.TOP, text=True,
                            stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT,
                            preexec_fn=lab.core.take_signals)
    for line in proc.stdout:
        if "everything is well" in line:
            break
    mine = {entry["run"] for _, entry in entries()
            if entry["pid"] == proc.pid} - before
    assert len(mine) == 1
    time.sleep(2)  # amid the failover
    proc.send_signal(signal.SIGINT)
    assert proc.wait(20) == 130
    proc.stdout.close()
    assert namespaces(mine.pop()) == []
