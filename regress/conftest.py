"""What all tests share: how long they may take."""
import pytest


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true",
                     help="every repetition of every fault: hours, not "
                          "minutes")


@pytest.fixture(scope="session")
def full(request):
    """The full form of a test (make proof), or the short one."""
    return request.config.getoption("--full")
