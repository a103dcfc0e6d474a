"""Those who use the cluster: stock git, commands, and a crowd of clients whose bodies never end."""

import base64
import os
import socket
import ssl
import subprocess
import tempfile

from dev_cluster import Broken, outside_environment


class Client:
    """Somebody with the token and the certificates that `dev --secure` made."""

    def __init__(self, cluster, directory):
        self.cluster, self.directory = cluster, directory
        self.authority = cluster.data / "certificates/authority.pem"
        self.secret = (cluster.data / "token").read_text().strip()
        self.environment = outside_environment() | {
            "GITSTRATUM_PEERS": ",".join(cluster.settings(node)["listen"] for node in cluster.processes),
            "GITSTRATUM_TLS_AUTHORITY": str(self.authority),
            "GITSTRATUM_TLS_CERTIFICATE": str(cluster.data / "certificates/dev.pem"),
            "GITSTRATUM_TLS_KEY": str(cluster.data / "certificates/dev.key"),
            "GIT_SSL_CAINFO": str(self.authority), "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        self.work, self.commits = directory / "work", 0
        self.git("init", "-q", "-b", "main", self.work)

    def git(self, *arguments, check=True, patience=60):
        try:
            return subprocess.run(["git", *arguments], check=check, capture_output=True, text=True,
                                  env=self.environment, timeout=patience)
        except subprocess.CalledProcessError as error:
            raise Broken(f"git {arguments}: {error.stderr}") from error
        except subprocess.TimeoutExpired:
            return None

    def command(self, *arguments, check=True):
        """What a command of `gitstratum` prints."""
        done = subprocess.run([self.cluster.program, *arguments], capture_output=True, text=True,
                              env=self.environment, timeout=120)
        if check and done.returncode:
            raise Broken(f"gitstratum {arguments}: {done.stderr}")
        return done.stdout.strip()

    def url(self, node, secret=None):
        address = self.cluster.settings(node)["http"]["listen"]
        return f"https://dev:{secret or self.secret}@{address}/project.git"

    def push(self, node="n1", check=True, patience=60):
        """A commit more, pushed to a node."""
        self.commits += 1
        self.git("-C", self.work, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q",
                 "--allow-empty", "-m", f"commit {self.commits}")
        self.git("-C", self.work, "push", "-q", self.url(node), "main", check=check, patience=patience)

    def clone(self, node):
        with tempfile.TemporaryDirectory(dir=self.directory) as into:
            self.git("clone", "-q", "--bare", self.url(node), into)

    def connect(self, node):
        """A connection to a node's door for Git."""
        host, port = self.cluster.settings(node)["http"]["listen"].rsplit(":", 1)
        context = ssl.create_default_context(cafile=self.authority)
        return context.wrap_socket(socket.create_connection((host, int(port)), 20), server_hostname=host)

    def request(self, secret, body_bytes):
        """The head of a push over HTTP/1.1, with a body of that size to come."""
        credentials = base64.b64encode(f"dev:{secret}".encode()).decode()
        return (f"POST /project.git/git-receive-pack HTTP/1.1\r\nHost: n1\r\n"
                f"Authorization: Basic {credentials}\r\n"
                f"Content-Type: application/x-git-receive-pack-request\r\n"
                f"Content-Length: {body_bytes}\r\n\r\n").encode()

    def answer(self, node, secret, body=b"0000"):
        """The status of a small push with this secret."""
        with self.connect(node) as stream:
            stream.sendall(self.request(secret, len(body)) + body)
            return int(stream.recv(4096).split(b" ")[1])
