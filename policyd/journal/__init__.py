"""The journal: every decision, for ``policyd explain``, in a file of its own.

Deciding only appends to a list (:mod:`~policyd.journal.journal`). A thread makes rows of it
(:mod:`~policyd.journal.entry`), writes them in batches, finds them and forgets them
(:mod:`~policyd.journal.file`). The list, the rate and the file are bounded: beyond them entries are dropped
and counted, and nobody waits.
"""
