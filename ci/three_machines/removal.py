"""A node leaves its cluster, and the package its machine; what has to stay stays."""

from .founding import CONFIG, expect, ready

REMOVING = "Removing"


def come_back(machine, deploy, package):
    """The package goes from the machine of a node, and comes back: the node is the same."""
    remove, _ = deploy.commands(REMOVING, "sudo apt remove").splitlines()
    before = machine.says("sha256sum /etc/gitstratum/*; cat /var/lib/gitstratum/data/node* 2>/dev/null")
    machine.run(remove.replace("apt remove", "apt remove --yes"))
    expect(machine.unit("ActiveState") != "active", "a removed package runs")
    expect(machine.says("command -v gitstratum; cat /proc/[0-9]*/comm | grep -x gitstratum") == "", "a removed package left a program")
    expect(machine.says("sha256sum /etc/gitstratum/*; cat /var/lib/gitstratum/data/node* 2>/dev/null") == before,
           "a removal changed configuration or data")
    machine.run(f"sudo apt install ./{package.name}\nsudo systemctl enable --now gitstratum")
    ready(machine)
    yield f"{machine.name}: removed, which left configuration and data; installed again, it is the node it was"


def leave(machines, deploy):
    """n3 is drained and removed, then its package is purged."""
    own, machine = machines["own"], machines["n3"]
    own.run(deploy.commands(REMOVING, "gitstratum node drain"), seconds=180)
    yield "n3 was drained and removed from the cluster"
    remove, purge = deploy.commands(REMOVING, "sudo apt remove").splitlines()
    machine.run(remove.replace("apt remove", "apt remove --yes"))
    expect(machine.says(f"test -e {CONFIG} && echo there") == "there", "a removal took the configuration")
    said = machine.run(purge.replace("apt purge", "apt purge --yes")).stdout
    expect(machine.says(f"test -e {CONFIG} || echo gone") == "gone", "a purge left the configuration")
    expect("is kept" in said, f"a purge does not say what it kept: {said}")
    expect(machine.says("ls /var/lib/gitstratum/data | head -1") != "", "a purge took the data")
    expect(machine.says("id -un gitstratum") == "gitstratum", "a purge took the user whose files there are")
    left = machine.says("ls /etc/gitstratum")
    yield f"purged: the configuration is gone, data and user are kept, and of /etc/gitstratum: {left.split()}"
    machine.run(deploy.commands(REMOVING, "sudo rm"))
    expect(machine.says("ls -d /var/lib/gitstratum /etc/gitstratum 2>/dev/null; getent passwd gitstratum") == "",
           "the last command of the page leaves something")
    own.run("rm -rf last; git clone -q https://me@git.example:7480/team/project.git last\n"
            "git -C last rev-parse HEAD | diff - pushed")
    yield "and the last commands of the page take these; the other two nodes serve what was pushed"
