"""Shallow clones and partial clones."""

from .support import check, equal, expect


@check("a shallow clone is cut, deepened and completed")
def depth(case):
    _, url = case.pushed(12)
    clone = case.clone(url, "clone", "--depth=2")
    equal(clone.count(), 2)
    clone.fsck()
    clone.git("fetch", "-q", "--depth=5")
    equal(clone.count("origin/main"), 5)
    clone.git("fetch", "-q", "--deepen=3")
    equal(clone.count("origin/main"), 8)
    clone.fsck()
    clone.git("fetch", "-q", "--unshallow")
    equal(clone.count("origin/main"), 12)
    equal(clone.git("rev-parse", "--is-shallow-repository"), "false")
    clone.fsck()


@check("a clone of depth 1, as builds make it, follows its branch")
def depth_one(case):
    work, url = case.pushed(6)
    clone = case.clone(url, "clone", "--depth=1")
    equal(clone.count(), 1)
    work.commit("more")
    work.git("push", "-q", "origin", "main")
    clone.git("fetch", "-q", "--depth=1")
    equal(clone.id("origin/main"), work.id("main"))
    equal(clone.count("origin/main"), 1)
    work.commit("still more")
    work.git("push", "-q", "origin", "main")
    clone.git("fetch", "-q")
    equal(clone.count("origin/main"), 2)
    clone.fsck()


@check("a deepening fetch makes a history shorter, too")
def shorter(case):
    _, url = case.pushed(8)
    clone = case.clone(url, "clone")
    clone.git("fetch", "-q", "--depth=3", "origin", "main")
    equal(clone.count("origin/main"), 3)


@check("a history is cut at a date")
def since(case):
    _, url = case.pushed(10)
    date = f"@{1_600_000_000 + 6 * 86_400 - 100} +0000"
    clone = case.clone(url, "clone", f"--shallow-since={date}")
    equal(clone.count(), 4)
    clone.git("fetch", "-q", "--unshallow")
    equal(clone.count(), 10)
    clone.fsck()


@check("a history is cut at what another ref reaches")
def exclude(case):
    work, url = case.pushed(9)
    work.git("tag", "-a", "-m", "old", "old", "main~3")
    work.git("push", "-q", "origin", "old", "main~5:refs/heads/older")
    clone = case.clone(url, "clone", "--shallow-exclude=old", "--no-tags", "--single-branch")
    equal(clone.count(), 3)
    clone.git("fetch", "-q", "--shallow-exclude=older", "origin", "main")
    equal(clone.count("origin/main"), 5)
    case.clients.refused("clone", "-q", "--shallow-exclude=none", url, "no")


@check("merges and several branches are cut at the same depth")
def depth_of_merges(case):
    work, _ = case.pushed(4)
    work.git("checkout", "-q", "-b", "side", "main~2")
    work.commit("on the side")
    work.commit("and more")
    work.git("checkout", "-q", "main")
    work.git("merge", "-q", "--no-edit", "side")
    work.git("push", "-q", "origin", "main", "side")
    for levels in (1, 2, 3, 4):
        name = f"clone-{levels}"
        cut = ["--no-single-branch", f"--depth={levels}"]
        theirs = case.clone(case.url(), name, *cut)
        own = case.clone(f"file://{work.path}", name + "-own", *cut)
        equal(theirs.count("--all"), own.count("--all"), f"depth {levels}")
        equal(theirs.git("rev-list", "--all"), own.git("rev-list", "--all"))
        theirs.fsck()


@check("what was committed on a shallow clone is pushed")
def push_from_shallow(case):
    work, url = case.pushed(5)
    clone = case.clone(url, "clone", "--depth=1")
    clone.commit("new")
    clone.git("push", "-q", "origin", "main")
    work.git("pull", "-q", "origin", "main")
    equal(work.count(), 6)
    work.fsck()


@check("a shallow clone fetches tags and other branches")
def shallow_refs(case):
    work, url = case.pushed(6)
    work.git("tag", "-a", "-m", "one", "v1", "main~4")
    work.git("push", "-q", "origin", "v1", "main~3:refs/heads/side")
    clone = case.clone(url, "clone", "--depth=1")
    clone.git("fetch", "-q", "--depth=1", "origin", "side:refs/remotes/origin/side", "tag", "v1")
    equal(clone.count("origin/side"), 1)
    equal(clone.id("v1^{commit}"), work.id("main~4"))
    clone.fsck()


def blobs_missing(work):
    """How many objects a partial clone lacks."""
    lines = work.git("rev-list", "--objects", "--all", "--missing=print").splitlines()
    return sum(line.startswith("?") for line in lines)


@check("a clone without blobs fetches them when they are needed")
def blob_none(case):
    work, url = case.pushed(5)
    clone = case.clone(url, "clone", "--filter=blob:none", "--no-checkout")
    equal(blobs_missing(clone), 5)
    clone.git("checkout", "-q", "main")
    equal(blobs_missing(clone), 0)
    work.commit("file-0", "changed\n")
    work.git("push", "-q", "origin", "main")
    clone.git("fetch", "-q")
    equal(blobs_missing(clone), 1)
    equal(clone.git("show", "origin/main:file-0"), "changed")
    clone.fsck()


@check("a clone without large blobs has the small ones")
def blob_limit(case):
    work = case.work()
    work.write("small", "small\n")
    work.commit("large", "large\n" * 1000)
    url = case.remote()
    work.git("push", "-q", url, "main")
    clone = case.clone(url, "clone", "--filter=blob:limit=1k", "--no-checkout")
    equal(blobs_missing(clone), 1)
    clone.git("checkout", "-q", "main")
    clone.fsck()


@check("a clone without trees fetches them when they are needed")
def tree_depth(case):
    work = case.work()
    for directory in ("a", "a/b", "a/b/c"):
        work.commit(f"{directory}/file")
    url = case.remote()
    work.git("push", "-q", url, "main")
    bare = case.clone(url, "bare", "--filter=tree:0", "--no-checkout")
    expect(blobs_missing(bare) > 0)
    bare.git("checkout", "-q", "main")
    equal(bare.id("HEAD^{tree}"), work.id("main^{tree}"))
    equal(bare.git("log", "--oneline", "--", "a/b").count("\n"), 1)
    one = case.clone(url, "one", "--filter=tree:1", "--no-checkout")
    one.git("checkout", "-q", "main")
    one.fsck()


@check("a partial clone that is shallow and sparse")
def sparse(case):
    work = case.work()
    for directory in ("wanted", "unwanted"):
        for number in range(3):
            work.commit(f"{directory}/{number}")
    url = case.remote()
    work.git("push", "-q", url, "main")
    clone = case.clone(url, "clone", "--filter=blob:none", "--depth=1", "--sparse")
    clone.git("sparse-checkout", "set", "wanted")
    equal(sorted(path.name for path in (clone.path / "wanted").iterdir()), ["0", "1", "2"])
    expect(blobs_missing(clone) > 0)


@check("what was committed on a partial clone is pushed")
def push_from_partial(case):
    work, url = case.pushed(3)
    clone = case.clone(url, "clone", "--filter=blob:none")
    clone.commit("file-1", "changed\n")
    clone.git("push", "-q", "origin", "main")
    work.git("pull", "-q", "origin", "main")
    equal((work.path / "file-1").read_text(), "changed\n")


@check("a filter that the server does not know is refused in words")
def unknown_filter(case):
    _, url = case.pushed(1)
    case.clients.refused("clone", "--filter=sparse:oid=main:x", url, "no", shows="filter")
