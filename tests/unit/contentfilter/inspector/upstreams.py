"""An upstream relay, its client, and a spamtrap."""

from __future__ import annotations

from contentfilter.origin.received import Hop

LOOKING = (
    "flows: {inbound: {tag_at: 4, checks: {helo: true}},"
    " upstream: {tag_at: 4, quarantine_at: 8, checks: true}}"
)
RELAY = "198.51.100.7"
CLIENT = Hop(b"\xc0\x00\x02\x63", "helo.example")

BOTH = ("trap@inst.example", "r@inst.example")
