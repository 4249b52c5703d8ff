"""``postwarden dkim rotate``: the next step of a rollover, or what it waits for."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import datetime
from typing import assert_never

from contentfilter.signing.entitlement import signing_domains
from contentfilter.signing.keys import make, path_of
from contentfilter.signing.public import ALGORITHMS, Algorithm
from contentfilter.signing.standing import Standings
from contentfilter.signing.state import read as read_state
from postwarden.dkim import keyring, records
from postwarden.dkim.keyring import Keyring
from postwarden.dkim.rotation import Begin, Keep, MayGo, Moving, NoKey, NoRoom, Stage, stage
from postwarden.registry.choice import complain

MAX_NAMED = 20
"""Domains that are named when they hold a rollover up."""
DONE, WAITING = 0, 1


def run(options: argparse.Namespace) -> int:
    """Take the next step; 1 if it is not time yet.

    Arguments:
        options: ``config``, ``set``, ``kind``, ``remove``, ``force``.
    """

    def work() -> int:
        ring = keyring.read(options.config, options.overrides)
        algorithm: Algorithm = next(name for name in ALGORITHMS if name.startswith(options.kind))
        selectors = [name for name, kind in ring.selectors if kind == algorithm]
        if not selectors:
            return complain(["identity.dkim_ed25519_selectors names no selector"])
        standings = _standings(ring)
        if standings is None:
            return complain(
                [f"{ring.signing.state} cannot be read; contentfilter, which signs here, writes it"]
            )
        keys = [key for key in ring.keys if key.algorithm == algorithm]
        domains = signing_domains(ring.settings.registry)
        now = stage(keys, selectors, domains, standings, ring.signing.keep, time.time())
        return _step(ring, algorithm, now, options.remove, options.force)

    return keyring.telling(work)


def _standings(ring: Keyring) -> Standings | None:
    """What contentfilter has seen; None if nobody knows though it matters."""
    try:
        return read_state(ring.signing.state, ring.signing.settle)
    except FileNotFoundError:
        # Before contentfilter signs there is nothing that could be seen, and nothing to be taken away.
        return Standings(ring.signing.settle)
    except (OSError, ValueError):
        return None


def _step(ring: Keyring, algorithm: Algorithm, now: Stage, remove: bool, force: bool) -> int:
    identity = ring.settings.identity
    match now:
        case NoKey():
            return complain(["there is no key yet: 'postwarden dkim new' makes one"])
        case NoRoom():
            return complain(["a rollover takes a second selector (identity.dkim_selectors)"])
        case Begin(selector, old):
            if remove:
                return complain([f"{old.selector} is the only key"])
            key = make(ring.folder, selector, algorithm, time.time())
            sys.stdout.writelines(records.lines(key, identity))
            _say(
                f"made {path_of(ring.folder, selector)}. Publish the record above, and leave that of "
                f"{old.selector} as it is. Copy the file to the other nodes. Each domain signs with "
                f"{selector} once contentfilter has seen the record there for a while."
            )
            return DONE
        case Moving(old, new, domains, moved):
            named = ", ".join(domains[:MAX_NAMED]) + (
                f" and {len(domains) - MAX_NAMED} more" if domains[MAX_NAMED:] else ""
            )
            if remove and force and moved:
                return _remove(ring, old.selector, f"Without a signature from now on: {named}.")
            _say(
                f"{moved} domains can sign with {new.selector}, {len(domains)} sign with {old.selector} alone"
                + (f": {named}" if domains else "")
                + f". 'postwarden dkim check' says what is missing. {old.selector} stays."
            )
            return WAITING
        case Keep(old, until):
            when = datetime.fromtimestamp(until).astimezone().isoformat(" ", "minutes")
            if remove and force:
                return _remove(ring, old.selector, "Mail that is on its way may not verify.")
            _say(
                f"nobody signs with {old.selector} any more. Its record stays until {when}, "
                "for mail that is on its way."
            )
            return WAITING
        case MayGo(old):
            if remove:
                return _remove(ring, old.selector)
            _say(
                f"{old.selector} may be removed: 'postwarden dkim rotate --remove' at each node, "
                f"then the record {records.own_name(old.selector, identity)}. "
                "The CNAMEs stay; the next round uses it again."
            )
            return DONE
        case _:
            assert_never(now)


def _remove(ring: Keyring, selector: str, more: str = "") -> int:
    path = path_of(ring.folder, selector)
    try:
        path.unlink()
    except OSError as error:
        return complain([f"{path} cannot be removed: {error.strerror}"])
    name = records.own_name(selector, ring.settings.identity)
    _say(f"removed {path}. Take the record {name} away when all nodes have. {more}".rstrip())
    return DONE


def _say(text: str) -> None:
    print(text, file=sys.stderr)
