"""Requests that git itself would not make, and what it does not look at in answers."""

import base64
import gzip
import hashlib
import http.client
import struct
import urllib.parse
import zlib

from .support import check, equal, expect

ZERO = "0" * 40
UPLOAD, RECEIVE = "git-upload-pack", "git-receive-pack"


def packet(line):
    """A packet of a line; of `0000` and `0001`, the mark."""
    if line in ("0000", "0001"):
        return line.encode()
    data = line if isinstance(line, bytes) else line.encode()
    return f"{len(data) + 4:04x}".encode() + data


def packets(*lines):
    """Several of them."""
    return b"".join(packet(line) for line in lines)


def read_packets(data):
    """The packets of an answer, all of which must be whole."""
    found = []
    while data:
        expect(len(data) >= 4, "it ends within a length", data)
        length = int(data[:4], 16)
        if length < 4:
            found.append(data[:4].decode())
            data = data[4:]
        else:
            expect(len(data) >= length, "it ends within a packet", data)
            found.append(data[4:length])
            data = data[length:]
    return found


def pack(*objects):
    """A pack of these pairs of kind and data."""
    data = b"PACK" + struct.pack(">II", 2, len(objects))
    for kind, contents in objects:
        size = len(contents)
        byte, size = kind << 4 | size & 15, size >> 4
        while size:
            data += bytes([byte | 128])
            byte, size = size & 127, size >> 7
        data += bytes([byte]) + zlib.compress(contents)
    return data + hashlib.sha1(data).digest()


class Wire:
    """Requests about one repository."""

    def __init__(self, case, url):
        self.url = urllib.parse.urlsplit(url)
        self.version = case.version

    def send(self, method, path, body=None, headers=None):
        """Sends a request; its status, headers and body."""
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        connection = kinds[self.url.scheme](self.url.netloc.split("@")[-1], timeout=120)
        all_headers = dict(headers or {})
        if self.version:
            all_headers.setdefault("Git-Protocol", f"version={self.version}")
        if self.url.username:
            user = f"{self.url.username}:{self.url.password or ''}".encode()
            all_headers["Authorization"] = "Basic " + base64.b64encode(user).decode()
        is_chunked = "Transfer-Encoding" in all_headers
        connection.request(
            method, self.url.path + path, body, all_headers, encode_chunked=is_chunked
        )
        answer = connection.getresponse()
        received = answer.read()
        connection.close()
        return answer.status, answer.headers, received

    def post(self, service, body, **headers):
        """Posts to a service."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("Content-Type", f"application/x-{service}-request")
        return self.send("POST", f"/{service}", body, named)

    def push(self, command, data=b"", capabilities="report-status"):
        """Pushes; the lines of the report."""
        body = packets(f"{command}\0{capabilities}", "0000") + data
        status, _, answer = self.post(RECEIVE, body)
        equal(status, 200, answer)
        return [line.decode(errors="replace").strip() for line in read_packets(answer)
                if isinstance(line, bytes)]


def wire(case, commits=1):
    """A repository that was pushed, and a way to ask about it."""
    work, url = case.pushed(commits)
    return work, Wire(case, url)


@check("answers are not cached, and say of what type they are")
def headers(case):
    _, asked = wire(case)
    for service in (UPLOAD, RECEIVE):
        status, found, body = asked.send("GET", f"/info/refs?service={service}")
        equal(status, 200)
        equal(found["Content-Type"], f"application/x-{service}-advertisement")
        expect("no-cache" in found["Cache-Control"], found)
        first = read_packets(body)[0]
        is_v2 = (case.version, service) == (2, UPLOAD)
        expect(first.strip() == (b"version 2" if is_v2 else f"# service={service}".encode()), first)


@check("version 1 says so, and a push is of version 0 or 1", versions=(1,))
def version_one(case):
    _, asked = wire(case)
    for service in (UPLOAD, RECEIVE):
        _, _, body = asked.send("GET", f"/info/refs?service={service}")
        equal(read_packets(body)[2].strip(), b"version 1")


@check("the four bytes that come before a long request are answered with nothing")
def probe(case):
    _, asked = wire(case)
    for service in (UPLOAD, RECEIVE):
        status, found, body = asked.post(service, b"0000")
        equal((status, body), (200, b""))
        equal(found["Content-Type"], f"application/x-{service}-result")


@check("what is no path of a repository is refused in plain text")
def paths(case):
    _, asked = wire(case)
    cases = [
        ("GET", "/info/refs", 403),
        ("GET", "/HEAD", 403),
        ("GET", "/objects/info/packs", 403),
        ("GET", "/info/refs?service=git-dance", 403),
        ("GET", "/git-upload-pack", 405),
        ("POST", "/info/refs?service=git-upload-pack", 405),
    ]
    for method, path, expected in cases:
        status, found, body = asked.send(method, path, b"" if method == "POST" else None)
        equal(status, expected, f"{method} {path}: {body}")
        expect(found["Content-Type"].startswith("text/plain"), found)
        expect((status == 405) == ("Allow" in found), found)


@check("a body of another type is refused")
def types(case):
    _, asked = wire(case)
    for service in (UPLOAD, RECEIVE):
        status, _, _ = asked.post(service, b"0000", Content_Type="text/plain")
        equal(status, 415)


def fetch_body(case, commit):
    """A request for a commit and all before it."""
    if case.version == 2:
        lines = ["command=fetch", "object-format=sha1", "0001", f"want {commit}", "done", "0000"]
    else:
        lines = [f"want {commit} side-band-64k ofs-delta", "0000", "done"]
    return packets(*lines)


def has_pack(answer):
    """Whether an answer has a pack in its first band, and ends as it should."""
    found = read_packets(answer)
    data = b"".join(line[1:] for line in found if line[:1] == b"\1")
    return data.startswith(b"PACK") and found[-1] == "0000"


@check("a compressed request, and one in chunks, are read")
def encodings(case):
    work, asked = wire(case)
    body = fetch_body(case, work.id("main"))
    for encoding in ("gzip", "x-gzip"):
        status, _, answer = asked.post(UPLOAD, gzip.compress(body), Content_Encoding=encoding)
        expect(status == 200 and has_pack(answer), status, answer[:200])
    parts = (body[at : at + 7] for at in range(0, len(body), 7))
    status, _, answer = asked.post(UPLOAD, parts, Transfer_Encoding="chunked")
    expect(status == 200 and has_pack(answer), status, answer[:200])


@check("a request that makes no sense is refused in a packet")
def nonsense(case):
    work, asked = wire(case)
    body = fetch_body(case, work.id("main"))
    cases = [fetch_body(case, "2" * 40), b"hello, world", b"ffffabc", body[: len(body) // 2]]
    if case.version == 2:
        cases += [packets("command=dance", "0000"), packets("command=fetch", "0001", "dance", "0000")]
    for wrong in cases:
        status, _, answer = asked.post(UPLOAD, wrong)
        equal(status, 200, wrong)
        expect(read_packets(answer)[-1].startswith(b"ERR "), wrong, answer)


@check("a compressed request that explodes is stopped")
def bomb(case):
    _, asked = wire(case)
    line = packet(b"x" * 60_000)
    body = packets("command=fetch", "0001") if case.version == 2 else b""
    status, _, answer = asked.post(UPLOAD, gzip.compress(body + line * 1000, 1), Content_Encoding="gzip")
    expect(status in (200, 400, 413), status)
    expect(b"PACK" not in answer, answer[:200])


@check("names that git does not allow are refused")
def names(case):
    work, asked = wire(case)
    commit = work.id("main")
    for name in ("refs/heads/a..b", "refs/heads/.a", "refs/heads/a.lock", "refs/heads/a b",
                 "refs/heads/", "HEAD", "main", "refs/heads/a~1", "refs/heads/\x7f"):
        report = asked.push(f"{ZERO} {commit} {name}", pack())
        expect(any(line.startswith(("ng ", "ERR ")) for line in report), name, report)
    equal(set(case.listed(case.url())), {"HEAD", "refs/heads/main"})


@check("a ref is not changed by one who is wrong about what it is")
def stale(case):
    work, asked = wire(case, 3)
    main, before = work.id("main"), work.id("main~1")
    for old in (before, ZERO, "3" * 40):
        report = asked.push(f"{old} {work.id('main~2')} refs/heads/main", pack())
        expect(any(line.startswith("ng refs/heads/main ") for line in report), old, report)
    equal(case.listed(case.url())["refs/heads/main"], main)
    report = asked.push(f"{before} {ZERO} refs/heads/main", b"", "report-status delete-refs")
    expect(any(line.startswith("ng refs/heads/main ") for line in report), report)


@check("a pack that is damaged changes nothing")
def damaged(case):
    _, asked = wire(case)
    whole = pack((3, b"some contents\n" * 20))
    blob = hashlib.sha1(b"blob 280\0" + b"some contents\n" * 20).hexdigest()
    cases = {
        "cut off": whole[:-30],
        "one byte changed": whole[:20] + bytes([whole[20] ^ 1]) + whole[21:],
        "another trailer": whole[:-1] + bytes([whole[-1] ^ 1]),
        "a count too large": whole[:8] + b"\xff\xff\xff\xff" + whole[12:],
        "no pack": b"hello, world",
        "nothing": b"",
    }
    for what, data in cases.items():
        report = asked.push(f"{ZERO} {blob} refs/tags/blob", data)
        expect(report and not report[0].startswith("unpack ok"), what, report)
    equal(set(case.listed(case.url())), {"HEAD", "refs/heads/main"})
    report = asked.push(f"{ZERO} {blob} refs/tags/blob", whole)
    equal(report[:2], ["unpack ok", "ok refs/tags/blob"])


@check("a push that lacks objects is refused")
def incomplete(case):
    _, asked = wire(case)
    who = "Ann <ann@example.com> 1600000000 +0000"
    commit = f"tree {'4' * 40}\nauthor {who}\ncommitter {who}\n\nno tree\n".encode()
    name = hashlib.sha1(b"commit %d\0" % len(commit) + commit).hexdigest()
    for new, data in ((name, pack((1, commit))), ("5" * 40, pack())):
        report = asked.push(f"{ZERO} {new} refs/heads/lacking", data)
        expect(any(line.startswith("ng refs/heads/lacking ") for line in report), report)
    equal(set(case.listed(case.url())), {"HEAD", "refs/heads/main"})


@check("two updates of one ref in one push are refused")
def twice(case):
    work, asked = wire(case, 2)
    update = f"{ZERO} {work.id('main')} refs/heads/twice"
    body = packets(f"{update}\0report-status", update, "0000") + pack()
    _, _, answer = asked.post(RECEIVE, body)
    lines = [line for line in read_packets(answer) if isinstance(line, bytes)]
    equal(sum(line.startswith(b"ng refs/heads/twice ") for line in lines), 2, lines)


@check("several commands in one request are answered in order", versions=(2,))
def several(case):
    work, asked = wire(case)
    commit = work.id("main")
    body = packets("command=ls-refs", "0001", "ref-prefix refs/heads/", "0000")
    _, _, answer = asked.post(UPLOAD, body + fetch_body(case, commit))
    found = read_packets(answer)
    equal(found[0].strip(), f"{commit} refs/heads/main".encode())
    expect(b"packfile\n" in found, found[:4])
