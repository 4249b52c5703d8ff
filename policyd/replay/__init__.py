"""Recorded traffic, decided again: recordings, Postfix's log, a simulated world, and what changes in it."""
