"""The cluster that the page is about, and what is done to it."""

import pathlib
import subprocess
import time
import urllib.request

from dev_cluster import PATIENCE_SECONDS, Broken, DevCluster, setting

# As slow as a node may be told to be filled: it is to be looked at meanwhile.
FILLED_BYTES_PER_SECOND = 65_536


def filled_slowly(config):
    return setting(config, "repair", "bytes_per_second", FILLED_BYTES_PER_SECOND)


class Cluster(DevCluster):
    """A cluster in a directory, of which node n1 is looked at."""

    def __init__(self, program, directory):
        super().__init__(program, directory, filled_slowly)

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
