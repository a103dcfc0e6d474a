"""Clients that are not git: dulwich, libgit2 and isomorphic-git, each where it is installed.

    python3 -m venv venv && venv/bin/pip install dulwich pygit2
    npm install isomorphic-git
    NODE_PATH=node_modules venv/bin/python ci/git-clients URL --only 'a library'
"""

import importlib
import os
import pathlib
import shutil
import subprocess

from .support import ENVIRONMENT, Skipped, Work, check, equal, expect

ISOMORPHIC = pathlib.Path(__file__).with_name("isomorphic.js")


def library(name):
    """A module that is not Python's own."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Skipped(f"{name} is not installed") from error


def there_and_back(case, push, clone, fetch):
    """
    A history with a merge and tags is pushed by a library and cloned by it and by git; then git
    pushes, and the library fetches; then the library pushes what lies on that.
    """
    work, url = case.work(commits=20), case.remote()
    work.git("checkout", "-q", "-b", "side", "main~5")
    work.commit("beside", "x" * 100_000)
    work.git("checkout", "-q", "main")
    work.git("merge", "-q", "-m", "both", "side")
    work.git("tag", "-a", "-m", "a tag", "v1", "main~3")
    refs = ["refs/heads/main", "refs/heads/side", "refs/tags/v1"]
    push(work.path, url, refs)
    equal(case.listed(url, "--refs"), work.refs(*refs), "the server's refs after the push")

    by_git = case.clone(url, "by-git")
    by_git.fsck()
    equal(by_git.id("origin/main"), work.id("main"))

    target = case.clients.path / "by-library"
    clone(url, target)
    by_library = Work(case, target)
    by_library.fsck()
    equal(by_library.id("refs/remotes/origin/main"), work.id("main"))
    equal(by_library.count("refs/remotes/origin/main"), work.count("main"))
    equal(by_library.id("v1^{commit}"), work.id("main~3"))

    newer = by_git.commit("newer")
    by_git.git("push", "-q", "origin", "HEAD:main")
    fetch(target, url)
    by_library.fsck()
    equal(by_library.id("refs/remotes/origin/main"), newer)

    by_library.git("checkout", "-q", "-B", "main", newer)
    last = by_library.commit("last")
    push(target, url, ["refs/heads/main"])
    equal(case.listed(url)["refs/heads/main"], last)


@check("a library: dulwich pushes, clones and fetches", versions=())
def dulwich(case):
    porcelain = library("dulwich.porcelain")

    def push(path, url, refs):
        with open(os.devnull, "wb") as quiet:
            porcelain.push(str(path), url, refs, outstream=quiet, errstream=quiet)

    def clone(url, path):
        with open(os.devnull, "wb") as quiet:
            porcelain.clone(url, str(path), errstream=quiet).close()

    def fetch(path, _):
        with open(os.devnull, "wb") as quiet:
            porcelain.fetch(str(path), "origin", outstream=quiet, errstream=quiet)

    there_and_back(case, push, clone, fetch)


@check("a library: libgit2 pushes, clones and fetches", versions=())
def libgit2(case):
    pygit2 = library("pygit2")

    def push(path, url, refs):
        pygit2.Repository(str(path)).remotes.create_anonymous(url).push(refs)

    def clone(url, path):
        pygit2.clone_repository(url, str(path))

    def fetch(path, _):
        pygit2.Repository(str(path)).remotes["origin"].fetch()

    there_and_back(case, push, clone, fetch)


@check("a library: isomorphic-git pushes, clones and fetches", versions=())
def isomorphic_git(case):
    node = shutil.which("node")
    if node is None:
        raise Skipped("node is not installed")
    there = [node, "-e", "require.resolve('isomorphic-git')"]
    if subprocess.run(there, capture_output=True, timeout=60, check=False).returncode != 0:
        raise Skipped("isomorphic-git is not installed, or NODE_PATH does not lead to it")

    def run(*arguments):
        done = subprocess.run(
            [node, ISOMORPHIC, *map(str, arguments)],
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            timeout=300,
            check=False,
        )
        expect(done.returncode == 0, f"isomorphic-git {arguments}", done.stdout, done.stderr)

    there_and_back(
        case,
        lambda path, url, refs: run("push", path, url, *refs),
        lambda url, path: run("clone", path, url),
        lambda path, url: run("fetch", path, url),
    )
