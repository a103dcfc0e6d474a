"""What operators do wrong, each by way of the package: what is said, and that nothing is harmed."""

import time

from .founding import CONFIG, expect, ready

SERVE = f"sudo -u gitstratum gitstratum serve --config {CONFIG}"


def before_a_node_is_made(machine):
    """A unit is started though there is no node: it says so again and again, and ends when told."""
    started = machine.run("sudo systemctl start gitstratum", check=False)
    expect(started.returncode != 0, "a unit without a node started")
    machine.until(lambda: int(machine.unit("NRestarts")) >= 2, 60, "the unit to be started again")
    said = machine.journal()
    expect("there is no node in this directory" in said and "gitstratum init" in said,
           f"a unit without a node says: {said}")
    machine.run("sudo systemctl stop gitstratum")
    expect(not machine.says("ls -A /var/lib/gitstratum"), "a unit without a node left files")
    yield "a unit without a node is started again and again, says how a node is made, and leaves nothing"


def started_twice(machine):
    """Another start, by the unit and by hand."""
    first = machine.unit("MainPID")
    machine.run("sudo systemctl start gitstratum")
    second = machine.run(SERVE, check=False, seconds=60)
    expect(second.returncode != 0, "a second node served the same directory")
    expect(machine.unit("MainPID") == first, "a second start ended the first node")
    yield f"a second start changes nothing; by hand it ends with {second.returncode}: {last_line(second.stdout)}"
    beside = machine.run("sudo -u gitstratum gitstratum serve --data /var/lib/gitstratum/data "
                         "--listen 127.0.0.1:7999", check=False, seconds=60)
    expect(beside.returncode != 0, "a second node served the same directory at another port")
    ready(machine)
    yield f"at another port it ends with {beside.returncode}: {last_line(beside.stdout)}"
    again = machine.run(f"sudo -u gitstratum gitstratum init --config {CONFIG} --id n9 --address n9.example:7400",
                        check=False)
    expect(again.returncode != 0, "`init` made a node where one is")
    yield f"init where a node is ends with {again.returncode}: {last_line(again.stdout)}"


def wrong_configuration(machine):
    """A field that is wrong: exit code 2, its name, and no further attempts."""
    machine.run(f"sudo cp -p {CONFIG} /root/kept.toml\n"
                f"sudo sed -i 's/^tokens = .*/tokens = \"sometimes\"/' {CONFIG}")
    checked = machine.run(f"gitstratum check-config {CONFIG}", check=False)
    expect(checked.returncode == 2 and "tokens" in checked.stdout, f"check-config said: {checked.stdout}")
    machine.run("sudo systemctl stop gitstratum")
    began = time.monotonic()
    started = machine.run("sudo systemctl start gitstratum", check=False)
    expect(started.returncode != 0, "a node started with a wrong configuration")
    expect(machine.unit("ExecMainStatus") == "2", f"exit code {machine.unit('ExecMainStatus')}, not 2")
    # Long enough for RestartSec.
    machine.until(lambda: time.monotonic() > began + 5, 10, "5 s")
    expect(machine.unit("NRestarts") == "0" and machine.unit("ActiveState") == "failed",
           f"a wrong configuration was tried again: {machine.unit('NRestarts')} restarts")
    said = last_line(machine.says("journalctl -u gitstratum -o cat --no-pager | grep 'tokens'"))
    expect("tokens" in said, "the journal does not name the field")
    machine.run(f"sudo cp -p /root/kept.toml {CONFIG}\nsudo systemctl start gitstratum")
    ready(machine)
    yield f"a wrong configuration: exit code 2, not tried again, and in the journal: {said}"


def signals_during_start(machine):
    """SIGTERM, and then SIGKILL, at moments while it starts."""
    for sent, moments in (("TERM", (0, 0.02, 0.05, 0.1, 0.3)), ("KILL", (0.02, 0.05, 0.1, 0.3))):
        for moment in moments:
            machine.run("sudo systemctl stop gitstratum && sudo systemctl start --no-block gitstratum\n"
                        f"sleep {moment}; sudo systemctl kill --kill-whom=main --signal={sent} gitstratum || true")
            began = time.monotonic()
            machine.until(lambda: machine.unit("ActiveState") in ("active", "inactive", "failed")
                          and machine.unit("SubState") != "auto-restart", 60, f"an end after SIG{sent}")
            expect(time.monotonic() - began < 45, f"SIG{sent} during the start took too long")
    machine.run("sudo systemctl reset-failed gitstratum; sudo systemctl start gitstratum")
    ready(machine)
    yield "SIGTERM and SIGKILL at nine moments of a start: each came to an end, and the node serves again"


def directory_of_another_cluster(machine, own):
    """The data of this machine is replaced by that of another cluster, which has a node of the same name."""
    machine.run(
        "sudo systemctl stop gitstratum\n"
        "sudo mv /var/lib/gitstratum/data /var/lib/gitstratum/data.kept\n"
        f"sudo -u gitstratum gitstratum init --config {CONFIG} --id {machine.name} "
        f"--address {machine.name}.example:7400\n"
        "sudo systemctl start gitstratum", check=False)
    said = own.run("gitstratum status --peers n1.example:7400", check=False).stdout
    wrong = [line for line in said.splitlines() if "it belongs to cluster" in line]
    expect(wrong and machine.name in wrong[0], f"`status` does not say what is wrong: {said}")
    own.run("rm -rf other; git clone -q https://me@n1.example:7480/team/project.git other\n"
            "git -C other rev-parse HEAD | diff - pushed")
    # Joining with a directory that is another cluster's is refused as well.
    joined = machine.run(f"sudo -u gitstratum gitstratum join --config {CONFIG} --peers n1.example:7400 "
                         "--id n7 --address n7.example:7400", check=False)
    expect(joined.returncode != 0, "`join` took the directory of another cluster")
    machine.run("sudo systemctl stop gitstratum; sudo rm -r /var/lib/gitstratum/data\n"
                "sudo mv /var/lib/gitstratum/data.kept /var/lib/gitstratum/data\n"
                "sudo systemctl start gitstratum")
    ready(machine)
    yield f"a directory of another cluster: the others go on, and `status` says: {wrong[0].strip()}"
    yield f"join with it ends with {joined.returncode}: {last_line(joined.stdout)}"


def last_line(text):
    return text.strip().splitlines()[-1] if text.strip() else "nothing"
