"""A headless Chromium, spoken to by the DevTools protocol over a pair of pipes.

Messages are JSON, each with a zero byte behind it; so nothing but the standard library is needed.
"""

import base64
import json
import os
import shutil
import subprocess
import time

from dev_cluster import Broken

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
PATIENCE_SECONDS = 30


def find():
    """The path of a Chromium on this machine, if there is one."""
    named = os.environ.get("CHROMIUM")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page of a browser of its own, with a profile that is thrown away."""

    def __init__(self, path, profile):
        ours, theirs = os.pipe(), os.pipe()
        to_browser, from_browser = (ours[1], theirs[0])

        def connect():
            # The browser reads descriptor 3 and writes 4.
            reads, writes = os.dup(ours[0]), os.dup(theirs[1])
            os.dup2(reads, 3)
            os.dup2(writes, 4)

        command = [
            path, "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={profile}",
            "--no-first-run", "--no-default-browser-check", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--disable-gpu", "--hide-scrollbars",
            "--force-color-profile=srgb",
        ]
        if os.geteuid() == 0:
            command.append("--no-sandbox")
        self.process = subprocess.Popen(
            command + ["about:blank"], preexec_fn=connect, close_fds=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        os.close(ours[0])
        os.close(theirs[1])
        self.writes = os.fdopen(to_browser, "wb", buffering=0)
        self.reads, self.rest = from_browser, b""
        self.number, self.events, self.session = 0, [], None
        targets = self.ask("Target.getTargets")["targetInfos"]
        target = next(target for target in targets if target["type"] == "page")
        attached = self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ["Page", "Network", "Log", "Runtime", "Accessibility"]:
            self.ask(f"{domain}.enable")

    def close(self):
        """Ends the browser."""
        self.writes.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.reads)

    def message(self):
        """The next message."""
        os.set_blocking(self.reads, False)
        until = time.monotonic() + PATIENCE_SECONDS
        while b"\0" not in self.rest:
            if time.monotonic() > until or self.process.poll() is not None:
                raise Broken("the browser does not answer")
            try:
                read = os.read(self.reads, 1 << 20)
            except BlockingIOError:
                time.sleep(0.005)
                continue
            if not read:
                raise Broken("the browser has gone")
            self.rest += read
        one, self.rest = self.rest.split(b"\0", 1)
        return json.loads(one)

    def ask(self, method, **parameters):
        """Has it do something; what it answers. Events that come meanwhile are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.writes.write(json.dumps(message).encode() + b"\0")
        while True:
            said = self.message()
            if said.get("id") == self.number:
                if "error" in said:
                    raise Broken(f"{method}: {said['error']['message']}")
                return said["result"]
            self.events.append(said)

    def wait_for(self, event):
        """Waits for an event, which may have come already."""
        while not any(said.get("method") == event for said in self.events):
            self.events.append(self.message())

    def screen(self, width, height, dark=False):
        """Has the page this size, in light or in dark."""
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = "dark" if dark else "light"
        self.ask(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def load(self, url, secret=None):
        """Loads a page, and everything that it names; what it asked for, and what it complained of."""
        headers = {}
        if secret:
            headers["Authorization"] = "Basic " + base64.b64encode(f"x:{secret}".encode()).decode()
        self.ask("Network.setExtraHTTPHeaders", headers=headers)
        self.events.clear()
        self.ask("Page.navigate", url=url)
        self.wait_for("Page.loadEventFired")
        requests = [
            said["params"]["request"]["url"]
            for said in self.events if said.get("method") == "Network.requestWillBeSent"
        ]
        complaints = [
            said["params"]["entry"]["text"]
            for said in self.events if said.get("method") == "Log.entryAdded"
        ]
        return requests, complaints

    def value(self, script):
        """What a script comes to in the page. The page's policy is no matter for it."""
        done = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in done:
            raise Broken(f"a script failed: {done['exceptionDetails']}")
        return done["result"].get("value")

    def press(self, key, code):
        """Presses a key and lets it go."""
        for kind in ["keyDown", "keyUp"]:
            self.ask(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code
            )

    def picture(self, file):
        """Writes the whole page, as high as it is, to a PNG file."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        width = self.value("innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": size["height"], "scale": 1}
        shot = self.ask("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))
