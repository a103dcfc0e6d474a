"""The status page in a real browser: a cluster, a browser, and what is looked at."""
