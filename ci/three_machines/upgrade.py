"""An upgrade of node after node while others push, and a loss of power on all at once."""

from .founding import NODES, expect, ready
from .machine import USER

# A user who pushes one commit after another to the name of all nodes, and writes down what was answered.
PUSHES = """
git init -q -b main pushes && cd pushes
while [ ! -e ~/enough ]; do
    git commit -q --allow-empty -m "$(date +%s.%N)"
    began=$(date +%s%3N)
    if git push -q https://me@git.example:7480/team/pushes.git main 2> ~/said; then
        echo "done $(git rev-parse HEAD) $(($(date +%s%3N) - began))" >> ~/pushes.log
    else
        { echo "failed $(git rev-parse HEAD) $(($(date +%s%3N) - began))"; cat ~/said; } >> ~/pushes.log
    fi
    sleep 0.1
done
"""


def pushed(own):
    """What became of the pushes so far: how many were done, and of the others what git said."""
    lines = own.says(f"cat /home/{USER}/pushes.log").splitlines()
    done = [line.split() for line in lines if line.startswith("done ")]
    return done, [line for line in lines if not line.startswith("done ")]


def installed(machine):
    """The version of the package on a machine."""
    return machine.says("dpkg-query --show --showformat='${Version}' gitstratum")


def upgrade(machines, deploy, package):
    """A higher version on one node after another, under pushes."""
    own = machines["own"]
    own.run("gitstratum repo create team/pushes")
    pushing = own.begin(PUSHES)
    install, *wait = deploy.commands("Upgrading", "sudo apt install",
                                     {"gitstratum_NEW_amd64.deb": package.name}).splitlines()
    for name in NODES:
        machine = machines[name]
        machine.bring(package)
        own.until(lambda: len(pushed(own)[0]) >= 3, 60, "pushes to be done")
        before, kept = len(pushed(own)[0]), machine.says("sha256sum /etc/gitstratum/*")
        first = machine.unit("MainPID")
        machine.run("\n".join([install, *wait]), seconds=180)
        expect(machine.unit("MainPID") != first, f"{name}: its node was not restarted by the upgrade")
        expect(machine.says("sha256sum /etc/gitstratum/*") == kept, f"{name}: its configuration changed")
        own.until(lambda: len(pushed(own)[0]) > before + 3, 60, "pushes after an upgrade")
        yield f"{name} runs {installed(machine)}, its configuration is as it was"
    own.run("touch ~/enough")
    pushing.communicate(timeout=120)
    done, failed = pushed(own)
    for line in failed:
        yield f"a push meanwhile failed: {line}"
    expect(not failed, "pushes to the name of all nodes failed during an upgrade")
    own.run("rm ~/enough; cd")
    for name in NODES:
        heads = own.run(f"git ls-remote https://me@{name}.example:7480/team/pushes.git refs/heads/main").stdout
        expect(done[-1][1] in heads, f"{name} does not have the last push: {heads}")
    slowest = max(int(line[2]) for line in done)
    yield f"{len(done)} pushes meanwhile, none failed, the slowest took {slowest} ms; all nodes have the last"
    machines["own"].bring(package)
    machines["own"].run(install)
    expect(own.unit("ActiveState") == "inactive", "the upgrade started a unit that did not run")
    yield "the upgrade of a machine that runs no node started none"


def lose_power(machines):
    """All nodes end between two instructions, and come back with their machines."""
    own = machines["own"]
    for name in NODES:
        machines[name].lose_power()
    for name in NODES:
        machines[name].boot()
    for name in NODES:
        ready(machines[name], 120)
    own.run("rm -rf again; git clone -q https://me@git.example:7480/team/project.git again\n"
            "git -C again rev-parse HEAD | diff - pushed")
    yield "all three lost power at once; they booted, served without a hand, and what was pushed is there"
