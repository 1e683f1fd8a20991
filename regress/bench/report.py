"""Figures as a table: medians, spread, ratio, goals."""
import json
import platform
import re
import statistics
import subprocess

from ..lab.core import TOP, call
from .rows import ROWS
from .systems import TITLES

BUSY = 1.0  # load average before a row
RAW = TOP / "build" / "bench"
RESULTS = TOP / "regress" / "bench" / "RESULTS.md"


def number(value):
    if value is None:
        return "–"
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.4f}"


def values(result, system, key):
    return [s[key] for s in result["samples"].get(system, [])
            if s.get(key) is not None]


def cell(found):
    if not found:
        return "–"
    text = number(statistics.median(found))
    if len(found) > 1 and min(found) != max(found):
        text += f" ({number(min(found))}–{number(max(found))})"
    return text


def goal_text(goal, metric):
    sign = "≥" if goal.least else "≤"
    if goal.of:
        return f"{sign} {goal.limit:g} × {TITLES[goal.of]}"
    unit = f" {metric.unit}" if metric.unit else ""
    return f"{sign} {number(goal.limit)}{unit}"


def ratio(result, key, of="inject"):
    """To another system, or None. The median of the repetitions' own: the
    two of one ran one after the other, the machine changes by the minute."""
    pairs = zip(result["samples"].get("hagw", []),
                result["samples"].get(of, []))
    found = [own[key] / other[key] for own, other in pairs
             if own.get(key) is not None and other.get(key)]
    return statistics.median(found) if found else None


def met(goal, result, key):
    """True, False, or None when there is nothing to compare."""
    own = values(result, "hagw", key)
    if not own:
        return None
    if goal.of:
        value = ratio(result, key, goal.of)
    elif goal.worst:
        value = min(own) if goal.least else max(own)
    else:
        value = statistics.median(own)
    if value is None:
        return None
    return value >= goal.limit if goal.least else value <= goal.limit


def verdict(metric, result):
    parts = []
    for goal in metric.goals:
        ok = met(goal, result, metric.key)
        word = {True: "PASS", False: "**MISS**", None: "–"}[ok]
        parts.append(f"{goal_text(goal, metric)}: {word}")
    return "; ".join(parts)


def tables(result):
    """What the comparisons of the kernels' tables at each end said."""
    lines = []
    for system, samples in result["samples"].items():
        said = [s["tables"] for s in samples if "tables" in s]
        if not said:
            continue
        bad = [t for t in said if t != "equal"]
        text = f"{len(said) - len(bad)} of {len(said)} equal"
        lines.append(f"{TITLES[system]}: {text}" +
                     (f" ({bad[0]})" if bad else ""))
        lost = [s["losses"] for s in samples if s.get("losses")]
        if lost:
            lines.append(f"{TITLES[system]} counted {lost[0]}")
    return lines


def uncounted(result):
    """Attempts that gave no figures, and why."""
    why = [f"{TITLES[system]}: {s[key].splitlines()[0]}"
           for system, samples in result["samples"].items()
           for s in samples for key in ("failed", "error") if key in s]
    return [f"Not counted, and made once more: {'; '.join(why)}."] if why \
        else []


def row_text(name, result):
    spec = ROWS[name]
    systems = list(result["samples"])
    head = ["", *[TITLES[s] for s in systems]]
    if "inject" in systems:
        head.append("ratio")
    head.append("goal")
    lines = [f"### {name}: {spec.title}", "", "| " + " | ".join(head) + " |",
             "|" + "---|" * len(head)]
    for metric in spec.metrics:
        unit = f", {metric.unit}" if metric.unit else ""
        cells = [metric.title + unit]
        cells += [cell(values(result, s, metric.key)) for s in systems]
        if "inject" in systems:
            found = ratio(result, metric.key)
            cells.append("" if found is None else f"{found:.2f}")
        cells.append(verdict(metric, result))
        lines.append("| " + " | ".join(cells) + " |")
    runs = ", ".join(
        f"{TITLES[s]} {sum('error' not in x for x in result['samples'][s])}"
        for s in systems)
    paired = " Ratios: medians of the repetitions' own." \
        if "inject" in systems else ""
    lines += ["", " ".join(spec.note.split()) + paired +
              f" Repetitions: {runs}; {result['when']}, load before "
              f"{result['load']}, scale {result['scale']:g}, "
              f"build {result['build']}."]
    if result["load"] > BUSY:
        lines.append("The machine was not quiet: CPU and tails are high.")
    lines += uncounted(result)
    compared = tables(result)
    if compared:
        lines.append("Tables of both kernels at the end: " +
                     "; ".join(compared) + ".")
    return "\n".join(lines) + "\n"


def version(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()[0].strip()


def machine():
    cpu = re.search(r"model name\s*:\s*(.*)",
                    open("/proc/cpuinfo", encoding="ascii").read())
    mem = re.search(r"MemTotal:\s*(\d+)",
                    open("/proc/meminfo", encoding="ascii").read())
    cores = call(["nproc"]).stdout.strip()
    return [
        f"{cores} cores of {cpu.group(1) if cpu else platform.machine()}, "
        f"{int(mem.group(1)) // 1024} MB of memory",
        f"Linux {platform.release()}",
        "hagw of this tree: " + version(
            "git", "-C", TOP, "log", "-1", "--format=%h %s"),
        version("keepalived", "--version"),
        version("conntrackd", "--version"),
    ]


INTRO = """\
# hagw measured beside keepalived and conntrackd

Written by `make bench`; one row by `make bench-NAME`. Both systems run on
the same lab (network namespaces on one machine: two gateways, a client on
each side, a cable for the flows), in turn: one repetition of each, then the
next. Each repetition has a lab of its own, but where a row says that there are
pieces of a second or so in turn. A figure is the median, with the least and the
most. PASS and MISS compare with goals; they are no test.

Both gateways, the clients, the load and the measuring share the machine's
cores: a rate is that of all of them together. CPU time is that of perf's
task-clock, of the named processes with their children; NOTES.md says why not
the scheduler's own account.

The rivals are configured to do their best (in full below): FTFW, large
buffers and hashes, reliable events, filter in the kernel, real-time priority
for both, keepalived unable to be swapped out. conntrackd keeps foreign state
in two ways, and both are measured: in a cache that is committed at takeover
(`DisableExternalCache Off`), and by injection into the kernel (`On`), which
is what hagw does. PurgeTimeout is 1 s (60 by default), so that the purge its
own script orders at start is over before a measurement begins.
"""


def write():
    results = {}
    for path in RAW.glob("*.json"):
        result = json.loads(path.read_text())
        if result["row"] in ROWS:
            results[result["row"]] = result
    text = [INTRO, "## Machine and versions\n",
            "\n".join(f"- {line}" for line in machine()), "\n## Figures\n"]
    text += [row_text(name, results[name]) for name in ROWS
             if name in results]
    text.append("## Configurations\n")
    for path in sorted(RAW.glob("*.conf*")):
        text.append(f"{path.name}:\n\n```\n{path.read_text()}```\n")
    RESULTS.write_text("\n".join(text))
