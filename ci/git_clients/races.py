"""Clients at the same time."""

import concurrent.futures

from .support import check, equal, expect

CLIENTS = 6


def together(*calls):
    """Makes all calls at the same time; what each returned."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [done.result() for done in [pool.submit(call) for call in calls]]


@check("of pushes of one ref at the same time one wins, and the others are told")
def one_ref(case):
    _, url = case.pushed(2)
    clones = [case.clone(url, f"clone-{number}") for number in range(CLIENTS)]
    for number, clone in enumerate(clones):
        clone.commit(f"by {number}")
    pushes = [lambda clone=clone: clone.run("push", "origin", "main") for clone in clones]
    results = together(*pushes)
    winners = [clone for clone, (code, _) in zip(clones, results) if code == 0]
    equal(len(winners), 1, "\n".join(printed for _, printed in results))
    for code, printed in results:
        expect(code == 0 or "rejected" in printed, printed)
    equal(case.listed(url)["refs/heads/main"], winners[0].id("main"))
    case.clone(url, "after").fsck()


@check("of pushes that create one ref at the same time one wins")
def one_new_ref(case):
    _, url = case.pushed(1)
    clones = [case.clone(url, f"clone-{number}") for number in range(CLIENTS)]
    for number, clone in enumerate(clones):
        clone.commit(f"by {number}")
    pushes = [lambda clone=clone: clone.run("push", "origin", "main:new") for clone in clones]
    results = together(*pushes)
    equal(sum(code == 0 for code, _ in results), 1, results)


@check("pushes of different refs at the same time are all taken")
def different_refs(case):
    _, url = case.pushed(1)
    clones = [case.clone(url, f"clone-{number}") for number in range(CLIENTS)]
    for number, clone in enumerate(clones):
        clone.commit(f"by {number}")
    pushes = [
        lambda at=at, clone=clone: clone.git("push", "-q", "origin", f"main:refs/heads/b-{at}")
        for at, clone in enumerate(clones)
    ]
    together(*pushes)
    found = case.listed(url)
    for number, clone in enumerate(clones):
        equal(found[f"refs/heads/b-{number}"], clone.id("main"))
    case.clone(url, "after", "--mirror").fsck()


@check("clones while others push are each whole")
def clones_and_pushes(case):
    work, url = case.pushed(3)

    def push():
        for number in range(8):
            work.commit(f"more-{number}")
            work.git("push", "-q", "origin", "main")

    def clone(number):
        for turn in range(3):
            case.clone(url, f"clone-{number}-{turn}").fsck()

    together(push, *[lambda number=number: clone(number) for number in range(3)])
    equal(case.listed(url)["refs/heads/main"], work.id("main"))
