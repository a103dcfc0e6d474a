"""Machines out of a Debian package: where they run, what the documentation says, and what is tried."""
