"""python3 -m regress.bench [--repeat N] [--scale X] [--only SYSTEM] [ROW ...]

Without rows: all of them. Raw figures go to build/bench, the table to
regress/bench/RESULTS.md. No figure makes this fail; a lab that does not
work does.
"""
import argparse
import json
import os
import sys
import time

from ..lab.core import LabError, call, handle_signals, raise_limits
from . import report
from .rows import ROWS
from .table import Context, attempt
from .systems import ROOM, TITLES, Cache, Hagw, Inject


def keep_configurations():
    """One of each, in full, for RESULTS.md."""
    for system_class in (Hagw, Inject, Cache):
        names = {"site.yaml": "hagw-site.yaml.conf"}
        try:
            with system_class("100ms") as system:
                for name, text in system.configuration().items():
                    text = text.replace(str(system.lab.dir), "/run/lab")
                    if system_class is not Hagw and name[0] == "c":
                        name = f"{system_class.name}-{name}"
                    (report.RAW / names.get(name, name)).write_text(text)
        except LabError as e:
            print(f"configuration of {system_class.name}: {e}",
                  file=sys.stderr)


def one_by_one(spec, classes, repeat, ctx):
    samples = {c.name: [] for c in classes}
    for _ in range(repeat):
        for system_class in classes:
            samples[system_class.name].append(attempt(
                system_class.name, spec.function, system_class, ctx))
    return samples


def run(spec, args, ctx):
    print(f"{spec.name}: {spec.title}", flush=True)
    load = os.getloadavg()[0]
    repeat = args.repeat or spec.repeat
    classes = [c for c in spec.systems
               if not args.only or c.name in args.only]
    if spec.together:
        samples = spec.function(classes, repeat, ctx)
    else:
        samples = one_by_one(spec, classes, repeat, ctx)
    result = {
        "row": spec.name, "scale": ctx.scale, "load": round(load, 2),
        "when": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "build": call(["git", "-C", report.TOP, "rev-parse", "--short",
                       "HEAD"]).stdout.strip(),
        "samples": {k: v for k, v in samples.items() if v},
    }
    if args.scratch:
        print(report.row_text(spec.name, result))
        return
    (report.RAW / f"{spec.name}.json").write_text(
        json.dumps(result, indent=1))
    report.write()
    print(report.row_text(spec.name, result), flush=True)


def main():
    parser = argparse.ArgumentParser(prog="regress.bench")
    parser.add_argument("--repeat", type=int)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", action="append", choices=list(TITLES))
    parser.add_argument("--scratch", action="store_true",
                        help="print only, keep nothing")
    parser.add_argument("rows", nargs="*")
    args = parser.parse_args()
    unknown = [name for name in args.rows if name not in ROWS]
    if unknown:
        parser.error(f"no row {unknown}; there are: {' '.join(ROWS)}")
    handle_signals()
    raise_limits(ROOM)
    report.RAW.mkdir(parents=True, exist_ok=True)
    if not args.scratch:
        keep_configurations()
    for name in args.rows or ROWS:
        run(ROWS[name], args, Context(args.scale))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        sys.exit(1)
