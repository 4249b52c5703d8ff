"""Distrust of one's own: what users and registered systems send, against quotas and against their own past.

:mod:`~policyd.outgoing.record` remembers, :mod:`~policyd.outgoing.judging` compares, both pure;
:mod:`~policyd.outgoing.watch` keeps the records and acts: notices, suspensions.
"""
