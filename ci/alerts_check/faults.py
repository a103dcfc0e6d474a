"""The faults that alerts are for, done to real nodes: each until its alerts fire, and then undone.

Bounds are those of a machine that is busy with other tests.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time

from dev_cluster import Broken

FIRES_SECONDS, ENDS_SECONDS = 90, 90
# As the node has it: node/core/src/limits/git_protocol.rs.
GIT_REQUESTS_MAX = 512
# What one address may get wrong at once, and is then limited to less than an alert's threshold:
# node/core/src/limits/access.rs.
WRONG_SECRETS_AT_ONCE = 20
DAMAGED_BYTES = 20_000
# Alerts whose fault is not made here, and why.
NOT_MADE = {
    "GitStratumRepairFails": "objects that fail again and again: a node tries them once a minute, "
                             "which no configuration makes faster",
}


class Faults:
    def __init__(self, cluster, client, watch, prometheus, directory):
        self.cluster, self.client, self.watch, self.prometheus = cluster, client, watch, prometheus
        self.directory = directory

    def put(self, data):
        """Stores a file; its id."""
        path = self.directory / "file"
        path.write_bytes(data)
        return self.client.command("put", str(path))

    def is_well(self):
        """Waits until all nodes are ready, reach one another and lack nothing."""
        until = time.monotonic() + ENDS_SECONDS
        wanted = ("count(up == 1) == 3 and on () min(gitstratum_ready) == 1 and on () "
                  "min(gitstratum_peer_reachable) == 1 and on () sum(gitstratum_hints_pending) == 0 "
                  "and on () sum(gitstratum_catalog_leads) == 1")
        while not self.prometheus.query(wanted):
            if time.monotonic() > until:
                raise Broken("the cluster does not become well")
            time.sleep(0.3)

    def issue(self, days):
        """Makes a certificate for n1's door for Git, in the place of the one that it has."""
        self.client.command("cert", "issue", "127.0.0.1", "--days", str(days), "--dir",
                            str(self.cluster.data / "certificates"))

    def guess(self, seconds):
        """Wrong secrets from one address, several a second."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.client.answer("n1", "gst_" + 64 * "0")
            time.sleep(0.15)

    def certificate(self):
        """Starts an expiry, and returns when it began."""
        began = time.monotonic()
        self.issue(5)
        return began

    def without_a_node(self):
        """n3 is killed, and what else can go wrong meanwhile at n1."""
        # What is damaged later while the only good copy is away.
        data = os.urandom(DAMAGED_BYTES)
        self.put(data)
        self.is_well()
        expiring = self.certificate()
        watch, rows = self.watch, []
        gone = time.monotonic()
        self.cluster.kill("n3")
        self.fill_hints(0.85)
        filled = time.monotonic()
        damaged = self.damage(data, ["n1", "n2"])
        rows.append(watch.fires("GitStratumDown", "n3", "SIGKILL", gone, FIRES_SECONDS))
        rows.append(watch.fires("GitStratumPeerUnreachable", "n1", "its peer n3 is killed", gone, FIRES_SECONDS))
        rows.append(watch.fires("GitStratumHintsFill", self.filled, "n3 away, hint_bytes = 4096, puts", filled,
                                FIRES_SECONDS))
        self.overload()
        self.wrong_tokens()
        damage = [watch.fires("GitStratumDamage", node, "a byte of a segment flipped, scrub; the good copy away",
                              damaged, FIRES_SECONDS) for node in ["n1", "n2"]]
        rows += damage
        rows.append(watch.fires("GitStratumUnderReplicated", self.filled, "n3 away, hints wait for it", gone,
                                FIRES_SECONDS))
        expires = watch.fires("GitStratumCertificateExpires", "n1", "cert issue --days 5", expiring, FIRES_SECONDS)
        healed = time.monotonic()
        self.issue(365)
        self.cluster.serve("n3")
        for row in rows:
            watch.clears(row, healed, ENDS_SECONDS)
        watch.clears(expires, healed, ENDS_SECONDS)

    def fill_hints(self, share):
        """Puts until a node's hints take this share of their room, and no more."""
        until = time.monotonic() + FIRES_SECONDS
        number = 0
        while True:
            for _ in range(4):
                number += 1
                self.put(b"hint %d" % number + os.urandom(8))
            time.sleep(0.6)
            full = self.prometheus.query(f"gitstratum_hints_bytes / gitstratum_hints_max_bytes > {share}")
            if full:
                self.filled = full[0][0]["instance"]
                return
            if time.monotonic() > until:
                raise Broken(f"{number} puts without n3 did not fill the hints of any node")

    def damage(self, data, nodes):
        """Flips a byte of this object on these nodes' disks, and has them read all they have."""
        for node in nodes:
            self.flip(node, data)
        began = time.monotonic()
        # It says that n3 was not told, and so fails.
        self.client.command("scrub", "start", check=False)
        until = began + FIRES_SECONDS
        while len(self.prometheus.query("gitstratum_store_damaged_objects > 0")) < len(nodes):
            if time.monotonic() > until:
                raise Broken("scrub does not find a byte that was flipped")
            time.sleep(0.3)
        return began

    def flip(self, node, data):
        for segment in (self.cluster.data / node / "data/segments").glob("*.seg"):
            at = segment.read_bytes().find(data[1000:1100])
            if at >= 0:
                with open(segment, "r+b") as file:
                    file.seek(at)
                    file.write(bytes([data[1000] ^ 1]))
                return
        raise Broken(f"{node} does not have the object in a segment")

    def overload(self):
        """As many pushes whose bodies never end as n1 takes, and others beside them."""
        began, streams = time.monotonic(), []
        try:
            for _ in range(GIT_REQUESTS_MAX):
                stream = self.client.connect("n1")
                streams.append(stream)
                stream.sendall(self.client.request(self.client.secret, 100_000) + b"0")
            row = self.watch.fires("GitStratumOverloaded", "n1", "512 pushes whose bodies do not end, and others",
                                   began, FIRES_SECONDS, lambda: self.refused())
        finally:
            for stream in streams:
                stream.close()
        self.watch.clears(row, time.monotonic(), ENDS_SECONDS)

    def refused(self):
        self.client.answer("n1", self.client.secret)
        time.sleep(0.1)

    def wrong_tokens(self):
        """One program with a token that was revoked: after its first requests it is limited, and goes on."""
        for _ in range(WRONG_SECRETS_AT_ONCE):
            self.client.answer("n1", "gst_" + 64 * "0")
        # What came at once has left the window and the alert by then.
        self.guess(15)
        began = time.monotonic()
        row = self.watch.fires("GitStratumWrongTokens", "n1", "one client, a token that is none, after 15 s",
                               began, 30, lambda: self.guess(0.5))
        self.watch.clears(row, time.monotonic(), ENDS_SECONDS)

    def restarts(self):
        """n2 dies and is started, again and again."""
        self.is_well()
        began = time.monotonic()
        row = self.watch.fires("GitStratumRestarts", "n2", "SIGKILL and a start, again and again", began,
                               FIRES_SECONDS, self.restart)
        self.watch.clears(row, time.monotonic(), ENDS_SECONDS)

    def restart(self):
        """Kills n2 and starts it, and waits until Prometheus has seen that."""
        self.cluster.kill("n2")
        since = time.time()
        self.cluster.serve("n2")
        until = time.monotonic() + FIRES_SECONDS
        while not self.prometheus.query(f'gitstratum_start_time_seconds{{instance="n2"}} >= {since}'):
            if time.monotonic() > until:
                raise Broken("n2 does not start again")
            time.sleep(0.1)

    def stopped(self):
        """n2 hangs: its process is there and does nothing."""
        self.is_well()
        began = time.monotonic()
        self.cluster.signal("n2", signal.SIGSTOP)
        rows = [self.watch.fires("GitStratumDown", "n2", "SIGSTOP", began, FIRES_SECONDS),
                self.watch.fires("GitStratumPeerUnreachable", "n1", "its peer n2 has SIGSTOP", began,
                                 FIRES_SECONDS)]
        self.cluster.signal("n2", signal.SIGCONT)
        healed = time.monotonic()
        for row in rows:
            self.watch.clears(row, healed, ENDS_SECONDS)

    def without_a_majority(self):
        """n2 and n3 are killed, while somebody pushes to n1."""
        self.is_well()
        began = time.monotonic()
        self.cluster.kill("n2", "n3")

        def push():
            # One waits for a leader until it is refused: others come meanwhile, as they would.
            threading.Thread(target=self.ask, daemon=True).start()
            time.sleep(0.3)

        rows = [self.watch.fires("GitStratumNotReady", "n1", "n2 and n3 killed", began, FIRES_SECONDS, push),
                self.watch.fires("GitStratumNoLeader", "", "n2 and n3 killed", began, FIRES_SECONDS, push),
                self.watch.fires("GitStratumGitFails", "n1", "pushes without a majority", began, FIRES_SECONDS, push)]
        self.cluster.serve("n2")
        self.cluster.serve("n3")
        healed = time.monotonic()
        for row in rows:
            self.watch.clears(row, healed, ENDS_SECONDS)

    def ask(self):
        """A push to n1, whatever comes of it."""
        with contextlib.suppress(OSError, IndexError):
            self.client.answer("n1", self.client.secret)

    def behind(self):
        """n3 has another authority's certificate: it is watched, and hears nothing of the others."""
        self.is_well()
        config = self.cluster.config("n3")
        right = config.read_text()
        strange = self.directory / "strange"
        for arguments in (["init"], ["issue", "--node", "n3"]):
            subprocess.run([self.cluster.program, "cert", *arguments, "--dir", strange], check=True,
                           capture_output=True)
        self.cluster.kill("n3")
        config.write_text(right.replace(str(self.cluster.data / "certificates"), str(strange)).replace(
            str(strange / "127.0.0.1"), str(self.cluster.data / "certificates/127.0.0.1")))
        began = time.monotonic()
        self.cluster.serve("n3")

        def push():
            self.client.push("n1")

        row = self.watch.fires("GitStratumCatalogBehind", "n3", "cut off by a certificate of another authority; pushes",
                               began, FIRES_SECONDS, push)
        self.cluster.kill("n3")
        config.write_text(right)
        self.cluster.serve("n3")
        self.watch.clears(row, time.monotonic(), ENDS_SECONDS)
