"""The command line of ``postwarden dkim``."""

from __future__ import annotations

import argparse

from mailbase.arguments import Commands, add_command, add_configuration, add_form, add_json


def add(commands: Commands) -> None:
    """Add ``dkim`` and its commands."""
    dkim = commands.add_parser("dkim", help="keys that sign mail, their records, their rollover")
    below = dkim.add_subparsers(required=True, metavar="COMMAND")

    new = add_command(
        below,
        "new",
        "make a key, and print the record to publish",
        "postwarden dkim new >> /etc/bind/dkim.zone",
    )
    add_configuration(new, "registry=other.yaml")
    new.add_argument(
        "selector", nargs="?", metavar="SELECTOR", help="default: the first configured one without a key"
    )
    new.set_defaults(run=_new)

    dns = add_command(
        below,
        "dns",
        "print the gateway's TXT records and the customers' CNAMEs, as lines of a zone file",
        "postwarden dkim dns mail.inst.example",
    )
    add_configuration(dns, "registry=other.yaml")
    dns.add_argument("server", nargs="*", metavar="SERVER", help="only the CNAMEs for these servers' domains")
    add_json(dns)
    dns.set_defaults(run=_dns)

    check = add_command(
        below,
        "check",
        "ask DNS whether the records fit the keys and every domain's CNAMEs are set; print what to change",
        "postwarden dkim check mail.inst.example",
    )
    add_configuration(check, "registry=other.yaml")
    check.add_argument("server", nargs="*", metavar="SERVER", help="only these servers' domains")
    add_form(check)
    check.set_defaults(run=_check)

    rotate = add_command(
        below,
        "rotate",
        "take the next step of a key's rollover, or say what it waits for",
        "postwarden dkim rotate && systemctl reload contentfilter",
    )
    add_configuration(rotate, "registry=other.yaml")
    rotate.add_argument("--kind", choices=("rsa", "ed25519"), default="rsa", help="which keys; default: rsa")
    rotate.add_argument(
        "--remove", action="store_true", help="remove the old key, if it is not needed any more"
    )
    rotate.add_argument("--force", action="store_true", help="with --remove: even if domains still need it")
    rotate.set_defaults(run=_rotate)


def _new(options: argparse.Namespace) -> int:
    from postwarden.dkim.new import run  # with it comes all of OpenSSL, as with those below

    return run(options)


def _dns(options: argparse.Namespace) -> int:
    from postwarden.dkim.records import run

    return run(options)


def _check(options: argparse.Namespace) -> int:
    from postwarden.dkim.check import run

    return run(options)


def _rotate(options: argparse.Namespace) -> int:
    from postwarden.dkim.rotate import run

    return run(options)
