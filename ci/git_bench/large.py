"""Whole repositories: pushed, cloned through every node, and compared with what they were."""

import pathlib
import shutil
import statistics
import subprocess
import time

from .servers import Broken, ENVIRONMENT, git, timed


def refs(repository):
    """Every ref of a repository but HEAD, which no push carries."""
    _, listed = git("for-each-ref", "--format=%(refname) %(objectname)", cwd=repository)
    return listed


def fsck(repository):
    """What `git fsck --full --strict` says, apart from what is not reachable."""
    code, said = git("fsck", "--full", "--strict", "--no-dangling", cwd=repository, check=False)
    lines = (line for line in said.splitlines() if not line.startswith(("Checking ", "notice:")))
    return code, sorted(lines)


def push(source, url):
    """Seconds of a push of all refs."""
    return timed("push", "-q", "--mirror", url, cwd=source)


def push_while_a_node_dies(source, cluster, name, after):
    """Seconds of a push, so many of which have gone when another node is killed."""
    begun = time.monotonic()
    command = ["git", "push", "-q", "--mirror", cluster.url(name)]
    pushing = subprocess.Popen(
        command, cwd=source, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    time.sleep(after)
    if pushing.poll() is not None:
        raise Broken(f"the push ended ({pushing.returncode}) before a node was killed")
    cluster.kill("n3")
    printed, _ = pushing.communicate()
    if pushing.returncode != 0:
        raise Broken(f"the push failed when a node was killed:\n{printed.decode(errors='replace')}")
    return time.monotonic() - begun


def compare(source, clone, through):
    """Fails unless a clone is what was pushed."""
    if refs(clone) != refs(source):
        raise Broken(f"{through}: refs differ from {source}'s")
    ours, theirs = fsck(clone), fsck(source)
    if ours != theirs:
        raise Broken(f"{through}: git fsck says {ours}, and of {source} {theirs}")


def measure(source, cluster, stock, directory, rounds):
    """A line of figures for one repository."""
    name = pathlib.Path(source).resolve().name.removesuffix(".git")
    _, counted = git("count-objects", "-v", cwd=source)
    objects = sum(int(line.split()[1]) for line in counted.splitlines()
                  if line.startswith(("count:", "in-pack:")))
    print(f"{name}: {objects} objects, {git_bytes(source) / 1e6:.0f} MB", flush=True)
    pushes, clones = {"ours": [], "stock": []}, {"stock": []}
    for number in range(rounds):
        repository = f"large/{name}-{number}"
        stock.make(repository)
        pushes["stock"].append(push(source, stock.url(repository)))
        pushes["ours"].append(push(source, cluster.url(repository)))
        places = [("stock", stock.url(repository))]
        places += [(node, cluster.url(repository, node)) for node in ("n1", "n2", "n3")]
        for through, url in places:
            clone = directory / "clone.git"
            clones.setdefault(through, []).append(timed("clone", "-q", "--mirror", url, clone))
            if number == 0 and through != "stock":
                compare(source, clone, through)
            shutil.rmtree(clone)
    third = statistics.median(pushes["ours"]) / 3
    killed = push_while_a_node_dies(source, cluster, f"large/{name}-killed", third)
    clone = directory / "clone.git"
    time.sleep(2)
    git("clone", "-q", "--mirror", cluster.url(f"large/{name}-killed", "n3"), clone)
    compare(source, clone, "n3, which was killed")
    shutil.rmtree(clone)
    cluster.look()
    median = statistics.median
    print(f"  push: stock {median(pushes['stock']):.1f} s, three nodes {median(pushes['ours']):.1f} s,"
          f" with one killed in its midst {killed:.1f} s")
    through = ", ".join(f"through {node} {median(clones[node]):.1f} s" for node in ("n1", "n2", "n3"))
    print(f"  clone: stock {median(clones['stock']):.1f} s, {through}")
    print("  every clone: all refs, and what `git fsck --full --strict` says as the original's")
    print("  peak memory: " + ", ".join(f"{node} {mb} MB" for node, mb in sorted(cluster.peaks.items())),
          flush=True)


def git_bytes(source):
    """Bytes of a repository's packs."""
    _, counted = git("count-objects", "-v", cwd=source)
    return 1024 * sum(int(line.split()[1]) for line in counted.splitlines()
                      if line.startswith(("size:", "size-pack:")))
