"""Three real nodes on loopback, as `gitstratum dev` configures them, each a process of its own."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import tomllib

PATIENCE_SECONDS = 60
NODES = ["n1", "n2", "n3"]


class Broken(Exception):
    """Something is not as it should be; says what."""


def outside_environment():
    """The environment, without what would configure nodes and commands."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GITSTRATUM_")}


def setting(text, table, name, value):
    """A configuration with another value of what `dev` wrote there."""
    changed, count = re.subn(rf"(\[{table}\][^\[]*?\b{name} = )[^\n]+", rf"\g<1>{value}", text, count=1)
    if count != 1:
        raise Broken(f"the configuration has no {table}.{name}")
    return changed


class DevCluster:
    """A cluster in a directory, whose processes end with this one."""

    def __init__(self, program, directory, configure=lambda text: text, options=()):
        """Makes it, changes the configuration of each node by `configure`, and starts the nodes."""
        self.program, self.directory = program, directory
        self.data = directory / "cluster"
        self.processes = {}
        # `dev` takes no such settings: it makes the cluster, ends, and the nodes begin without it.
        self.made = self.make(options)
        for node in NODES:
            self.config(node).write_text(configure(self.config(node).read_text()))
        for node in NODES:
            self.serve(node)

    def make(self, options):
        """Has `dev` make the cluster; what it said to whoever would use it."""
        path = self.directory / "dev.log"
        with open(path, "wb") as log:
            process = subprocess.Popen(
                [self.program, "dev", "--data", self.data, *options], stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True, env=outside_environment(),
            )
        until = time.monotonic() + PATIENCE_SECONDS
        try:
            while "The cluster runs" not in path.read_text(errors="replace"):
                if process.poll() is not None or time.monotonic() > until:
                    raise Broken(f"the cluster did not start: {path.read_text(errors='replace')}")
                time.sleep(0.05)
        finally:
            end(process)
        return path.read_text(errors="replace")

    def config(self, node):
        return self.data / node / "config.toml"

    def settings(self, node="n1"):
        return tomllib.loads(self.config(node).read_text())

    def serve(self, node):
        """Starts a node that does not run."""
        with open(self.directory / f"{node}.log", "ab") as log:
            self.processes[node] = subprocess.Popen(
                [self.program, "serve", "--while-stdin-is-open", "--config", self.config(node)],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log, env=outside_environment(),
            )

    def kill(self, *nodes):
        """Ends nodes at once."""
        for node in nodes:
            self.processes[node].kill()
        for node in nodes:
            self.processes[node].wait()

    def signal(self, node, number):
        self.processes[node].send_signal(number)

    def start_empty(self, node):
        """Starts a node that has lost its disk."""
        shutil.rmtree(pathlib.Path(self.settings(node)["data"]))
        subprocess.run([self.program, "init", "--config", self.config(node)], check=True,
                       stdout=subprocess.DEVNULL, env=outside_environment())
        self.serve(node)

    def end(self):
        """Ends all of it."""
        for process in self.processes.values():
            end(process)


def end(process):
    """Ends a process that this one started, and waits for that."""
    if process.poll() is not None:
        return
    process.terminate()
    # One that was stopped does not see it.
    process.send_signal(signal.SIGCONT)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
