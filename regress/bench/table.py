"""What a row of the table is, and how one repetition of it is taken."""
import dataclasses
import json
import time

from ..lab.core import LabError
from .systems import Hagw, Inject

ROWS = {}


@dataclasses.dataclass
class Goal:
    """At most (or least) so much: absolutely, or times another system."""
    limit: float
    of: str = ""      # "": the value itself; else this system's median
    least: bool = False
    worst: bool = False  # of all repetitions, not the median


@dataclasses.dataclass
class Metric:
    key: str
    title: str
    unit: str = ""
    goals: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Row:
    name: str
    title: str
    metrics: list
    systems: list
    function: object
    repeat: int = 5
    note: str = ""
    together: bool = False


def row(name, title, metrics, systems=(Hagw, Inject), repeat=5,
        together=False):
    """together: the function measures all systems itself, in short pieces
    in turn, each on a lab of its own that is there all the while; the
    others give one repetition of one system."""
    def register(function):
        ROWS[name] = Row(name, title, metrics, list(systems), function,
                         repeat, (function.__doc__ or "").strip(), together)
        return function
    return register


class Context:
    """Sizes of this run: all of them shrink with the scale."""

    def __init__(self, scale=1.0):
        self.scale = scale

    def n(self, count, least=200):
        return max(int(count * self.scale), min(count, least))

    def s(self, seconds, least=1.0):
        return max(seconds * self.scale, least)


def attempt(name, function, *args):
    """A sample, shown; of what fails the cause, and it is tried again."""
    sample = {}
    for _ in range(2):
        start = time.monotonic()
        before = {"failed": sample["error"]} if "error" in sample else {}
        try:
            sample = {**function(*args), **before}
        except LabError as e:
            sample = {"error": str(e)[:300], **before}
        sample["took_s"] = round(time.monotonic() - start, 1)
        shown = {k: round(v, 3) if isinstance(v, float) else v
                 for k, v in sample.items()}
        print(f"  {name:8} {json.dumps(shown)}", flush=True)
        if "error" not in sample:
            break
    return sample


def checked(system, sample, wait=5, only=""):
    """Every measurement ends with the comparison of both tables."""
    difference = system.tables(wait, only)
    sample["tables"] = difference or "equal"
    for key, value in system.losses().items():
        if value:
            sample.setdefault("losses", {})[key] = value
    return sample


def in_turn(systems, turn):
    """Each one comes first as often as the others."""
    at = turn % len(systems)
    return systems[at:] + systems[:at]
