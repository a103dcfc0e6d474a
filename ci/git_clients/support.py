"""What checks are made of: a server, a directory of clients, git that is run in it."""

import os
import pathlib
import shlex
import subprocess

VERSIONS = (0, 1, 2)
CHECKS = []

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.com",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.com",
    "LC_ALL": "C.UTF-8",
}


class Failed(Exception):
    """A check found something wrong."""


class Skipped(Exception):
    """A check cannot be made here."""


def check(title, versions=VERSIONS):
    """Registers a check, once for each of these versions of the protocol."""

    def register(function):
        for version in versions or (None,):
            CHECKS.append((title, version, function))
        return function

    return register


def expect(condition, *shown):
    """Fails the check unless the condition holds."""
    if not condition:
        raise Failed("\n".join(str(part) for part in shown) or "not as expected")


def equal(found, expected, what=""):
    """Fails the check unless the two are equal."""
    expect(found == expected, f"{what or 'found'}: {found!r}", f"expected: {expected!r}")


class Server:
    """The server that is checked."""

    def __init__(self, url, create, prefix):
        self.url = url
        self.create = create
        self.prefix = prefix

    def make(self, name, object_format):
        """Makes a repository, where that is not left to the first push."""
        if self.create:
            command = self.create.format(name=shlex.quote(name), format=object_format)
            done = subprocess.run(
                command, shell=True, capture_output=True, text=True, timeout=60, check=False
            )
            expect(done.returncode == 0, command, done.stdout, done.stderr)


class Work:
    """A repository of a client, or the directory that clients are in."""

    def __init__(self, case, path):
        self.case = case
        self.path = pathlib.Path(path)

    def run(self, *arguments, data=None, timeout=300, env=None):
        """Runs git; its exit code and what it printed."""
        command = ["git", "-c", "gc.auto=0", "-c", "maintenance.auto=false"]
        command += ["-c", "protocol.file.allow=always", "-c", "advice.detachedHead=false"]
        if self.case.version is not None:
            command += ["-c", f"protocol.version={self.case.version}"]
        done = subprocess.run(
            [*command, *map(str, arguments)],
            cwd=self.path,
            env={**ENVIRONMENT, **(env or {})},
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
        return done.returncode, done.stdout.rstrip("\n")

    def git(self, *arguments, **options):
        """Runs git, which must succeed; what it printed."""
        code, printed = self.run(*arguments, **options)
        expect(code == 0, f"git {' '.join(map(str, arguments))}: exit code {code}", printed)
        return printed

    def refused(self, *arguments, shows=(), **options):
        """Runs git, which must fail and say this; what it printed."""
        code, printed = self.run(*arguments, **options)
        expect(code != 0, f"git {' '.join(map(str, arguments))} succeeded", printed)
        expect(code > 0, f"git {' '.join(map(str, arguments))} died by a signal", printed)
        for text in [shows] if isinstance(shows, str) else shows:
            expect(text in printed, f"{text!r} is not shown in:", printed)
        return printed

    def write(self, name, contents):
        """Writes a file."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(contents, bytes):
            path.write_bytes(contents)
        else:
            path.write_text(contents, encoding="utf-8")

    def commit(self, name, contents=None, date=None):
        """Commits a file of that name; the commit's id."""
        self.write(name, contents if contents is not None else f"{name}\n" * 100)
        self.git("add", "-A")
        env = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date} if date else None
        self.git("commit", "-q", "-m", name, env=env)
        return self.id("HEAD")

    def id(self, revision):
        """The id of a revision."""
        return self.git("rev-parse", revision)

    def count(self, revision="HEAD"):
        """How many commits a revision reaches."""
        return int(self.git("rev-list", "--count", revision))

    def refs(self, *patterns):
        """Names and ids of its refs."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)", *patterns)
        return dict(line.split(" ") for line in lines.splitlines())

    def fsck(self):
        """Makes sure that it is whole."""
        self.git("fsck", "--full", "--strict", "--no-dangling")


class Case:
    """One run of a check."""

    def __init__(self, server, prefix, version, directory):
        self.server = server
        self.prefix = prefix
        self.version = version
        self.clients = Work(self, directory)

    def name(self, word="r"):
        """The name of a repository on the server."""
        return f"{self.prefix}-v{self.version}-{word}"

    def url(self, word="r"):
        """Its URL."""
        return f"{self.server.url}/{self.name(word)}.git"

    def remote(self, word="r", object_format="sha1"):
        """Makes a repository on the server, if need be; its URL."""
        self.server.make(self.name(word), object_format)
        return self.url(word)

    def work(self, name="work", commits=0, object_format="sha1"):
        """Makes a repository of a client, with so many commits on `main`."""
        path = self.clients.path / name
        options = ["-b", "main", f"--object-format={object_format}"]
        self.clients.git("init", "-q", *options, path)
        work = Work(self, path)
        for number in range(commits):
            work.commit(f"file-{number}", date=f"{1_600_000_000 + number * 86_400} +0000")
        return work

    def pushed(self, commits=3, word="r"):
        """A repository of a client whose `main` was pushed, and the URL; `origin` is set."""
        work = self.work(f"work-{word}", commits)
        url = self.remote(word)
        work.git("remote", "add", "origin", url)
        work.git("push", "-q", "origin", "main")
        return work, url

    def clone(self, url, name="clone", *options):
        """Clones; the repository."""
        self.clients.git("clone", "-q", *options, url, name)
        return Work(self, self.clients.path / name)

    def listed(self, url, *options):
        """What the server lists: ids by name."""
        lines = self.clients.git("ls-remote", *options, url).splitlines()
        pairs = (line.split("\t") for line in lines if not line.startswith("ref: "))
        return {name: id for id, name in pairs}
