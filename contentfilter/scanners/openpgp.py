"""OpenPGP, in armour or not: what is only signed or compressed is opened; what is encrypted is told."""

from __future__ import annotations

import re
from collections.abc import Iterator

from contentfilter.containers import openpgp
from contentfilter.content.filename import signed_name
from contentfilter.content.part import Context, Found, Part

REASON = "mail-encrypted"

_PACKETS = re.compile(
    # Session keys for a recipient (RFC 9580 5.1) or a password (5.3), in both forms of packet headers.
    rb"\x84[\x20-\xff]\x03|\x85[\0-\x10][\0-\xff]\x03|\xc1[\x20-\xbf]\x03|\xc1[\xc0-\xc8][\0-\xff][\x03\x06]"
    rb"|\x8c[\x04-\x40]\x04[\x01-\x0d][\0\1\3]|\xc3[\x04-\x60](?:\x04[\x01-\x0d][\0\1\3]|[\x05\x06])",
    re.DOTALL,
)


class OpenPgp:
    """Opens signed and compressed messages; ``unscanned: mail-encrypted`` where only a recipient can."""

    name = "openpgp"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if data[:1] in b"\x84\x85\x8c\xc1\xc3" and _PACKETS.match(data):
            yield part.unscanned(REASON, "PGP")
            return
        if openpgp.may_begin(data):
            message = openpgp.read(data, context.budget.allowance())
            # Much else begins so: only what opens is one, and only what was compressed is surely one.
            if message.problem == "malformed" and not message.expanded:
                message.problem = ""
            if message.literals or message.expanded:
                yield from _opened(part, message, context)
        for packets in openpgp.armoured(data):
            message = openpgp.read(packets, context.budget.allowance())
            if not message.literals and not message.encrypted and not message.problem:
                message.problem = "malformed"
            yield from _opened(part, message, context)


def _opened(part: Part, message: openpgp.Message, context: Context) -> Iterator[Found]:
    if context.budget.is_bomb(message.packed, message.expanded):
        yield part.found("archive-bomb", "PGP")
    if message.encrypted:
        yield part.unscanned(REASON, "PGP")
    elif message.problem:
        yield part.unscanned(message.problem, "PGP")
    for name, content in message.literals:
        yield part.child(name or signed_name(part.name) or "content", content)
