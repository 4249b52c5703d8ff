"""``postwarden registry contacts``: the people who look after the registered servers, for a mailing list."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mailbase.config import load
from mailbase.registry import Person, Server
from postwarden.registry.choice import choose, complain

FORMATS = ("plain", "aliases", "json")
LIST_NAME = "mail-administrators"

# An address that begins with | or / or holds a comma is something else to local(8) than an address.
_SAFE = re.compile(r"[\w][\w!#$%&'*+=?^`{}~.-]*@[a-z0-9._-]+")


@dataclass(slots=True)
class Contact:
    """A person, once, however many servers they look after.

    Arguments:
        person: name and telephone as first registered.
        administrates: names of servers.
        deputises: likewise, as a deputy.
    """

    person: Person
    administrates: list[str] = field(default_factory=list)
    deputises: list[str] = field(default_factory=list)


def run(options: argparse.Namespace) -> int:
    """Print the contacts; 1 if a server that was asked for is not registered, or an address is left out.

    Arguments:
        options: ``config``, ``set``, ``server``, ``format``, ``name``.

    Raises:
        ConfigError: the configuration or the registry has mistakes.
    """
    settings = load(options.config, options.overrides)
    servers, problems = choose(settings.registry, options.server)
    found = contacts(servers)
    match options.format:
        case "json":
            for contact in found:
                print(json.dumps(_row(contact), separators=(",", ":")))
        case "aliases":
            safe = [contact.person.email for contact in found if _SAFE.fullmatch(contact.person.email)]
            problems += [
                f"{contact.person.email} has no place in an alias file; left out"
                for contact in found
                if contact.person.email not in safe
            ]
            sys.stdout.writelines(_alias(options.name, safe))
        case _:
            for contact in found:
                print(contact.person.email)
    return complain(problems)


def contacts(servers: Iterable[Server]) -> list[Contact]:
    """Every administrator and deputy of ``servers`` once, by mail address, in the order of the registry."""
    found: dict[str, Contact] = {}
    for server in servers:
        for person in server.administrators:
            found.setdefault(person.email, Contact(person)).administrates.append(server.name)
        for person in server.deputies:
            found.setdefault(person.email, Contact(person)).deputises.append(server.name)
    return list(found.values())


def _row(contact: Contact) -> dict[str, object]:
    person = contact.person
    return {
        "email": person.email,
        "name": person.name,
        "phone": person.phone,
        "administrates": contact.administrates,
        "deputises": contact.deputises,
    }


def _alias(name: str, addresses: list[str]) -> Iterator[str]:
    """A line of aliases(5), folded."""
    if addresses:
        yield f"{name}:\n"
        yield ",\n".join(f"    {address}" for address in addresses) + "\n"
