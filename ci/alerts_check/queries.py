"""The queries of the dashboard, as Grafana would send them, and which of them show nothing by design."""

import json
import re

# Grafana's own window, in a cluster that is scraped each SCRAPE_MS.
WINDOW = "10s"


def dashboard(path):
    """All queries of a dashboard: pairs of a panel's title and an expression without variables."""
    for panel in json.loads(path.read_text())["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"].replace("$__rate_interval", WINDOW)
            yield panel["title"], query.replace("$job", "gitstratum").replace("$instance", ".+")


def metrics(query):
    """The metrics that a query names."""
    return set(re.findall(r"\bgitstratum_\w+", query))


def may_be_empty(query):
    """Whether a query shows nothing where all is well: it looks for alerts, or compares."""
    return "ALERTS" in query or re.search(r"[<>]|==", query) is not None
