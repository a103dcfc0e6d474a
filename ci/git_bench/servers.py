"""The two servers that are measured: a cluster of three nodes, and stock git behind lighttpd."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

from git_clients.support import ENVIRONMENT

START_SECONDS_MAX = 60


class Broken(Exception):
    """A measurement that cannot be had, or found something wrong."""


def git(*arguments, cwd=None, check=True):
    """Runs git; its exit code and what it printed."""
    command = ["git", "-c", "gc.auto=0", "-c", "maintenance.auto=false", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=cwd, env=ENVIRONMENT, text=True, errors="replace", check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    if check and done.returncode != 0:
        raise Broken(f"git {' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}")
    return done.returncode, done.stdout


def timed(*arguments, cwd=None):
    """Seconds that git takes, which must succeed."""
    begun = time.monotonic()
    git(*arguments, cwd=cwd)
    return time.monotonic() - begun


def disk_bytes(directory):
    """Bytes that files take on disk; sparse ones what they have."""
    paths = (path for path in pathlib.Path(directory).rglob("*") if not path.is_symlink())
    return sum(path.stat().st_blocks * 512 for path in paths if path.is_file())


class Cluster:
    """Three nodes as `gitstratum dev` runs them; a node that is killed comes back."""

    name = "gitstratum, 3 nodes"

    def __init__(self, program, directory):
        self.data = directory / "cluster"
        self.log = open(directory / "dev.log", "wb+")
        self.process = subprocess.Popen(
            [program, "dev", "--data", self.data, "--restart"],
            stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True,
        )
        until = time.monotonic() + START_SECONDS_MAX
        while len(self.nodes()) < 3:
            if self.process.poll() is not None or time.monotonic() > until:
                raise Broken(f"the cluster did not start, see {self.log.name}")
            time.sleep(0.1)
        self.peaks = {}

    def nodes(self):
        """Id, URL and pid of each node, as it was started last."""
        said = pathlib.Path(self.log.name).read_text(errors="replace")
        found = re.findall(r"^node (\S+) \S+ git (\S+) pid (\d+)$", said, re.MULTILINE)
        return {node: (url.rstrip("/"), int(pid)) for node, url, pid in found}

    def url(self, name, node="n1"):
        """Where a repository is reached, through one node."""
        return f"{self.nodes()[node][0]}/{name}.git"

    def make(self, name):
        """Nothing: the first push makes it."""

    def kill(self, node):
        """Ends a node's process at once."""
        self.look()
        os.kill(self.nodes()[node][1], signal.SIGKILL)

    def look(self):
        """Notes how much memory each node has had at most, in MB."""
        for node, (_, pid) in self.nodes().items():
            try:
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            peak = int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) // 1024
            self.peaks[node] = max(peak, self.peaks.get(node, 0))

    def stop(self):
        """Ends it cleanly."""
        self.look()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(START_SECONDS_MAX)
        self.log.close()


LIGHTTPD = """
server.document-root = "{root}"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{root}/../lighttpd.log"
server.upload-dirs = ("{uploads}")
server.max-request-size = 0
server.stream-response-body = 2
server.modules = ("mod_setenv", "mod_alias", "mod_cgi")
alias.url = ("/" => "{backend}/")
cgi.assign = ("" => "")
setenv.set-environment = (
    "GIT_PROJECT_ROOT" => "{root}", "GIT_HTTP_EXPORT_ALL" => "1",
    "GIT_CONFIG_NOSYSTEM" => "1", "GIT_CONFIG_GLOBAL" => "{config}",
)
"""


class Stock:
    """`git http-backend` as lighttpd runs it, on one disk, all of it synced."""

    name = "git http-backend"

    def __init__(self, directory):
        program = shutil.which("lighttpd") or shutil.which("lighttpd", path="/usr/sbin")
        if program is None:
            raise Broken("lighttpd is not there: install it, stock git is served by it")
        self.root = directory / "stock"
        uploads = directory / "uploads"
        for made in (self.root, uploads):
            made.mkdir()
        config = directory / "gitconfig"
        config.write_text(
            "[core]\n\tfsync = all\n[http]\n\treceivepack = true\n[receive]\n\tautogc = false\n"
            "[gc]\n\tauto = 0\n[safe]\n\tdirectory = *\n"
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        backend = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True)
        text = LIGHTTPD.format(
            root=self.root, port=self.port, uploads=uploads, config=config,
            backend=pathlib.Path(backend.stdout.strip()) / "git-http-backend",
        )
        file = directory / "lighttpd.conf"
        file.write_text(text)
        self.process = subprocess.Popen([program, "-D", "-f", file], start_new_session=True)
        until = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise Broken("lighttpd did not start") from None
                time.sleep(0.1)

    def url(self, name):
        """Where a repository is reached."""
        return f"http://127.0.0.1:{self.port}/{name}.git"

    def make(self, name):
        """Makes a repository, since a push does not."""
        git("init", "-q", "--bare", self.root / f"{name}.git")

    def stop(self):
        """Ends it."""
        self.process.terminate()
        self.process.wait(START_SECONDS_MAX)
