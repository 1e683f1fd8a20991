"""Each fuzz target over its whole corpus, and a few seconds beyond it."""
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
FUZZ = TOP / "regress/fuzz"
TARGETS = sorted(p.stem[len("fuzz_"):] for p in FUZZ.glob("fuzz_*.c"))
FOUND = TOP / "build/fuzz/found"
SECONDS = 3
SECONDS_FULL = 60
CORPUS_FILES = 100
CORPUS_BYTES = 200 * 1024


def fuzz(target, seconds):
    """What an earlier run found is in the corpus: repeating a run that
    failed does not make it well."""
    with tempfile.TemporaryDirectory() as corpus:
        for path in FOUND.glob(f"{target}-*"):
            shutil.copy(path, corpus)
        return subprocess.run(
            ["nice", str(TOP / "build/fuzz" / f"fuzz_{target}"),
             f"-max_total_time={seconds}", "-timeout=10",
             "-rss_limit_mb=2048", "-max_len=4096",
             f"-artifact_prefix={FOUND}/{target}-",
             corpus, str(FUZZ / "corpus" / target)],
            cwd=TOP, timeout=300, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ,
                 "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"})


@pytest.fixture(scope="module")
def runs(full):
    """All of them, started at once and two at a time."""
    built = subprocess.run(["make", "-s", "fuzz-bins"], cwd=TOP, timeout=600,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert built.returncode == 0, built.stdout.decode()[-6000:]
    FOUND.mkdir(exist_ok=True)
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {t: pool.submit(fuzz, t, SECONDS_FULL if full else SECONDS)
               for t in TARGETS}


@pytest.mark.parametrize("target", TARGETS)
def test_fuzz(target, runs):
    done = runs[target].result()
    output = done.stdout.decode(errors="replace")
    assert done.returncode == 0, output[-8000:]
    assert "INITED" in output, output[-2000:]


@pytest.mark.parametrize("target", TARGETS)
def test_corpus(target):
    files = list((FUZZ / "corpus" / target).iterdir())
    assert 0 < len(files) <= CORPUS_FILES
    assert sum(f.stat().st_size for f in files) <= CORPUS_BYTES
