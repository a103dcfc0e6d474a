"""Three nodes, each of which is stopped and started again by another program."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

PATIENCE_SECONDS = 60
# Below what connections take by themselves.
FIRST_PORT, PORTS = 10_000, 20_000


class Broken(Exception):
    """The upgrade cannot go on, or something is not as it was."""


def free_ports(count):
    """Ports of loopback that nobody listens on."""
    ports, port = [], FIRST_PORT + os.getpid() * 64 % PORTS
    while len(ports) < count:
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
                ports.append(port)
            except OSError:
                pass
        port += 1
    return ports


class Node:
    """A node with its directory, its configuration, and the process that serves it."""

    def __init__(self, cluster, name, ports):
        self.cluster, self.name = cluster, name
        self.address, self.http, self.monitor = (f"127.0.0.1:{port}" for port in ports)
        self.data = cluster.directory / name
        self.config = cluster.directory / f"{name}.toml"
        self.process = None

    def configure(self, layout):
        """Writes the configuration."""
        self.config.write_text(
            f'node_id = "{self.name}"\nlisten = "{self.address}"\ndata = "{self.data}"\n'
            f'layout = "{layout}"\n[http]\nlisten = "{self.http}"\n[monitor]\nlisten = "{self.monitor}"\n'
        )

    def start(self, program):
        """Starts it, and waits until it says that it is ready."""
        with open(self.cluster.directory / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(
                [program, "serve", "--while-stdin-is-open", "--config", self.config],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log,
                env=self.cluster.environment,
            )
        self.cluster.wait(f"{self.name} is ready", self.is_ready)

    def is_ready(self):
        """Whether it says so."""
        if self.process.poll() is not None:
            raise Broken(f"{self.name} ended with {self.process.returncode}: {self.last_words()}")
        try:
            with urllib.request.urlopen(f"http://{self.monitor}/readyz", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def last_words(self):
        """The end of its log."""
        return (self.cluster.directory / f"{self.name}.log").read_text(errors="replace")[-2000:]

    def stop(self):
        """Tells it to stop, and waits until it has."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            raise Broken(f"{self.name} does not stop: {self.last_words()}") from None
        if code != 0:
            raise Broken(f"{self.name} stopped with {code}: {self.last_words()}")
        self.process = None

    def restart(self, program):
        """Stops it and has the program go on; gives the seconds until it was ready again."""
        began = time.monotonic()
        self.stop()
        self.start(program)
        return time.monotonic() - began


class Cluster:
    """Nodes n1 to n3."""

    def __init__(self, directory, program):
        self.directory, self.program = directory, program
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("GITSTRATUM_")
        }
        ports = free_ports(9)
        self.nodes = [Node(self, f"n{n + 1}", ports[3 * n:3 * n + 3]) for n in range(3)]
        self.peers = ",".join(node.address for node in self.nodes)

    def version(self, program):
        """What a program says that it is."""
        return self.run(program, "--version").strip()

    def start(self):
        """Makes the directories, starts the nodes, and waits until all of them vote."""
        layout = self.directory / "layout.toml"
        members = (f'[[node]]\nid = "{node.name}"\naddress = "{node.address}"\n' for node in self.nodes)
        layout.write_text(
            "[cluster]\nversion = 1\nreplicas = 3\nwrite_quorum = 2\nread_quorum = 2\n" + "".join(members)
        )
        for node in self.nodes:
            node.configure(layout)
            self.run(self.program, "init", "--config", node.config)
        # A node is ready when a majority is: all are started before one is waited for.
        for node in self.nodes:
            with open(self.directory / f"{node.name}.log", "ab") as log:
                node.process = subprocess.Popen(
                    [self.program, "serve", "--while-stdin-is-open", "--config", node.config],
                    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log, env=self.environment,
                )
        for node in self.nodes:
            self.wait(f"{node.name} is ready", node.is_ready)
        self.wait("all vote", self.all_vote)

    def all_vote(self):
        """Whether all three nodes have a vote in the catalog."""
        done = self.call(self.program, "node", "list", "--json")
        return done.returncode == 0 and done.stdout.count('"voter"') == 3

    def call(self, program, *arguments):
        """Runs a command against the cluster, however it ends."""
        return subprocess.run(
            [program, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", check=False, env={**self.environment, "GITSTRATUM_PEERS": self.peers},
        )

    def run(self, program, *arguments):
        """Runs a command, which must succeed; gives what it printed."""
        done = self.call(program, *arguments)
        if done.returncode != 0:
            raise Broken(f"{program.name} {' '.join(map(str, arguments))}: {done.returncode}\n{done.stderr}")
        return done.stdout

    def wait(self, what, condition):
        """Waits for a condition, not for ever."""
        until = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > until:
                raise Broken(f"waited {PATIENCE_SECONDS} s until {what}")
            time.sleep(0.1)

    def stop(self):
        """Ends all nodes that run, each as it should end."""
        running = [node for node in self.nodes if node.process and node.process.poll() is None]
        for node in running:
            node.process.send_signal(signal.SIGTERM)
        for node in running:
            try:
                node.process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                node.process.kill()
                node.process.wait()
            node.process = None
