"""CPU, memory and bytes of named processes and interfaces; statistics."""
import pathlib

from ..lab.core import LabError


class Cpu:
    """CPU time in us that sets of processes use from here on."""

    def __init__(self, host, **sets):
        self.tool = host.tool("cputime", *(
            f"{name}={','.join(map(str, pids))}"
            for name, pids in sets.items()))
        self.start = self.tool.read()

    def us(self):
        """Once: a counter is work at each switch of what it counts."""
        now = self.tool.ask("report")
        self.tool.stop()
        return {name: now[name] - self.start[name] for name in now}


def cpu_us(report):
    """What a tool says of itself."""
    if report["cpu_us"] < 0:
        raise LabError("CPU time cannot be counted here: perf_event_open(2) "
                       "is refused")
    return report["cpu_us"]


def rss_mb(pids):
    """Resident memory, shared pages counted for each process."""
    kb = 0
    for pid in pids:
        try:
            text = pathlib.Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        for line in text.splitlines():
            if line.startswith("VmRSS:"):
                kb += int(line.split()[1])
    return kb / 1024


def machine_busy():
    """(busy, total) CPU time of the machine in ticks."""
    fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()
    ticks = [int(f) for f in fields[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


class Busy:
    """Share of all cores in use since here, in percent."""

    def __init__(self):
        self.start = machine_busy()

    def percent(self):
        busy, total = machine_busy()
        return 100 * (busy - self.start[0]) / max(total - self.start[1], 1)


def tx_bytes(host, ifname):
    """Bytes an interface of a host has sent, Ethernet headers included."""
    out = host.run(["cat", "/proc/net/dev"]).stdout
    for line in out.splitlines():
        name, _, rest = line.partition(":")
        if name.strip() == ifname:
            return int(rest.split()[8])
    return 0


def percentile(values, p):
    values = sorted(values)
    return values[min(int(len(values) * p / 100), len(values) - 1)]
