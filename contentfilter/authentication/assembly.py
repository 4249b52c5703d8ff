"""From the configuration to those who authenticate mail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from contentfilter.authentication.judging import Authenticator, Meter
from contentfilter.authentication.preparing import KeyPreparer
from mailbase.config import Settings
from mailbase.config.authentication import Enforcement
from mailbase.dns import Resolver
from mailbase.logs import Log
from mailbase.vocabulary import Flow


@dataclass(frozen=True, slots=True)
class Authentication:
    """Who is asked, by when; see :class:`contentfilter.panel.Panel`. Nobody where every flow says off."""

    preparers: Sequence[KeyPreparer] = ()
    after: Sequence[Authenticator] = ()
    stampers: Sequence[Authenticator] = ()


def build_authentication(
    settings: Settings,
    resolver: Resolver,
    seconds: Callable[[], float],
    now: Callable[[], float],
    log: Log,
    meter: Meter,
) -> Authentication:
    """Those who authenticate mail under ``settings``.

    Arguments:
        resolver: shared by everybody.
        seconds: the reactor's clock.
        now: seconds since the epoch.
        log: gets a line for each mail.
        meter: counts.
    """
    flows = {flow: settings.flows.of(flow).authentication for flow in Flow}
    off = [flow for flow, choice in flows.items() if choice is Enforcement.OFF]
    if len(off) == len(flows):
        return Authentication()
    preparer = KeyPreparer(resolver, seconds, now, off)
    authenticator = Authenticator(
        resolver,
        seconds,
        log,
        meter,
        settings.authentication.authserv_id or settings.identity.hostname,
        settings.authentication.trusted_sealers,
        flows,
    )
    return Authentication((preparer,), (authenticator,), (authenticator,))
