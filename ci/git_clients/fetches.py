"""Fetches: what is sent, what follows, what is negotiated."""

from .support import check, equal, expect


@check("new commits are fetched, and pulled into a merge")
def fetch_and_pull(case):
    work, url = case.pushed(3)
    clone = case.clone(url)
    work.commit("theirs")
    work.git("push", "-q", "origin", "main")
    clone.git("fetch", "-q")
    equal(clone.id("origin/main"), work.id("main"))
    clone.commit("ours")
    clone.git("pull", "-q", "--no-rebase", "--no-edit")
    clone.git("push", "-q", "origin", "main")
    work.git("pull", "-q", "origin", "main")
    equal(len(work.git("rev-list", "--parents", "-1", "HEAD").split()), 3, "a merge")
    work.fsck()


@check("a fetch of what is there already changes nothing")
def nothing_new(case):
    _, url = case.pushed(2)
    clone = case.clone(url)
    before = clone.refs()
    clone.git("fetch", "-q")
    equal(clone.refs(), before)
    clone.git("fetch", "-q", "--refetch")
    clone.fsck()


@check("tags follow the commits that they point to")
def tags_follow(case):
    work, url = case.pushed(2)
    clone = case.clone(url)
    work.commit("more")
    work.git("tag", "light")
    work.git("tag", "-a", "-m", "annotated", "heavy")
    work.git("tag", "-a", "-m", "elsewhere", "apart", "main~2")
    work.git("push", "-q", "origin", "main", "light", "heavy", "apart")
    clone.git("fetch", "-q", "origin", "main")
    clone.git("fetch", "-q", "origin")
    equal(clone.refs("refs/tags"), work.refs("refs/tags"))
    clone.fsck()


@check("a nested tag brings all tags that it leads through")
def nested_tags(case):
    work, url = case.pushed(1)
    work.git("tag", "-a", "-m", "one", "one")
    work.git("tag", "-a", "-m", "two", "two", "one")
    work.git("push", "-q", "origin", "two")
    clone = case.clone(url)
    equal(clone.id("two^{commit}"), work.id("main"))
    clone.fsck()


@check("refs that were deleted are pruned, and moved ones followed")
def prune(case):
    work, url = case.pushed(3)
    work.git("push", "-q", "origin", "main:refs/heads/gone", "main:refs/heads/moved")
    clone = case.clone(url)
    work.git("push", "-q", "origin", ":gone", "+main~1:moved")
    clone.git("fetch", "-q", "--prune")
    equal(clone.id("origin/moved"), work.id("main~1"))
    expect("refs/remotes/origin/gone" not in clone.refs())


@check("a branch that goes from file to directory is followed")
def directory_for_file(case):
    work, url = case.pushed(1)
    work.git("push", "-q", "origin", "main:refs/heads/a")
    clone = case.clone(url)
    work.git("push", "-q", "origin", ":a")
    work.git("push", "-q", "origin", "main:refs/heads/a/b")
    clone.git("fetch", "-q", "--prune")
    expect("refs/remotes/origin/a/b" in clone.refs(), clone.refs())


@check("one commit is fetched by its id, though no ref points to it")
def by_id(case):
    work, url = case.pushed(4)
    clone = case.work("other")
    clone.git("fetch", "-q", url, work.id("main~2"))
    equal(clone.count("FETCH_HEAD"), 2)
    clone.fsck()


@check("an object that is not there is refused in words")
def unknown_id(case):
    _, url = case.pushed(1)
    other = case.work("other")
    other.refused("fetch", url, "1" * 40, shows="not our ref " + "1" * 40)


@check("histories that have gone apart are negotiated")
def diverged(case):
    work, url = case.pushed(1)
    clone = case.clone(url)
    for number in range(150):
        clone.git("commit", "-q", "--allow-empty", "-m", f"ours {number}")
    for number in range(40):
        work.git("commit", "-q", "--allow-empty", "-m", f"theirs {number}")
    work.git("push", "-q", "origin", "main")
    clone.git("fetch", "-q", "origin")
    equal(clone.id("origin/main"), work.id("main"))
    equal(clone.git("merge-base", "HEAD", "origin/main"), work.id("main~40"))


@check("criss-cross merges are fetched")
def criss_cross(case):
    work, url = case.pushed(2)
    clone = case.clone(url)
    for number in range(6):
        work.git("checkout", "-q", "-B", "left", "main" if number == 0 else "left")
        left = work.commit(f"left-{number}")
        work.git("checkout", "-q", "-B", "right", "main" if number == 0 else "right")
        work.commit(f"right-{number}")
        work.git("merge", "-q", "--no-edit", left)
        work.git("checkout", "-q", "left")
        work.git("merge", "-q", "--no-edit", "right~1")
        work.git("push", "-q", "origin", "left", "right")
        clone.git("fetch", "-q")
    equal(clone.id("origin/left"), work.id("left"))
    clone.fsck()


@check("an incremental fetch sends little")
def little(case):
    work, url = case.work(commits=1), case.remote()
    large = "".join(f"line {number}\n" for number in range(50_000))
    work.commit("large", large)
    work.git("push", "-q", url, "main")
    clone = case.clone(url)
    clone.git("repack", "-q", "-a", "-d")
    work.commit("large", large.replace("line 25000\n", "another line\n"))
    work.git("push", "-q", url, "main")
    clone.git("fetch", "-q")
    sizes = [path.stat().st_size for path in (clone.path / ".git/objects").rglob("*")]
    packed = (clone.path / ".git/objects/pack").glob("*.pack")
    largest = max(path.stat().st_size for path in packed)
    expect(sum(sizes) < 3 * largest, f"{sum(sizes)} bytes beside a pack of {largest}")
    clone.fsck()


@check("a request of many haves goes compressed or in chunks")
def many_haves(case):
    work, url = case.pushed(1)
    clone = case.clone(url)
    lines, commit = [], clone.id("main")
    for number in range(2000):
        lines.append(f"commit refs/heads/side-{number}\ncommitter A <a@b> {1_600_000_000 + number} +0000\n")
        lines.append(f"data 1\nx\nfrom {commit}\n")
    clone.git("fast-import", "--quiet", data="".join(lines))
    work.commit("more")
    work.git("push", "-q", "origin", "main")
    clone.git("-c", "http.postBuffer=65536", "fetch", "-q", "origin", "main")
    equal(clone.id("FETCH_HEAD"), work.id("main"))


@check("what is common is negotiated without a pack", versions=(2,))
def negotiate_only(case):
    work, url = case.pushed(3)
    clone = case.clone(url)
    common = clone.id("HEAD")
    clone.git("commit", "-q", "--allow-empty", "-m", "ours")
    said = clone.git("fetch", "--negotiate-only", "--negotiation-tip=HEAD", "origin")
    expect(common in said.split(), said)
    equal(work.id("main"), common)


@check("progress is shown to who wants it")
def progress(case):
    _, url = case.pushed(3)
    case.clients.git("clone", "--progress", url, "loud")
    quiet = case.clients.git("clone", "-q", url, "quiet")
    equal(quiet, "")


@check("server options are accepted", versions=(2,))
def server_options(case):
    _, url = case.pushed(1)
    case.clients.git("ls-remote", "-o", "one", "-o", "two=3", url)
    case.clients.git("clone", "-q", "--server-option=x", url, "clone")
