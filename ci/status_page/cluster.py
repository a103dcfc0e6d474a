"""Three nodes as `gitstratum dev` runs them, and what is done to them."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import tomllib
import urllib.request

from .browser import Broken

PATIENCE_SECONDS = 60
# As slow as a node may be told to be filled: it is to be looked at meanwhile.
FILLED_BYTES_PER_SECOND = 65_536


class Cluster:
    """A cluster in a directory, of which node n1 is looked at."""

    def __init__(self, program, directory):
        self.program, self.directory = program, directory
        self.data = directory / "cluster"
        self.started, self.log = [], None
        # Made, ended, told to be slow, and begun again: `dev` takes no such settings.
        self.dev = self.run_dev()
        self.end()
        for config in self.data.glob("n*/config.toml"):
            text = config.read_text()
            slow = re.sub(
                r"(\[repair\][^\[]*?bytes_per_second = )[\d_]+", rf"\g<1>{FILLED_BYTES_PER_SECOND}",
                text,
            )
            assert slow != text
            config.write_text(slow)
        self.dev = self.run_dev()

    def run_dev(self):
        self.log = open(self.directory / "dev.log", "wb")
        process = subprocess.Popen(
            [self.program, "dev", "--data", self.data], stdout=self.log, stderr=subprocess.STDOUT,
            start_new_session=True, env=self.environment(),
        )
        until = time.monotonic() + PATIENCE_SECONDS
        while not self.said().count("node n") >= 3 or "The cluster runs" not in self.said():
            if process.poll() is not None or time.monotonic() > until:
                raise Broken(f"the cluster did not start: {self.said()}")
            time.sleep(0.05)
        return process

    def environment(self):
        return {name: value for name, value in os.environ.items()
                if not name.startswith("GITSTRATUM_")}

    def said(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")

    def config(self, node):
        return self.data / node / "config.toml"

    def settings(self, node="n1"):
        return tomllib.loads(self.config(node).read_text())

    def url(self):
        """The page of node n1."""
        return f"http://{self.settings()['monitor']['listen']}/status"

    def page(self):
        with urllib.request.urlopen(self.url(), timeout=PATIENCE_SECONDS) as answer:
            return answer.read().decode()

    def wait_for(self, words):
        """Waits until the page says so."""
        until = time.monotonic() + PATIENCE_SECONDS
        while words not in self.page():
            if time.monotonic() > until:
                raise Broken(f"the page never says {words!r}")
            time.sleep(0.2)

    def fill(self):
        """Has a few repositories pushed, clones one of them, and asks for one that is not there."""
        url = f"http://{self.settings()['http']['listen']}"
        work = self.directory / "work"
        subprocess.run([pathlib.Path(__file__).parents[1] / "make-repo", work, "--commits", "300"],
                       check=True, stdout=subprocess.DEVNULL)
        git = ["git", "-C", work, "-c", "protocol.version=2"]
        self.wait_for("nodes answer, n")
        for name in ["infrastructure/deploy", "team/a-repository-with-a-rather-long-name/of-the-frontend",
                     "team/project", "website"]:
            subprocess.run([*git, "push", "-q", f"{url}/{name}.git", "HEAD:refs/heads/main"], check=True)
        for number in range(3):
            subprocess.run([*git, "clone", "-q", "--bare", f"{url}/website.git",
                            self.directory / f"clone-{number}"], check=True)
        subprocess.run([*git, "ls-remote", f"{url}/nothing.git"], stderr=subprocess.DEVNULL)

    def kill(self, node):
        """Ends a node at once."""
        found = re.findall(rf"^node {node} .* pid (\d+)$", self.said(), re.MULTILINE)
        os.kill(int(found[-1]), signal.SIGKILL)

    def start_empty(self, node):
        """Starts a node that has lost its disk."""
        data = pathlib.Path(self.settings(node)["data"])
        shutil.rmtree(data)
        subprocess.run([self.program, "init", "--config", self.config(node)], check=True,
                       stdout=subprocess.DEVNULL, env=self.environment())
        self.started.append(subprocess.Popen(
            [self.program, "serve", "--while-stdin-is-open", "--config", self.config(node)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=self.environment(),
            stderr=open(self.directory / f"{node}.log", "wb"),
        ))

    def end(self):
        """Ends all of it."""
        for process in [*self.started, self.dev]:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        self.log.close()
