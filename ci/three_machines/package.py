"""A Debian package, and the same one under a higher version."""

import re
import subprocess

from .isolation import Broken


def field(package, name):
    return subprocess.run(["dpkg-deb", "--field", package, name], check=True, capture_output=True,
                          text=True).stdout.strip()


def again(package, directory):
    """The same package with a version behind its own, which is all that differs."""
    tree = directory / "again"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    version = field(package, "Version") + "+again"
    control = tree / "DEBIAN/control"
    changed, count = re.subn(r"(?m)^Version: .*$", f"Version: {version}", control.read_text())
    if count != 1:
        raise Broken(f"{package}: its control file has {count} versions")
    control.write_text(changed)
    made = directory / f"gitstratum_{version}_{field(package, 'Architecture')}.deb"
    # As fast as can be: it is only carried to the machines.
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, made], check=True,
                   stdout=subprocess.DEVNULL)
    return made
