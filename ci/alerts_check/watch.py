"""Which alerts fire from when to when, and the table of that."""

import threading
import time

from dev_cluster import Broken

LOOK_SECONDS = 0.25


class Watch:
    """Looks at a Prometheus while it lives."""

    def __init__(self, prometheus):
        self.prometheus, self.lock, self.ended = prometheus, threading.Lock(), threading.Event()
        # For each alert and instance ("" where it is of no node): pairs of when it began and ended.
        self.times = {}
        self.rows = []
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def look(self):
        while not self.ended.wait(LOOK_SECONDS):
            try:
                labels = self.prometheus.firing()
            except (Broken, OSError):
                continue
            firing = {(one["alertname"], one.get("instance", "")) for one in labels}
            with self.lock:
                for key in firing:
                    spans = self.times.setdefault(key, [])
                    if not spans or spans[-1][1] is not None:
                        spans.append([time.monotonic(), None])
                for key, spans in self.times.items():
                    if key not in firing and spans[-1][1] is None:
                        spans[-1][1] = time.monotonic()

    def seen(self):
        """All alerts that fired at any time, as text."""
        with self.lock:
            return sorted(" of ".join(filter(None, key)) for key in self.times)

    def span(self, alert, instance, began):
        """When it began to fire, if it fires or did after that time, and when that ended."""
        with self.lock:
            for start, stop in self.times.get((alert, instance), []):
                if stop is None or stop > began:
                    return start, stop
        return None

    def fires(self, alert, instance, fault, began, patience, meanwhile=lambda: time.sleep(0.2)):
        """Waits until an alert fires, and remembers how long that took."""
        while not (span := self.span(alert, instance, began)):
            if time.monotonic() > began + patience:
                raise Broken(f"{alert} of {instance or 'all'} does not fire within {patience} s by its fault: {fault}")
            meanwhile()
        row = [alert, instance or "all", fault, max(0, span[0] - began), None]
        self.rows.append(row)
        print(f"ci/alerts: {alert} fires after {row[3]:.1f} s: {fault}", flush=True)
        return row

    def clears(self, row, healed, patience):
        """Waits until an alert fires no more, and remembers how long that took."""
        while True:
            with self.lock:
                stop = self.times[row[0], "" if row[1] == "all" else row[1]][-1][1]
            if stop is not None:
                break
            if time.monotonic() > healed + patience:
                raise Broken(f"{row[0]} of {row[1]} still fires {patience} s after its fault has gone")
            time.sleep(0.2)
        row[4] = max(0, stop - healed)
        print(f"ci/alerts: {row[0]} ends after {row[4]:.1f} s", flush=True)

    def table(self):
        """A line for each alert: what it is, by which fault, seconds until it fired and until it ended."""
        head = ["alert", "node", "fires s", "ends s", "fault"]
        lines = [[alert, node, f"{fires:.1f}", "-" if ends is None else f"{ends:.1f}", fault]
                 for alert, node, fault, fires, ends in self.rows]
        widths = [max(len(line[column]) for line in [head, *lines]) for column in range(4)] + [0]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                         for line in [head, *lines])

    def end(self):
        self.ended.set()
        self.thread.join()
