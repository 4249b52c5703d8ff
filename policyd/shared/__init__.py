"""policyd's state on a Redis or Valkey server: each decision is one script, in one round trip.

The scripts (``policyd/data/*.lua``) say the same as the pure functions in :mod:`policyd.greylist.terms` and
:mod:`policyd.limits.bucket`; a property test compares them.
"""
