"""Fixtures and manners of the integration tests."""
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import lab  # noqa: E402

LIMIT_S = 150  # of one test, its fixtures included


def _interrupt(_signum, _frame):
    raise KeyboardInterrupt


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): instead of the "
                                       "usual limit of a test")
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    marker = item.get_closest_marker("limit")
    limit = marker.args[0] if marker else LIMIT_S

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
