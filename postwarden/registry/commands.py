"""The command line of ``postwarden registry``."""

from __future__ import annotations

import argparse
import re
import ssl

from mailbase.arguments import Commands, add_command, add_configuration, add_form, add_json
from postwarden.registry import acl, contacts, dns
from postwarden.registry import list as listing


def add(commands: Commands) -> None:
    """Add ``registry`` and its commands."""
    registry = commands.add_parser("registry", help="the registered servers, domains and systems")
    below = registry.add_subparsers(required=True, metavar="COMMAND")
    _add_list(below)
    _add_contacts(below)
    _add_dns(below)
    _add_acl(below)
    _add_check(below)


def _add_list(commands: Commands) -> None:
    command = add_command(
        commands,
        "list",
        "print what is registered",
        "postwarden registry list --admin berg@inst.example --kind system",
    )
    add_configuration(command, "registry=other.yaml")
    add_servers(command)
    command.add_argument(
        "--admin",
        metavar="ADDRESS",
        action="append",
        default=[],
        help="only servers that this administrator or deputy looks after; repeatable",
    )
    command.add_argument(
        "--kind", choices=listing.KINDS, action="append", help="only these kinds of entry; repeatable"
    )
    add_form(command)
    command.set_defaults(run=listing.run)


def _add_contacts(commands: Commands) -> None:
    command = add_command(
        commands,
        "contacts",
        "print the administrators and deputies, each once, for a mailing list",
        "postwarden registry contacts --format aliases > /etc/postfix/mail-administrators",
    )
    add_configuration(command, "registry=other.yaml")
    add_servers(command)
    command.add_argument(
        "--format",
        choices=contacts.FORMATS,
        default="plain",
        help="an address a line, an entry of aliases(5), or JSON with names and servers; default: plain",
    )
    command.add_argument(
        "--name",
        type=_alias_name,
        default=contacts.LIST_NAME,
        help=f"left side of the alias; default: {contacts.LIST_NAME}",
    )
    command.set_defaults(run=contacts.run)


def _add_dns(commands: Commands) -> None:
    command = add_command(
        commands,
        "dns",
        "print the MX, SPF and DKIM records to set, as lines of a zone file",
        "postwarden registry dns mail.inst.example --type mx",
    )
    add_configuration(command, "registry=other.yaml")
    add_servers(command)
    command.add_argument("--type", choices=dns.TYPES, action="append", help="only these records; repeatable")
    add_json(command)
    command.set_defaults(run=dns.run)


def _add_acl(commands: Commands) -> None:
    command = add_command(
        commands,
        "acl",
        "print packet-filter rules that let mail from outside reach registered servers only",
        "postwarden registry acl --format nftables --interface wan0 | nft -f -",
    )
    add_configuration(command, "registry=other.yaml")
    command.add_argument("--format", choices=acl.FORMATS, required=True, help="nftables, or Cisco IOS")
    command.add_argument(
        "--interface",
        type=_interface,
        metavar="NAME",
        help="the filter's interface towards outside; without it the rules are not applied to any",
    )
    command.add_argument(
        "--relay",
        type=acl.ip_address,
        action="append",
        default=[],
        metavar="ADDRESS",
        help="a relay's IP address; repeatable; default: what DNS says of identity.relays",
    )
    command.add_argument(
        "--direct",
        action="append",
        default=[],
        metavar="SERVER",
        help="a registered server that outside may reach directly, since its MX records name it; repeatable",
    )
    command.set_defaults(run=acl.run)


def _add_check(commands: Commands) -> None:
    command = add_command(
        commands,
        "check",
        "ask DNS and every registered server whether they are as registered; print what to change",
        "postwarden registry check mail.inst.example",
    )
    add_configuration(command, "registry=other.yaml")
    add_servers(command)
    command.add_argument(
        "--authorities",
        type=_authorities,
        metavar="FILE",
        help="certificates that servers' certificates may come from; default: the system's",
    )
    add_form(command)
    command.set_defaults(run=_check)


def _authorities(path: str) -> str:
    try:
        ssl.create_default_context().load_verify_locations(path)
    except (OSError, ssl.SSLError) as error:
        reason = (
            error.strerror
            if error.filename or not isinstance(error, ssl.SSLError)
            else "no certificates (PEM)"
        )
        raise argparse.ArgumentTypeError(f"{path}: {reason}") from error
    return path


def _check(options: argparse.Namespace) -> int:
    from postwarden.registry.check.command import run  # with it comes all of Twisted

    return run(options)


def _alias_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text):
        raise argparse.ArgumentTypeError(f"expected a local part such as mail-administrators, got {text!r}")
    return text


def _interface(text: str) -> str:
    # Cisco's have slashes: GigabitEthernet0/0/1.
    if not re.fullmatch(r"[A-Za-z0-9._/@:-]{1,64}", text):
        raise argparse.ArgumentTypeError(f"expected the name of an interface, got {text!r}")
    return text


def add_servers(command: argparse.ArgumentParser) -> None:
    """Add the names of servers that a command is about."""
    command.add_argument("server", nargs="*", metavar="SERVER", help="only these servers")
