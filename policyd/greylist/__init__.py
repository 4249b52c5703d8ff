"""Greylisting: what a triplet is, how long it waits, who is spared, and where it is remembered."""
