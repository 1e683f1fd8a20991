"""A gateway with an installation tree of its own, to break it."""
import os
import shutil

import lab
from lab.core import TOOLS
from world import CHILDREN


class TreeGateway(lab.Gateway):
    """hagwd and its children as copies; each child may be made to fail."""

    def __init__(self, lab_, name):
        super().__init__(lab_, name)
        self.tree = lab_.dir / f"tree-{name}"
        self.children_dir = self.tree / "libexec" / "hagw"
        real = self.tree / "libexec" / "real"
        for path in (self.tree / "sbin", self.children_dir, real):
            path.mkdir(parents=True)
        shutil.copy(lab.HAGWD, self.tree / "sbin" / "hagwd")
        for child in CHILDREN:
            shutil.copy(lab.BUILD / "libexec" / "hagw" / child, real / child)
            shutil.copy(TOOLS / "crasher", self.children_dir / child)
            self.mode(child, "run")
        self.env = None

    def mode(self, child, text):
        """What the child does the next time it is started."""
        part = self.children_dir / f".{child}.part"
        part.write_text(text + "\n")
        part.rename(self.children_dir / f"{child}.mode")

    def argv(self, *extra):
        return [self.tree / "sbin" / "hagwd", *super().argv(*extra)[1:]]

    def start_hagwd(self, *extra, wait=True):
        env = None if self.env is None else {**os.environ, **self.env}
        self.hagwd = self.start(self.argv(*extra), "hagwd", env=env)
        if wait:
            lab.wait_for(f"{self.name}: hagwd answers", self.answers, 10,
                         0.05)
