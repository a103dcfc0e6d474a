"""A machine: a clean root of Debian over which its own files lie, with systemd as its first process."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from .isolation import Broken, end_group

# Who operates it, by sudo, as on a machine that somebody has just set up.
USER = "alice"
PACKAGES = "systemd,systemd-sysv,dbus,sudo,ca-certificates,curl,git"
BOOT_SECONDS = 120
COMMAND_SECONDS = 300
# What a login has, and no more. The file has what the commands before have left.
SESSION = """
set -e
[ ! -e ~/.left ] || . ~/.left
trap 'status=$?; { declare -px; echo "cd $(printf %q "$PWD")"; } > ~/.left; exit $status' EXIT
"""


def make_root(root, mirror):
    """The root that all machines begin with, by debootstrap."""
    release = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines()
                   if "=" in line)["VERSION_CODENAME"].strip('"')
    root.parent.mkdir(parents=True, exist_ok=True)
    making = pathlib.Path(tempfile.mkdtemp(prefix="root-", dir=root.parent))
    log = root.parent / "debootstrap.log"
    try:
        with open(log, "wb") as written:
            # What it mounts is gone with it.
            made = subprocess.run(
                ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
                 "debootstrap", "--variant=minbase", f"--include={PACKAGES}", release, making / "root",
                 *([mirror] if mirror else [])], stdout=written, stderr=subprocess.STDOUT,
            )
        if made.returncode != 0:
            raise Broken(f"debootstrap failed: see {log}")
        (making / "root").rename(root)
    finally:
        shutil.rmtree(making, ignore_errors=True)


class Machine:
    """One of the machines, at an address that does not change."""

    def __init__(self, name, address, hosts, root, place, log):
        self.name, self.address, self.log = name, address, log
        self.directory = place.directory / name
        self.group = place.group / name
        self.root, self.own = self.directory / "root", self.directory / "own"
        for path in (self.root, self.own, self.directory / "work"):
            path.mkdir(parents=True)
        subprocess.run(
            ["mount", "-t", "overlay", name, "-o",
             f"lowerdir={root},upperdir={self.own},workdir={self.directory / 'work'}", self.root],
            check=True,
        )
        self.set_up(hosts)
        self.nspawn = self.first = None
        self.boot()

    def set_up(self, hosts):
        """What whoever sets up a machine does: its name, those of the others, a user with sudo."""
        self.write("/etc/hostname", f"{self.name}\n")
        self.write("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n{hosts}")
        self.write("/etc/resolv.conf", "")
        self.write("/etc/machine-id", "")
        self.write(f"/etc/sudoers.d/{USER}", f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
        subprocess.run(["chroot", self.root, "useradd", "--create-home", "--shell", "/bin/bash", USER],
                       check=True)

    def write(self, path, text):
        (self.root / path.lstrip("/")).write_text(text)

    def bring(self, source, name=None):
        """Copies a file to its operator's home, as scp does."""
        target = self.root / f"home/{USER}" / (name or pathlib.Path(source).name)
        shutil.copy(source, target)
        home = target.parent.stat()
        os.chown(target, home.st_uid, home.st_gid)

    def boot(self):
        self.group.mkdir(exist_ok=True)
        with open(self.directory / "console", "ab") as console:
            self.nspawn = subprocess.Popen(
                ["systemd-nspawn", "--keep-unit", "--register=no", "--boot", f"--machine={self.name}",
                 f"--directory={self.root}", "--network-bridge=lan", "--resolv-conf=off",
                 "--timezone=off", "--link-journal=no", "--console=read-only"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                preexec_fn=lambda: (self.group / "cgroup.procs").write_text(str(os.getpid())),
            )
        self.until(lambda: self.find_first(), BOOT_SECONDS, "its first process")
        self.until(lambda: self.state() in ("running", "degraded"), BOOT_SECONDS, "systemd to be up")
        for command in (["address", "add", f"{self.address}/24", "dev", "host0"],
                        ["link", "set", "host0", "up"]):
            subprocess.run(["nsenter", "-t", str(self.first), "-n", "ip", *command], check=True)

    def find_first(self):
        """systemd, which is the first process of its machine and a child of nspawn."""
        if self.nspawn.poll() is not None:
            raise Broken(f"{self.name} did not start: {self.console()}")
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                status = dict(line.split(":\t", 1) for line in (entry / "status").read_text().splitlines())
            except OSError:
                continue
            namespaced = status.get("NSpid", "").split()
            if status.get("PPid") == str(self.nspawn.pid) and len(namespaced) > 1 and namespaced[-1] == "1":
                self.first = int(entry.name)
                return True
        return False

    def console(self):
        return (self.directory / "console").read_text(errors="replace")[-2000:]

    def state(self):
        asked = subprocess.run(self.enter("root", "systemctl is-system-running"), capture_output=True,
                               text=True)
        return asked.stdout.strip()

    def until(self, holds, seconds, what):
        """Waits for something on it, and says what it was where that does not come."""
        until = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > until:
                raise Broken(f"{self.name}: waited {seconds} s for {what}\n{self.console()}")
            time.sleep(0.2)

    def enter(self, user, script):
        home = "/root" if user == "root" else f"/home/{user}"
        return ["nsenter", "-t", str(self.first), "-a", "env", "-i", f"HOME={home}", f"USER={user}",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
                "runuser", "-u", user, "--", "bash", "-c", script]

    def run(self, script, user=USER, check=True, seconds=COMMAND_SECONDS):
        """Runs commands in one go, as its operator, who goes on where the last ones ended."""
        self.log(f"{self.name}$ {script}")
        inner = f"cd\n{SESSION}{script}" if user == USER else f"cd /\n{script}"
        try:
            done = subprocess.run(self.enter(user, inner), stdin=subprocess.DEVNULL, text=True,
                                  errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=seconds)
        except subprocess.TimeoutExpired as expired:
            raise Broken(f"{self.name}: after {seconds} s there was no end of\n{script}\n"
                         f"{(expired.output or b'').decode(errors='replace')}") from expired
        self.log(done.stdout)
        if check and done.returncode != 0:
            raise Broken(f"{self.name}: exit code {done.returncode} of\n{script}\n{done.stdout}")
        return done

    def says(self, script):
        """What a command says, by root, whatever its exit code."""
        return self.run(script, user="root", check=False).stdout.strip()

    def unit(self, name):
        """A property of the node's unit."""
        return self.says(f"systemctl show gitstratum --property={name} --value")

    def journal(self):
        """What the unit has said since this machine was set up."""
        return self.says("journalctl --unit gitstratum --output=cat --no-pager")

    def begin(self, script):
        """Has something run beside everything else."""
        self.log(f"{self.name}$ {script} &")
        return subprocess.Popen(self.enter(USER, f"cd\n{SESSION}{script}"), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def lose_power(self):
        """Ends all of it between two instructions; its disk stays."""
        (self.group / "cgroup.kill").write_text("1")
        self.nspawn.wait()
        end_group(self.group)
