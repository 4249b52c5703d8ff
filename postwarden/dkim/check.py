"""``postwarden dkim check``: whether what is signed can be verified, and what to change."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from mailbase.dns import build_resolver
from mailbase.printing import wants_json
from postwarden.dkim import keyring
from postwarden.dkim.checking import CONSUMER, DkimChecking, DkimFinding
from postwarden.dkim.postfix import ask_postconf, judge
from postwarden.registry.check.command import Progress, in_reactor, write
from postwarden.registry.check.finding import Severity
from postwarden.registry.choice import choose, complain


def run(options: argparse.Namespace) -> int:
    """Check the records and print what is to be changed; 1 if anything is.

    Arguments:
        options: ``config``, ``set``, ``server``, ``json``.
    """

    def work() -> int:
        ring = keyring.read(options.config, options.overrides)
        if not ring.keys:
            return complain([f"no key in {ring.folder} yet: 'postwarden dkim new' makes one"])
        settings = ring.settings
        servers, unknown = choose(settings.registry, options.server)
        findings = [] if options.server else [*_own(ring), *judge(ask_postconf(), ring.signing)]
        progress = Progress(sys.stderr)

        def checking(reactor: Any) -> Any:
            resolver = build_resolver(reactor, settings.dns, (CONSUMER,))
            return DkimChecking(resolver, settings.identity, ring.keys, progress.show).run(servers)

        found = in_reactor(checking)
        progress.end()
        if found is None:
            return complain(["interrupted"])
        findings += found
        write(sys.stdout, findings, wants_json(sys.stdout, options.json))
        if not findings and not unknown and not wants_json(sys.stdout, options.json):
            print("all records are as they should be")
        return complain(unknown) or int(bool(findings))

    return keyring.telling(work)


def _own(ring: keyring.Keyring) -> list[DkimFinding]:
    found = []
    if ring.settings.contentfilter.signing is None:
        why = "contentfilter.signing is not there: nothing is signed"
        change = "signing: {} below contentfilter, once the records are published"
        found.append(DkimFinding("", "configuration", "", Severity.WARNING, why, change))
    if len(ring.settings.identity.dkim_selectors) < 2:
        why = "there is one selector: no key can be replaced without the customers"
        change = "identity.dkim_selectors: two of them"
        found.append(DkimFinding("", "configuration", "", Severity.WARNING, why, change))
    return found
