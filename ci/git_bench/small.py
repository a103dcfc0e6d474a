"""Many small repositories: each created by its first push, many at once; then one commit at a time."""

import concurrent.futures
import itertools
import shutil
import statistics
import time

from .servers import disk_bytes, git, timed

FILES = 5
SINGLE_PUSHES = 200


def make(directory, number):
    """A repository of one commit, that no other one has an object of."""
    repository = directory / f"small-{number}"
    git("init", "-q", "-b", "main", repository)
    for file in range(FILES):
        text = "".join(f"{number} {file} {line}\n" for line in range(40))
        (repository / f"file{file}").write_text(text)
    git("add", ".", cwd=repository)
    git("commit", "-q", "-m", f"the first of {number}", cwd=repository)
    return repository


def packed_bytes(repository):
    """Bytes of the pack that a push of it sends."""
    pack = repository / "sent.pack"
    git("-c", "pack.threads=1", "pack-objects", "-q", "--all", pack, cwd=repository)
    return sum(path.stat().st_size for path in repository.glob("sent.pack-*.pack"))


def push_all(pool, repositories, url_of):
    """Pushes every repository; seconds in all, and of each push."""
    begun = time.monotonic()
    each = list(pool.map(
        lambda at: timed("push", "-q", url_of(at[0]), "main", cwd=at[1]), repositories
    ))
    return time.monotonic() - begun, each


def percentiles(seconds):
    """The median and the 99th of a hundred, in milliseconds."""
    parts = statistics.quantiles(seconds, n=100)
    return f"p50 {statistics.median(seconds) * 1000:.0f} ms, p99 {parts[98] * 1000:.0f} ms"


def measure(cluster, stock, directory, count, clients, batch, stock_every):
    """Figures for `count` repositories pushed in turns of `batch`, to stock every so many turns."""
    spent, each = {"stock": 0.0, "ours": 0.0}, {"stock": [], "ours": []}
    nodes = itertools.cycle(("n1", "n2", "n3"))
    before, pushed = disk_bytes(cluster.data), 0
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        for turn, start in enumerate(range(0, count, batch)):
            numbers = range(start, min(start + batch, count))
            is_last = start + batch >= count
            made = list(zip(numbers, pool.map(lambda n: make(directory, n), numbers)))
            through = {number: next(nodes) for number in numbers}
            turns = {"ours": lambda number: cluster.url(f"small/{number}", through[number])}
            if turn % stock_every == 0 or is_last:
                for number in numbers:
                    stock.make(f"small/{number}")
                turns["stock"] = lambda number: stock.url(f"small/{number}")
            for whose, url_of in turns.items():
                seconds, one_by_one = push_all(pool, made, url_of)
                spent[whose] += seconds
                each[whose] += one_by_one
            pushed += sum(pool.map(lambda at: packed_bytes(at[1]), made))
            for _, repository in made[:-1] if is_last else made:
                shutil.rmtree(repository)
            print(f"  {numbers.stop} of {count}: {rates(spent, each)}", flush=True)
    time.sleep(1)
    taken = disk_bytes(cluster.data) - before
    print(f"small repositories: {count}, {clients} clients at once, fsync on everywhere")
    for whose, what in (("stock", stock.name), ("ours", cluster.name)):
        rate = len(each[whose]) / spent[whose]
        print(f"  {what}: {len(each[whose])}, {rate:.1f} pushes/s, {percentiles(each[whose])}")
    print(f"  {pushed / count:.0f} bytes in a pack; on the disks of all three nodes together"
          f" {taken / pushed:.1f} bytes for each, {taken / count:.0f} for a repository")
    cluster.look()
    print("  peak memory: "
          + ", ".join(f"{node} {mb} MB" for node, mb in sorted(cluster.peaks.items())), flush=True)
    single(cluster, stock, made[-1][1], count - 1)


def rates(spent, each):
    """Pushes a second, of both."""
    names = (("stock", "stock"), ("ours", "three nodes"))
    return ", ".join(f"{name} {len(each[whose]) / spent[whose]:.0f} pushes/s"
                     for whose, name in names if spent[whose])


def single(cluster, stock, repository, number):
    """One client, one commit a push, the two in turn."""
    each = {"stock": [], "ours": []}
    urls = {"stock": stock.url(f"small/{number}"), "ours": cluster.url(f"small/{number}")}
    for commit in range(SINGLE_PUSHES):
        (repository / "file0").write_text(f"{commit}\n")
        git("commit", "-q", "-a", "-m", f"commit {commit}", cwd=repository)
        for whose, url in urls.items():
            each[whose].append(timed("push", "-q", url, "main", cwd=repository))
    print(f"one commit a push, one client, {SINGLE_PUSHES} pushes (with git's own start):")
    for whose, what in (("stock", stock.name), ("ours", cluster.name)):
        print(f"  {what}: {percentiles(each[whose])}", flush=True)
