"""A place of its own for the machines: namespaces, a directory and a group of processes, all of which are
gone when it ends, however it ends.

Network, mounts, processes and names are the kernel's namespaces of one process, which is the first of
them: with it the kernel ends all processes, mounts and links. What is left for `Place.end` is the
directory and the control groups.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

NAMESPACES = ["--mount", "--propagation", "private", "--net", "--ipc", "--uts", "--pid", "--fork",
              "--kill-child", "--mount-proc"]
TOOLS = {
    "unshare": "util-linux", "nsenter": "util-linux", "setpriv": "util-linux", "ip": "iproute2",
    "systemd-nspawn": "systemd-container", "debootstrap": "debootstrap", "dpkg-deb": "dpkg",
}
ENDING_SECONDS = 30


class Broken(Exception):
    """What is not as it should be."""


def groups():
    """Where control groups of version 2 are, or nothing: systemd in a machine takes no others."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2" and os.access(where, os.W_OK):
            return pathlib.Path(where)
    return None


def lacks():
    """What this machine lacks for it, in words."""
    if os.geteuid() != 0:
        return ["it wants root, for namespaces and mounts; nothing outside of its own is changed"]
    missing = [f"{tool} (apt install {package})" for tool, package in TOOLS.items()
               if not shutil.which(tool)]
    if missing:
        return [f"not installed: {', '.join(missing)}"]
    tried = subprocess.run(["unshare", *NAMESPACES, "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        return [f"namespaces cannot be made here: {tried.stderr.strip()}"]
    if not groups():
        return ["no cgroup2 file system can be written here"]
    return []


def end_group(group):
    """Ends what is in a control group, and removes it with those below it."""
    if not group.exists():
        return
    until = time.monotonic() + ENDING_SECONDS
    while True:
        try:
            (group / "cgroup.kill").write_text("1")
            for below in sorted(group.rglob("*/"), key=lambda path: len(path.parts), reverse=True):
                if below.is_dir():
                    below.rmdir()
            group.rmdir()
            return
        except OSError:
            # Its processes are still on their way out.
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


class Place:
    """The directory and the control group of one run."""

    def __init__(self, parent):
        pathlib.Path(parent).mkdir(parents=True, exist_ok=True)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="three-machines-", dir=parent))
        self.group = groups() / f"three-machines-{os.getpid()}"
        self.group.mkdir()

    def run(self, arguments):
        """Runs this program again within, and returns its exit code."""
        # A signal ends this process by way of `end`.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        inside = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES, sys.executable, sys.argv[0],
             "--inside", self.directory, self.group, *arguments]
        )
        try:
            return inside.wait()
        finally:
            if inside.poll() is None:
                inside.kill()
                inside.wait()

    def end(self):
        end_group(self.group)
        shutil.rmtree(self.directory)


def settle_in():
    """What the first process within does first: state of programs is kept where it ends with them."""
    for command in (["mount", "-t", "tmpfs", "tmpfs", "/run"], ["ip", "link", "set", "lo", "up"],
                    ["ip", "link", "add", "lan", "type", "bridge"],
                    ["ip", "address", "add", "10.77.0.254/24", "dev", "lan"],
                    ["ip", "link", "set", "lan", "up"]):
        subprocess.run(command, check=True)
