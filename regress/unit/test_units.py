"""Runs each unit test program (cmocka, ASan and UBSan) as one test."""
import os
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
SOURCES = sorted(p.stem for p in (TOP / "regress/unit").glob("test_*.c"))


@pytest.mark.parametrize("name", SOURCES)
def test_unit(name):
    program = TOP / "build/san/unit" / name
    assert program.exists(), f"{program} is not built: make SAN=1 unit-bins"
    done = subprocess.run([str(program)], cwd=TOP, timeout=300,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, "UBSAN_OPTIONS":
                               "print_stacktrace=1:halt_on_error=1"})
    output = done.stdout.decode(errors="replace")
    assert done.returncode == 0, output[-8000:]
