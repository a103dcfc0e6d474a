"""Pushes: what is taken, what is refused, and how each ref is reported."""

from .support import check, equal, expect


@check("branches and tags are pushed by every way to name them")
def ways(case):
    work, url = case.pushed(2)
    work.git("branch", "one", "main~1")
    work.git("tag", "light")
    work.git("tag", "-a", "-m", "annotated", "heavy")
    work.git("push", "-q", "--all", "origin")
    work.git("push", "-q", "--tags", "origin")
    expected = {**work.refs("refs/heads"), **work.refs("refs/tags")}
    found = case.listed(url)
    equal({name: found[name] for name in expected}, expected)
    work.git("tag", "-a", "-m", "later", "later")
    work.commit("more")
    work.git("push", "-q", "--follow-tags", "origin", "main")
    expect("refs/tags/later" in case.listed(url))


@check("a second push of the same changes nothing")
def again(case):
    work, url = case.pushed(2)
    before = case.listed(url)
    said = work.git("push", "origin", "main")
    expect("Everything up-to-date" in said, said)
    equal(case.listed(url), before)


@check("a branch at a commit that is there takes no objects")
def no_objects(case):
    work, url = case.pushed(3)
    work.git("push", "-q", "origin", "main~1:refs/heads/before")
    equal(case.listed(url)["refs/heads/before"], work.id("main~1"))


@check("a push that is no fast-forward is refused, and taken when it is forced")
def force(case):
    work, url = case.pushed(3)
    clone = case.clone(url)
    work.git("commit", "-q", "--amend", "-m", "changed")
    work.refused("push", "origin", "main", shows="non-fast-forward")
    work.git("push", "-q", "--force", "origin", "main")
    clone.git("fetch", "-q")
    equal(clone.id("origin/main"), work.id("main"))
    clone.commit("ours")
    clone.refused("push", "origin", "main", shows="non-fast-forward")


@check("one who does not know the newest commit is told to fetch first")
def fetch_first(case):
    work, url = case.pushed(2)
    clone = case.clone(url)
    work.commit("theirs")
    work.git("push", "-q", "origin", "main")
    clone.commit("ours")
    clone.refused("push", "origin", "main", shows="fetch first")
    equal(case.listed(url)["refs/heads/main"], work.id("main"))


@check("a lease that is not held any more refuses a push")
def lease(case):
    work, url = case.pushed(2)
    clone = case.clone(url)
    work.commit("theirs")
    work.git("push", "-q", "origin", "main")
    clone.git("commit", "-q", "--amend", "-m", "ours")
    clone.refused("push", "--force-with-lease", "origin", "main", shows="stale info")
    clone.git("fetch", "-q")
    clone.git("push", "-q", "--force-with-lease", "origin", "main")
    equal(case.listed(url)["refs/heads/main"], clone.id("main"))


@check("branches and tags are deleted, and what is not there is not")
def delete(case):
    work, url = case.pushed(2)
    work.git("tag", "-a", "-m", "one", "v1")
    work.git("push", "-q", "origin", "v1", "main:refs/heads/gone")
    work.git("push", "-q", "origin", ":gone", ":refs/tags/v1")
    equal(set(case.listed(url)), {"HEAD", "refs/heads/main"})
    work.refused("push", "origin", ":gone", shows="remote ref does not exist")


@check("a branch is renamed in one push")
def rename(case):
    work, url = case.pushed(2)
    work.git("push", "-q", "origin", "main:refs/heads/old")
    work.git("push", "-q", "--atomic", "origin", "main:refs/heads/new", ":old")
    equal(set(case.listed(url)), {"HEAD", "refs/heads/main", "refs/heads/new"})


@check("an atomic push is done as a whole")
def atomic(case):
    work, url = case.pushed(2)
    work.git("push", "-q", "--atomic", "origin", "main:refs/heads/a", "main~1:refs/heads/b")
    expect({"refs/heads/a", "refs/heads/b"} <= set(case.listed(url)))
    clash = ["main:refs/heads/c", "main:refs/heads/a/below"]
    shown = work.refused("push", "--atomic", "origin", *clash)
    expect(shown.count("[remote rejected]") == 2, shown)
    found = case.listed(url)
    expect("refs/heads/c" not in found and "refs/heads/a/below" not in found, found)


@check("without that, what can be done is done")
def not_atomic(case):
    work, url = case.pushed(2)
    work.git("push", "-q", "origin", "main:refs/heads/a")
    both = ["main:refs/heads/c", "main:refs/heads/a/below"]
    shown = work.refused("push", "origin", *both, shows="[remote rejected] main -> a/below")
    expect("[new branch]      main -> c" in shown, shown)
    expect("refs/heads/c" in case.listed(url))


@check("one ref cannot lie below another")
def directory_and_file(case):
    work, url = case.pushed(1)
    work.git("push", "-q", "origin", "main:refs/heads/a/b")
    work.refused("push", "origin", "main:refs/heads/a", shows="[remote rejected]")
    work.refused("push", "origin", "main:refs/heads/a/b/c", shows="[remote rejected]")
    work.git("push", "-q", "origin", ":a/b")
    work.git("push", "-q", "origin", "main:refs/heads/a")
    equal(set(case.listed(url)), {"HEAD", "refs/heads/main", "refs/heads/a"})


@check("options of a push are accepted")
def options(case):
    work, _ = case.pushed(1)
    work.commit("more")
    work.git("push", "-q", "-o", "ci.skip", "-o", "title=two words", "origin", "main")


@check("a signed push is refused before anything is sent")
def signed(case):
    work, url = case.pushed(1)
    work.refused("push", "--signed=true", "origin", "main:refs/heads/signed", shows="--signed")
    expect("refs/heads/signed" not in case.listed(url))


@check("tags may point to anything, branches to commits")
def kinds(case):
    work, url = case.pushed(1)
    blob, tree = work.id("main:file-0"), work.id("main^{tree}")
    work.git("push", "-q", "origin", f"{blob}:refs/tags/blob", f"{tree}:refs/tags/tree")
    work.git("tag", "-a", "-m", "of a tree", "heavy", tree)
    work.git("push", "-q", "origin", "heavy")
    found = case.listed(url)
    equal((found["refs/tags/blob"], found["refs/tags/heavy^{}"]), (blob, tree))
    work.refused("push", "origin", f"{blob}:refs/heads/blob")
    expect("refs/heads/blob" not in case.listed(url))
    case.clone(url).fsck()


@check("notes and refs of one's own are pushed and fetched")
def other_refs(case):
    work, url = case.pushed(2)
    work.git("notes", "add", "-m", "a note", "main")
    work.git("push", "-q", "origin", "refs/notes/*:refs/notes/*", "main~1:refs/own/x")
    clone = case.clone(url)
    clone.git("fetch", "-q", "origin", "refs/notes/*:refs/notes/*", "refs/own/*:refs/own/*")
    equal(clone.git("notes", "show", "HEAD"), "a note")
    equal(clone.refs("refs/own"), {"refs/own/x": work.id("main~1")})


@check("names of refs may be of any script")
def names_of_refs(case):
    work, url = case.pushed(1)
    names = ["größe", "ветка", "枝/葉", "a@b", "x+y,z", "it's"]
    work.git("push", "-q", "origin", *[f"main:refs/heads/{name}" for name in names])
    expect({f"refs/heads/{name}" for name in names} <= set(case.listed(url)))
    clone = case.clone(url)
    expect({f"refs/remotes/origin/{name}" for name in names} <= set(clone.refs()))


@check("a push of megabytes goes in chunks, after a probe")
def large(case):
    work, url = case.pushed(1)
    noise = bytes((n * n * 2_654_435_761 >> 11) & 255 for n in range(3_000_000))
    work.commit("noise", noise)
    work.git("-c", "http.postBuffer=65536", "push", "-q", "origin", "main")
    clone = case.clone(url)
    equal((clone.path / "noise").read_bytes(), noise)
    clone.fsck()


@check("a push sends only what changed, as deltas of what is there")
def thin(case):
    work, url = case.pushed(1)
    lines = [f"line {number}\n" for number in range(20_000)]
    work.commit("large", "".join(lines))
    work.git("push", "-q", "origin", "main")
    for at in (5, 500, 15_000):
        lines[at] = "changed\n"
        work.commit("large", "".join(lines))
        work.git("push", "-q", "--thin", "origin", "main")
    clone = case.clone(url)
    equal((clone.path / "large").read_text(), "".join(lines))
    clone.fsck()


@check("many branches and commits in one push")
def many(case):
    work, url = case.pushed(1)
    lines, base = [], work.id("main")
    for number in range(200):
        lines.append(f"commit refs/heads/b-{number}\ncommitter A <a@b> {1_600_000_000 + number} +0000\n")
        lines.append(f"data 1\nx\nfrom {base}\nM 644 inline f-{number}\ndata 2\n{number % 10}\n\n")
    work.git("fast-import", "--quiet", data="".join(lines))
    work.git("push", "-q", "--all", "origin")
    clone = case.clone(url, "clone", "--mirror")
    equal(clone.refs("refs/heads"), work.refs("refs/heads"))
    clone.fsck()
