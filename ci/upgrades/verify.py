"""What there has to be when all nodes were upgraded."""

import json

from .cluster import Broken
from .load import git


def verify(cluster, load, program, say):
    """Looks for all that was acknowledged, through every node, and uses commands of the new program."""
    if load.trouble:
        raise Broken("\n".join(load.trouble))
    for kind in ("push", "clone", "put", "get"):
        if not any(count.done for (what, _), count in load.counts.items() if what == kind):
            raise Broken(f"not one {kind} was done: nothing was shown")
    for node in cluster.nodes:
        for name, head in load.heads.items():
            to = load.directory / f"{node.name}-{name.replace('/', '-')}"
            cloned = git("clone", "-q", "--mirror", f"http://{node.http}/{name}.git", to)
            checked = git("fsck", "--full", "--strict", cwd=to)
            found = git("rev-parse", "refs/heads/main", cwd=to).stdout.strip()
            if cloned.returncode or checked.returncode or found != head:
                raise Broken(
                    f"{name} through {node.name}: {found} and not {head}\n{cloned.stderr}{checked.stderr}"
                )
    say(f"{len(load.heads)} repositories have the acknowledged refs on each node, and fsck passes")
    for name in load.heads:
        cluster.wait(f"{name} is on all replicas",
                     lambda name=name: cluster.call(program, "repo", "verify", name).returncode == 0)
    say("repo verify: every object is on every replica")
    for wanted in load.objects:
        to = load.directory / "object"
        cluster.run(program, "get", wanted, "-o", to)
        if git("hash-object", to).stdout.strip() != wanted:
            raise Broken(f"get {wanted} gave something else")
    say(f"{len(load.objects)} objects that were put are returned")
    status = json.loads(cluster.run(program, "status", "--json"))
    versions = sorted({node["version"] for node in status["nodes"]})
    if len(versions) != 1:
        raise Broken(f"the nodes run several versions: {versions}")
    first = next(iter(load.heads))
    cluster.run(program, "repo", "fork", first, "made/fork")
    backup = load.directory / "backup"
    cluster.run(program, "backup", backup)
    cluster.run(program, "backup", "verify", backup)
    cluster.run(program, "restore", backup, "--repository", first, "--as", "made/restored")
    heads = [git("ls-remote", f"http://{cluster.nodes[0].http}/{name}.git", "refs/heads/main").stdout.split()[0]
             for name in ("made/fork", "made/restored")]
    if heads != [load.heads[first]] * 2:
        raise Broken(f"the fork and the restored repository have {heads}")
    say("commands of NEW on what OLD wrote: status, fork, backup, backup verify, restore")
