"""Runs the doctor and prints what is to be changed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from mailbase.config import Settings, load
from mailbase.dns import build_resolver
from mailbase.printing import wants_json
from postwarden.doctor import health, parameters, wiring
from postwarden.doctor.looking import CONSUMER, Looking
from postwarden.doctor.postfix import NoPostfix, ask_postconf
from postwarden.doctor.symptom import Check, Symptom
from postwarden.registry.check.command import in_reactor, write
from postwarden.registry.check.finding import Severity
from postwarden.registry.choice import complain


def run(options: argparse.Namespace) -> int:
    """Look at the gateway and print what is to be changed; 1 if anything is.

    Arguments:
        options: ``config``, ``overrides``, ``postfix`` (a folder or None), ``json``.

    Raises:
        ConfigError: the configuration or the registry has mistakes.
    """
    settings = load(options.config, options.overrides)

    def work(reactor: Any) -> Any:
        return Looking(settings, build_resolver(reactor, settings.dns, (CONSUMER,))).run()

    outside: list[Symptom] | None = in_reactor(work)
    if outside is None:
        return complain(["interrupted"])
    found = [*outside, *_postfix(options, settings), *health.judge(settings)]
    write(sys.stdout, found, wants_json(sys.stdout, options.json))
    if not found and not wants_json(sys.stdout, options.json):
        print("the gateway is in order")
    return int(bool(found))


def _postfix(options: argparse.Namespace, settings: Settings) -> Iterator[Symptom]:
    try:
        postfix = ask_postconf(options.postfix)
    except NoPostfix as problem:
        change = "run it on the gateway, as a user who may read Postfix's configuration"
        yield Symptom("Postfix", Check.POSTFIX, Severity.WARNING, str(problem), change)
        return
    yield from parameters.judge(postfix, settings)
    yield from wiring.judge(postfix, settings)
