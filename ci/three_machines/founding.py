"""From the package to a push and a clone: the commands of deploy.md, in its order."""

from .isolation import Broken
from .machine import USER

NODES = ("n1", "n2", "n3")
URL = "https://me@git.example:7480/team/project.git"
CONFIG = "/etc/gitstratum/gitstratum.toml"
READY = "curl -fs http://127.0.0.1:7490/readyz"


def expect(holds, what):
    if not holds:
        raise Broken(what)


def ready(machine, seconds=60):
    machine.until(lambda: machine.run(READY, user="root", check=False).returncode == 0, seconds,
                  f"readyz; its log ends with: {machine.journal()[-1500:]}")


def install(machines, deploy, package):
    """The package on all machines: a user, a directory, and nothing that runs."""
    commands = deploy.commands("The package", "sudo apt install",
                               {"gitstratum_0.1.0-1_amd64.deb": package.name})
    for machine in machines.values():
        machine.bring(package)
        machine.run(commands)
        expect(machine.unit("ActiveState") == "inactive", f"{machine.name}: the package started its unit")
        expect(machine.says("systemctl is-enabled gitstratum") == "disabled",
               f"{machine.name}: the package enabled its unit")
        owned = machine.says("stat -c '%U:%G %a' /var/lib/gitstratum")
        expect(owned == "gitstratum:gitstratum 750", f"{machine.name}: /var/lib/gitstratum is {owned}")
    yield f"installed on {', '.join(machines)}: {machines['n1'].says('gitstratum --version')}; nothing runs"


def give_certificates(machines, deploy):
    """Certificates of all, made on the operator's machine, and the configuration that names them."""
    own = machines["own"]
    own.run(deploy.commands("Certificates", "gitstratum cert init"))
    install_them = ("Certificates", "sudo install")
    for name in NODES:
        machine = machines[name]
        for file in ("authority.pem", f"{name}.pem", f"{name}.key", f"{name}.example.pem",
                     f"{name}.example.key"):
            machine.bring(own.root / f"home/{USER}/certificates" / file)
        machine.run(deploy.commands(*install_them, {"n1": name}))
        said = machine.run(deploy.commands("Certificates", "sudo sed")).stdout.strip()
        machine.run("! cat /etc/gitstratum/node.key && ! cat /etc/gitstratum/git.key")
    yield f"certificates are on the nodes, their keys readable by root and the node alone; check-config: {said}"


def found(machines, deploy):
    """The cluster: one node founds it, two join."""
    machines["n1"].run(deploy.commands("The nodes", "sudo -u gitstratum gitstratum init"))
    yield f"n1 founded the cluster, and its unit is {machines['n1'].unit('ActiveState')}"
    for name in NODES[1:]:
        replaced = {} if name == "n2" else {"n2": name}
        machines[name].run(deploy.commands("The nodes", "sudo -u gitstratum gitstratum join", replaced))
        ready(machines[name])
        yield f"{name} joined, and is ready"


def make_repository(machines, deploy):
    """A token and a repository by the operator's commands; a push to one name and clones from all."""
    own = machines["own"]
    own.run("git config --global user.name me; git config --global user.email me@example\n"
            "git init -q -b main first && cd first\n"
            "for n in $(seq 50); do head -c 20000 /dev/urandom | base64 > file-$n; done\n"
            "git add . && git commit -q -m first; cd")
    said = own.run(deploy.commands("The first repository", "export GITSTRATUM_PEERS")).stdout
    secret = [word for word in said.split() if word.startswith("gst_")]
    expect(len(secret) == 1, f"`token create` printed no secret:\n{said}")
    # What the user types where git asks for the password.
    own.run(f"umask 077; printf '#!/bin/sh\\necho {secret[0]}\\n' > ~/password; chmod 700 ~/password\n"
            "export GIT_ASKPASS=$HOME/password")
    yield "status, settle, token and repo by the operator's certificate"
    own.run("cd ~/first")
    own.run(deploy.commands("The first repository", "git push"))
    own.run("cd; git -C first rev-parse HEAD > pushed; git -C first/project rev-parse HEAD | diff - pushed")
    for name in NODES:
        own.run(f"git config --global http.https://{name}.example:7480.sslCAInfo ~/certificates/authority.pem\n"
                f"git clone -q https://me@{name}.example:7480/team/project.git from-{name}\n"
                f"git -C from-{name} fsck --full --strict && git -C from-{name} rev-parse HEAD | diff - pushed")
    yield f"pushed to and cloned from {URL}, and cloned from each node: the same commit, and fsck finds nothing"
    own.run("! git ls-remote http://me@n1.example:7480/team/project.git", check=True)
    refused = own.run("env -u GITSTRATUM_TLS_AUTHORITY -u GITSTRATUM_TLS_CERTIFICATE -u GITSTRATUM_TLS_KEY "
                      "gitstratum status", check=False)
    expect(refused.returncode != 0 and "requires TLS" in refused.stdout,
           f"a command without a certificate was answered: {refused.stdout}")
    yield "who comes without TLS is refused at both ports"
