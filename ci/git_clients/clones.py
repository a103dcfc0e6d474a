"""Clones, lists of refs, and what is in a repository."""

import os

from .support import Skipped, check, equal, expect


@check("what was pushed is cloned, whole and the same")
def push_and_clone(case):
    work, url = case.pushed(5)
    clone = case.clone(url)
    clone.fsck()
    equal(clone.id("origin/main"), work.id("main"))
    equal(clone.git("symbolic-ref", "HEAD"), "refs/heads/main")
    equal(clone.git("status", "--porcelain"), "")


@check("a clone that checks every object as it comes")
def clone_checked(case):
    _, url = case.pushed(5)
    case.clone(url, "clone", "-c", "transfer.fsckObjects=true", "-c", "fetch.fsckObjects=true")


@check("an empty repository is cloned")
def clone_empty(case):
    work, url = case.work(commits=1), case.remote()
    work.git("push", "-q", url, "main:refs/tags/topic")
    work.git("push", "-q", url, ":refs/tags/topic")
    equal(case.listed(url), {})
    clone = case.clone(url)
    equal(clone.refs(), {})
    clone.commit("first")
    clone.git("push", "-q", "origin", "HEAD:refs/heads/main")
    equal(case.listed(url)["refs/heads/main"], clone.id("HEAD"))


@check("an unborn HEAD tells the name of its branch", versions=(2,))
def unborn(case):
    work, url = case.work(commits=1), case.remote()
    work.git("push", "-q", url, "main:refs/tags/topic")
    work.git("push", "-q", url, ":refs/tags/topic")
    clone = case.clone(url, "clone", "-c", "init.defaultBranch=elsewhere")
    equal(clone.git("symbolic-ref", "HEAD"), "refs/heads/main")


@check("HEAD, branches and tags are listed, and annotated tags peeled")
def listed(case):
    work, url = case.pushed(2)
    work.git("tag", "light")
    work.git("tag", "-a", "-m", "annotated", "heavy")
    work.git("tag", "-a", "-m", "of a tag", "twice", "heavy")
    work.git("push", "-q", "origin", "--tags", "main~1:refs/heads/a")
    commit, before = work.id("main"), work.id("main~1")
    expected = {
        "HEAD": commit,
        "refs/heads/a": before,
        "refs/heads/main": commit,
        "refs/tags/heavy": work.id("heavy"),
        "refs/tags/heavy^{}": commit,
        "refs/tags/light": commit,
        "refs/tags/twice": work.id("twice"),
        "refs/tags/twice^{}": commit,
    }
    found = case.listed(url)
    equal(found, expected)
    equal(list(found), list(expected), "the order")
    symref = case.clients.git("ls-remote", "--symref", url, "HEAD")
    expect(symref.startswith("ref: refs/heads/main\tHEAD\n"), symref)


@check("a list of refs is limited to what was asked for")
def listed_by_prefix(case):
    work, url = case.pushed(1)
    work.git("push", "-q", "origin", "main:refs/heads/ab", "main:refs/heads/a/b", "main:refs/x/ab")
    equal(set(case.listed(url, "--heads")), {f"refs/heads/{name}" for name in ("main", "ab", "a/b")})
    found = set(case.clients.git("ls-remote", url, "ab").split()[1::2])
    equal(found, {"refs/heads/ab", "refs/x/ab"})


@check("a mirror has all refs, and pushes deletions too")
def mirror(case):
    work, _ = case.pushed(4)
    work.git("tag", "-a", "-m", "one", "v1")
    work.git("notes", "add", "-m", "a note", "main")
    work.git("update-ref", "refs/custom/x", "main~2")
    url = case.remote("mirror")
    work.git("remote", "remove", "origin")
    work.git("push", "-q", "--mirror", url)
    mirrored = case.clone(url, "mirror", "--mirror")
    equal(mirrored.refs(), work.refs())
    mirrored.fsck()
    work.git("update-ref", "-d", "refs/custom/x")
    work.git("push", "-q", "--mirror", url)
    mirrored.git("remote", "update", "--prune")
    equal(mirrored.refs(), work.refs())


@check("one branch, one tag, or no tags are cloned where that is asked for")
def clone_parts(case):
    work, url = case.pushed(4)
    work.git("tag", "-a", "-m", "one", "v1", "main~2")
    work.git("push", "-q", "origin", "v1", "main~1:refs/heads/side")
    one = case.clone(url, "one", "--single-branch", "-b", "side", "--no-tags")
    equal(set(one.refs()), {"refs/heads/side", "refs/remotes/origin/side"})
    tag = case.clone(url, "tag", "-b", "v1")
    equal(tag.id("HEAD"), work.id("v1^{commit}"))


@check("2,000 refs are pushed, listed, cloned, and half of them deleted")
def many_refs(case):
    work, url = case.work(commits=2), case.remote()
    commit = work.id("main")
    lines = [f"create refs/heads/many/{number:04} {commit}\n" for number in range(2000)]
    work.git("update-ref", "--stdin", data="".join(lines))
    work.git("push", "-q", url, "main", "refs/heads/many/*:refs/heads/many/*")
    equal(len(case.listed(url)), 2002)
    clone = case.clone(url)
    equal(len(clone.refs("refs/remotes/origin/many")), 2000)
    gone = [f":refs/heads/many/{number:04}" for number in range(0, 2000, 2)]
    work.git("push", "-q", url, *gone)
    clone.git("fetch", "-q", "--prune")
    equal(len(clone.refs("refs/remotes/origin/many")), 1000)


@check("files of every kind come back as they were")
def every_file(case):
    work = case.work()
    work.write("empty", "")
    work.write("binary", bytes(range(256)) * 100)
    work.write("ä ö/日本/with\nline feed", "odd\n")
    work.write("deep/" + "d/" * 100 + "file", "deep\n")
    work.write("run.sh", "#!/bin/sh\n")
    os.chmod(work.path / "run.sh", 0o755)
    os.symlink("binary", work.path / "link")
    work.git("add", "-A")
    work.git("commit", "-q", "-m", "all kinds")
    work.git("commit", "-q", "--allow-empty", "-m", "nothing\n\nbut words")
    url = case.remote()
    work.git("push", "-q", url, "main")
    clone = case.clone(url)
    equal(clone.id("HEAD^{tree}"), work.id("HEAD^{tree}"))
    equal((clone.path / "ä ö/日本/with\nline feed").read_text(), "odd\n")
    equal(os.readlink(clone.path / "link"), "binary")
    expect(os.access(clone.path / "run.sh", os.X_OK))
    clone.fsck()


@check("a history of 3,000 commits with merges")
def long_history(case):
    work, url = case.work(), case.remote()
    stream, at = [], 1_600_000_000
    for number in range(1, 3001):
        words = f"commit {number}\n"
        stream.append(f"commit refs/heads/main\nmark :{number}\ncommitter A <a@b> {at + number} +0000\n")
        stream.append(f"data {len(words)}\n{words}")
        if number > 1:
            stream.append(f"from :{number - 1}\n")
        if number % 10 == 0:
            stream.append(f"merge :{number - 7}\n")
        stream.append(f"M 644 inline dir-{number % 37}/file\ndata {len(words)}\n{words}\n")
    work.git("fast-import", "--quiet", data="".join(stream))
    work.git("push", "-q", url, "main")
    clone = case.clone(url)
    equal(clone.count(), 3000)
    equal(clone.id("HEAD"), work.id("main"))
    clone.fsck()


@check("submodules are cloned with what they are in")
def submodules(case):
    inner, inner_url = case.pushed(2, "inner")
    outer = case.work("outer", 1)
    outer.git("submodule", "--quiet", "add", inner_url, "sub")
    outer.git("commit", "-q", "-m", "a submodule")
    url = case.remote("outer")
    outer.git("push", "-q", url, "main")
    clone = case.clone(url, "clone", "--recurse-submodules")
    equal(clone.git("-C", "sub", "rev-parse", "HEAD"), inner.id("main"))
    inner.commit("later")
    inner.git("push", "-q", "origin", "main")
    clone.git("submodule", "--quiet", "update", "--remote")
    equal(clone.git("-C", "sub", "rev-parse", "HEAD"), inner.id("main"))


@check("a repository of SHA-256 is pushed, cloned, fetched and cut")
def sha256(case):
    work = case.work("work", 4, "sha256")
    url = case.remote("sha256", "sha256")
    code, printed = work.run("push", "-q", url, "main")
    if code != 0 and "hash algorithm" in printed and not case.server.create:
        raise Skipped("the first push makes no repository of SHA-256: use --create")
    expect(code == 0, printed)
    clone = case.clone(url)
    clone.fsck()
    equal(len(clone.id("HEAD")), 64)
    work.commit("later")
    work.git("push", "-q", url, "main")
    clone.git("pull", "-q")
    equal(clone.id("HEAD"), work.id("HEAD"))
    cut = case.clone(url, "cut", "--depth=2")
    equal(cut.count(), 2)
    cut.git("fetch", "-q", "--unshallow")
    equal(cut.count(), 5)


@check("names with and without .git, with a slash at the end, and percent-encoded are the same")
def names(case):
    work, url = case.pushed(1)
    plain = url.removesuffix(".git")
    head, last = plain.rsplit("/", 1)
    encoded = f"{head}/%{ord(last[0]):02x}{last[1:]}"
    for other in (plain, url + "/", plain + "/", encoded, encoded + ".git"):
        equal(case.listed(other).get("HEAD"), work.id("main"), other)


@check("a repository that is not there is said to be missing, in words")
def missing(case):
    url = case.url("nobody-made-this")
    shown = case.clients.refused("ls-remote", url, shows=("remote: ", "not found"))
    expect("<html" not in shown.lower(), shown)
    case.clients.refused("clone", url, "clone", shows="not found")
