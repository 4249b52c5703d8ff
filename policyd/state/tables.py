"""Every table that policyd keeps in its store."""

from __future__ import annotations

from policyd.callout.results import CALLOUTS
from policyd.end_of_data.tickets import TICKETS
from policyd.exceptions.book import EXCEPTIONS
from policyd.greylist.tables import ALLOWED, CLIENTS, OTHERS, TRIPLETS
from policyd.learning.bulk import BULK
from policyd.learning.lessons import LESSONS, TOKENS
from policyd.limits.charges import CHARGES
from policyd.limits.ledger import BUCKETS
from policyd.outgoing.books import OUTGOING
from policyd.reputation.networks import REPUTATION
from policyd.reputation.outcomes import OUTCOMES

TABLES = (
    TRIPLETS,
    OTHERS,
    CLIENTS,
    ALLOWED,
    TICKETS,
    BUCKETS,
    CHARGES,
    EXCEPTIONS,
    CALLOUTS,
    REPUTATION,
    LESSONS,
    TOKENS,
    BULK,
    OUTGOING,
    OUTCOMES,
)
"""The daemon, a replay and the tests open the store with these."""
