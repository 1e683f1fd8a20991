"""Fixtures and manners of the survival tests."""
import pathlib
import signal
import sys

import pytest

REGRESS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REGRESS), str(pathlib.Path(__file__).resolve().parent)]

import lab  # noqa: E402

LIMIT_S = 120
FULL_LIMIT_S = 3600


def _interrupt(_signum, _frame):
    raise KeyboardInterrupt


def pytest_configure(config):
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    limit = FULL_LIMIT_S if item.config.getoption("--full") else LIMIT_S

    def late(_signum, _frame):
        raise TimeoutError(f"the test took more than {limit} s")
    signal.signal(signal.SIGALRM, late)
    signal.alarm(limit)
    yield
    signal.alarm(0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for each in lab.open_labs():
            report.sections.append((f"logs of lab {each.run}",
                                    each.logs(25)))
