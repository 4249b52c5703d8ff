"""Postfix's connections: read, answered in order, kept open."""
