"""Load: pushes and clones by stock git, and commands of both programs, with a count of each."""

import collections
import random
import subprocess
import threading
import time

from git_clients.support import ENVIRONMENT

# What was not done by then has failed.
DEADLINE_SECONDS = 60
PAUSE_SECONDS = 0.05
PUSHERS = 2


class Count:
    """Of one kind of request by one kind of client."""

    def __init__(self):
        self.done = self.retries = self.failed = 0
        self.slowest = 0.0
        self.reasons = collections.Counter()


def git(*arguments, cwd=None):
    """Runs git, however it ends."""
    return subprocess.run(
        ["git", "-c", "gc.auto=0", *map(str, arguments)], cwd=cwd, env=ENVIRONMENT, text=True,
        errors="replace", check=False, stdin=subprocess.DEVNULL, capture_output=True,
    )


class Load:
    """Clients that work until they are told to stop, and what they were told."""

    def __init__(self, cluster, programs, directory):
        self.cluster, self.programs, self.directory = cluster, programs, directory
        directory.mkdir()
        self.counts = collections.defaultdict(Count)
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        # The last commit of each repository whose push was acknowledged; ids of objects.
        self.heads, self.objects = {}, []
        self.threads, self.trouble = [], []

    def start(self):
        """Starts all clients."""
        for number in range(PUSHERS):
            self.begin(self.push_and_clone, number)
        for name, program in self.programs.items():
            self.begin(self.command, name, program)

    def begin(self, work, *arguments):
        """Has a client work in a thread of its own."""

        def worked():
            try:
                work(*arguments)
            except Exception as error:  # noqa: BLE001 - told at the end, whatever it is
                self.trouble.append(f"{work.__name__}: {error!r}")

        thread = threading.Thread(target=worked)
        thread.start()
        self.threads.append(thread)

    def stop(self):
        """Has all clients finish what they are at."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def request(self, kind, who, attempts):
        """Makes attempts until one is done; gives its outcome, or nothing. Counts all of it."""
        began = time.monotonic()
        with self.lock:
            count = self.counts[kind, who]
        while True:
            outcome, reason = next(attempts)()
            with self.lock:
                if outcome is not None:
                    count.done += 1
                    count.slowest = max(count.slowest, time.monotonic() - began)
                    return outcome
                count.reasons[reason.strip().splitlines()[-1] if reason.strip() else "no words"] += 1
                if time.monotonic() - began > DEADLINE_SECONDS:
                    count.failed += 1
                    return None
                count.retries += 1
            time.sleep(PAUSE_SECONDS)

    def through_nodes(self, first, attempt):
        """Attempts through one node after the other."""
        nodes, number = self.cluster.nodes, first
        while True:
            node = nodes[number % len(nodes)]
            yield lambda node=node: attempt(f"http://{node.http}")
            number += 1

    def push_and_clone(self, number):
        """Commits and pushes to a repository, each time through another node, and clones it."""
        name = f"team/project-{number}"
        work = self.directory / f"work-{number}"
        git("init", "-q", "-b", "main", work)
        self.cluster.run(self.programs["OLD"], "repo", "create", name)
        chance = random.Random(number)
        turn = number
        while not self.stopping.is_set():
            turn += 1
            for _ in range(3):
                path = work / f"file-{chance.randrange(50)}"
                path.write_bytes(chance.randbytes(chance.randrange(1, 20_000)))
            git("add", ".", cwd=work)
            git("commit", "-q", "-m", f"round {turn}", cwd=work)
            head = git("rev-parse", "HEAD", cwd=work).stdout.strip()

            def push(url):
                done = git("push", "-q", f"{url}/{name}.git", "HEAD:refs/heads/main", cwd=work)
                return (head if done.returncode == 0 else None), done.stderr

            if self.request("push", "git", self.through_nodes(turn, push)):
                self.heads[name] = head
            if turn % 4 == 0 and name in self.heads:
                self.clone(name, turn + 1)

    def clone(self, name, turn):
        """Clones a repository, which has to have what was acknowledged and be sound."""
        to = self.directory / f"{name.replace('/', '-')}-clone"
        expected = self.heads[name]

        def clone(url):
            subprocess.run(["rm", "-rf", to], check=True)
            done = git("clone", "-q", "--mirror", f"{url}/{name}.git", to)
            return (to if done.returncode == 0 else None), done.stderr

        if not self.request("clone", "git", self.through_nodes(turn, clone)):
            return
        checked = git("fsck", "--full", "--strict", cwd=to)
        found = git("rev-parse", "refs/heads/main", cwd=to).stdout.strip()
        if checked.returncode != 0 or found != expected:
            self.trouble.append(f"a clone of {name} has {found}, not {expected}: {checked.stderr}")

    def command(self, who, program):
        """Puts files, gets what anybody put, and asks the catalog."""
        chance = random.Random(who)
        path = self.directory / f"put-{who}"

        def attempts(*arguments):
            while True:
                yield lambda: self.attempt(program, arguments)

        turn = 0
        while not self.stopping.is_set():
            turn += 1
            path.write_bytes(chance.randbytes(chance.randrange(1, 50_000)))
            put = self.request("put", who, attempts("put", path))
            if put:
                self.objects.append(put.strip())
            if self.objects:
                wanted = chance.choice(self.objects)
                to = self.directory / f"got-{who}"
                if self.request("get", who, attempts("get", wanted, "-o", to)) is not None:
                    found = git("hash-object", to).stdout.strip()
                    if found != wanted:
                        self.trouble.append(f"get {wanted} gave {found}")
            if turn % 4 == 0:
                self.request("repo list", who, attempts("repo", "list"))
            if turn % 6 == 0:
                # Answered as done where an attempt before was done and its answer was lost.
                name = f"made/by-{who.lower()}-{turn}"
                self.request("repo create", who, attempts("repo", "create", name))

    def attempt(self, program, arguments):
        """Runs a command once: what it printed, or nothing and why."""
        done = self.cluster.call(program, *arguments)
        if done.returncode == 0 or "has the name" in done.stderr:
            return done.stdout, ""
        return None, done.stderr

    def summary(self):
        """What was counted so far, in a line."""
        with self.lock:
            done, retries, failed = (
                sum(getattr(count, what) for count in self.counts.values())
                for what in ("done", "retries", "failed")
            )
        return f"{done} requests done, {retries} retries, {failed} failed"

    def failed(self):
        """How many requests failed."""
        return sum(count.failed for count in self.counts.values())

    def table(self):
        """What was counted, by request and by client, and why anything was tried again."""
        lines = [f"{'request':<12} {'by':<4} {'done':>6} {'retries':>8} {'failed':>7} {'slowest':>9}"]
        for (kind, who), count in sorted(self.counts.items()):
            lines.append(
                f"{kind:<12} {who:<4} {count.done:>6} {count.retries:>8} {count.failed:>7} "
                f"{count.slowest:>7.2f} s"
            )
        reasons = collections.Counter()
        for count in self.counts.values():
            reasons.update(count.reasons)
        lines += [f"  {number} x {reason[:150]}" for reason, number in reasons.most_common(5)]
        return "\n".join(lines)
