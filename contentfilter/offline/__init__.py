"""Scanning files without a daemon: the same workers, and the same verdict."""
