"""Prometheus as its binary alone: rules scaled down, a configuration, and what is asked of it."""

import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from dev_cluster import PATIENCE_SECONDS, Broken, end

# How many times shorter all times and counts of the rules are than an operator's, so that an hour is
# half a minute. A scrape each 15 s would be one each 125 ms; windows of 5 min have five samples so.
FACTOR = 120
SCRAPE_MS = 500
UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000}


def scaled(rules):
    """The rules with `for:` and windows FACTOR times shorter, and so what they compare with that grows
    as time goes by: seconds of an age, and entries of the catalog that are lacking."""
    def duration(found):
        return f"{found[1]}{max(1, int(found[2]) * UNITS_MS[found[3]] // FACTOR)}ms"

    rules = re.sub(r"(for: |\[)(\d+)([smh])\b", duration, rules)
    return re.sub(r"((?:age_seconds|applied_index) > )(\d+)",
                  lambda found: f"{found[1]}{max(1, int(found[2]) // FACTOR)}", rules)


class Prometheus:
    """A Prometheus on loopback that scrapes nodes and goes by the rules."""

    def __init__(self, program, directory, rules, targets):
        (directory / "rules.yml").write_text(rules)
        config = {
            "global": {"scrape_interval": f"{SCRAPE_MS}ms", "scrape_timeout": f"{SCRAPE_MS}ms",
                       "evaluation_interval": f"{SCRAPE_MS}ms"},
            "rule_files": [str(directory / "rules.yml")],
            "scrape_configs": [{"job_name": "gitstratum", "static_configs": [
                {"targets": [address], "labels": {"instance": node}}
                for node, address in targets.items()]}],
        }
        # What is JSON is YAML too.
        (directory / "prometheus.yml").write_text(json.dumps(config))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = "{}:{}".format(*free.getsockname())
        with open(directory / "prometheus.log", "wb") as log:
            self.process = subprocess.Popen(
                [program, f"--config.file={directory / 'prometheus.yml'}",
                 f"--storage.tsdb.path={directory / 'samples'}", f"--web.listen-address={self.address}"],
                stdout=log, stderr=subprocess.STDOUT,
            )
        self.log = directory / "prometheus.log"
        until = time.monotonic() + PATIENCE_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise Broken(f"Prometheus did not start: {self.log.read_text(errors='replace')}")
            time.sleep(0.1)

    def answers(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5):
                return True
        except OSError:
            return False

    def ask(self, path, **arguments):
        """What its HTTP interface says; `Broken` with its words where it refuses."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise Broken(f"{arguments or path}: {json.load(error)['error']}") from error

    def query(self, expression):
        """The series of an expression, now: pairs of labels and value."""
        return [(series["metric"], float(series["value"][1]))
                for series in self.ask("query", query=expression)["result"]]

    def rules(self):
        """All alert rules: pairs of name and expression."""
        return [(rule["name"], rule["query"])
                for group in self.ask("rules")["groups"] for rule in group["rules"]]

    def firing(self):
        """The labels of each alert that fires now."""
        return [alert["labels"] for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing"]

    def sick_rules(self):
        """Rules that could not be evaluated, each with why."""
        return [f"{rule['name']}: {rule['lastError']}"
                for group in self.ask("rules")["groups"] for rule in group["rules"] if rule["health"] == "err"]

    def end(self):
        end(self.process)
