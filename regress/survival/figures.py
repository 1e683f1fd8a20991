"""The report: what the runs of the survival tests measured.

Each test replaces the section of its own. The full form writes
regress/RELIABILITY.md, the short one a file in the build directory.
"""
import datetime
import os
import re
import subprocess

import lab

HEAD = """\
# Reliability

Written by `make proof` and `make soak`, not by hand. Two gateways in network
namespaces of one machine; what a fault cost is measured from outside: TCP
flows on which the server talks every 20 ms, a UDP probe each millisecond,
the addresses of both hosts looked up each millisecond.
"""


def _commit():
    proc = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"],
                          cwd=lab.TOP, capture_output=True, text=True,
                          check=False)
    return proc.stdout.strip() or "unknown"


def _where(seconds):
    when = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    return (f"{when}, commit {_commit()}, Linux {os.uname().release}, "
            f"{os.cpu_count()} processors, {seconds:.0f} s.")


def _cell(value):
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def table(rows):
    """Rows (dictionaries with the same keys) as a table."""
    keys = list(rows[0])
    lines = ["| " + " | ".join(keys) + " |",
             "|" + "|".join("---" for _ in keys) + "|"]
    lines += ["| " + " | ".join(_cell(row[k]) for k in keys) + " |"
              for row in rows]
    return "\n".join(lines)


def record(title, body, seconds, full):
    """Replace the section of this title, or add it."""
    path = (lab.TOP / "regress" if full else lab.BUILD) / "RELIABILITY.md"
    text = path.read_text() if path.exists() else HEAD
    section = f"## {title}\n\n{body.strip()}\n\n{_where(seconds)}\n"
    old = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.M | re.S)
    if old.search(text):
        text = old.sub(lambda _: section + "\n", text)
    else:
        text = text.rstrip("\n") + "\n\n" + section
    path.write_text(text.rstrip("\n") + "\n")
