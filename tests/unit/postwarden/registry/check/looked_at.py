"""A registered server that is looked at, for tests."""

from __future__ import annotations

from mailbase.registry import Server
from postwarden.registry.check.certificate import Certificate
from postwarden.registry.check.server import SIZE

NOW = 1_800_000_000.0

SERVER = Server("mail.inst.example", ("192.0.2.25",), "mail2.inst.example")

GOOD = Certificate(NOW - 86400, NOW + 90 * 86400, True)
TLS = {"SIZE": (str(SIZE),), "8BITMIME": ()}
