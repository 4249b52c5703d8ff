"""Macros that the postmaster allows: by a digest of their code, for domains and a time."""
