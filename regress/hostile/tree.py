"""An installation whose children can be taken over, one attack at a time."""
import os
import re
import shutil
import signal

import lab

CHILDREN = ("vrrpd", "syncd", "natd", "ctld")


class Victim(lab.Gateway):
    """A gateway whose children are hostile when they are told to be."""

    def __init__(self, parent, name):
        super().__init__(parent, name)
        self.tree = parent.dir / f"tree-{name}"
        libexec = self.tree / "libexec" / "hagw"
        (libexec / "real").mkdir(parents=True)
        (self.tree / "sbin").mkdir()
        shutil.copy(lab.HAGWD, self.tree / "sbin" / "hagwd")
        for child in CHILDREN:
            shutil.copy(lab.core.TOOLS / "hostile", libexec / child)
            shutil.copy(lab.BUILD / "libexec" / "hagw" / child,
                        libexec / "real" / child)
        self.scripts = libexec
        self.read = 0

    def argv(self, *extra):
        return [self.tree / "sbin" / "hagwd", *super().argv(*extra)[1:]]

    def attack(self, child, attacks):
        """Have the child replaced by each of the attacks, one by one."""
        path = self.scripts / f"attack.{child}"
        path.write_text("".join(f"{label} {lines}\n"
                                for label, lines, _ in attacks))
        os.kill(self.child(child), signal.SIGKILL)

    def over(self, child):
        """All attacks were made, and the real child runs again."""
        path = self.scripts / f"attack.{child}"
        if path.exists() and path.stat().st_size > 0:
            return False
        pid = self.child(child)
        try:
            return pid is not None and "/real/" in \
                os.readlink(f"/proc/{pid}/exe") and self.runs(child)
        except OSError:
            return False

    def runs(self, child):
        proc = self.hactl("-j", "show", "process", check=False)
        return proc.returncode == 0 and re.search(
            rf'"name": *"{child}"[^}}]*"state": *"running"', proc.stdout)

    def lives(self, child):
        """What was logged of each life of a child, from one death to the
        next; the first is that of the real one.
        """
        found, life = [], []
        for line in self.hagwd.log().splitlines():
            if f" {child}: " in line or f" {child} " in line:
                life.append(line)
            if f"proc: {child} died" in line:
                found.append("\n".join(life))
                life = []
        return found
