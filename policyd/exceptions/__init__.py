"""Exceptions by command: ``policyd allow`` and ``policyd deny``, in force at once, until they expire.

A rule (:mod:`~policyd.exceptions.rule`) names a client, a sender, a recipient or a user.
:mod:`~policyd.exceptions.matching` finds the one that applies, :mod:`~policyd.exceptions.book` keeps them
where they outlive the daemon, and may be shared with other nodes.
"""
