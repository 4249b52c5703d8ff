"""What the maps say: the same as policyd's relay check, and to which server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailbase.registry import EMPTY, Registry, load_registry
from policyd.socketmap.maps import MAPS

REGISTRY = """
default_server: mail.inst.example
upstreams: [203.0.113.0/24, "2001:db8:aaaa::/48"]
systems: [lonely.example.net]
servers:
  mail.inst.example:
    addresses: [192.0.2.25, "2001:db8::25"]
    backup: mail2.inst.example
    domains: {inst.example: , bücher.example: }
    systems: [198.51.100.0/24, printer.inst.example]
  mail2.inst.example:
    domains: {second.example: }
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: Any) -> Registry:
    path: Path = tmp_path_factory.mktemp("maps") / "registry.yaml"
    path.write_text(REGISTRY)
    return load_registry(path)


BOTH = "smtp:[mail.inst.example],[mail2.inst.example]"


@pytest.mark.parametrize(
    ("key", "transport"),
    [
        ("inst.example", BOTH),
        ("INST.Example.", BOTH),
        ("xn--bcher-kva.example", BOTH),
        ("bücher.example", BOTH),
        ("someone@inst.example", BOTH),
        ('"a@b"@inst.example', BOTH),
        ("second.example", "smtp:[mail2.inst.example]"),
        ("printer.inst.example", BOTH),
        ("root@printer.inst.example", BOTH),
        # Assigned to no server: the default server's.
        ("lonely.example.net", BOTH),
        # A registered server's own name.
        ("mail2.inst.example", "smtp:[mail2.inst.example]"),
    ],
)
def test_what_is_registered_goes_to_its_server_and_then_to_its_backup(
    registry: Registry, key: str, transport: str
) -> None:
    assert MAPS["transport_maps"](registry, key) == transport
    assert MAPS["relay_domains"](registry, key) == transport.partition("]")[0].removeprefix("smtp:[")


@pytest.mark.parametrize(
    "key",
    [
        "",
        ".",
        "@",
        "someone",
        "sub.inst.example",
        ".inst.example",
        "@.inst.example",
        "example",
        "inst.example.evil.example",
        "192.0.2.25",
        "[192.0.2.25]",
        "198.51.100.7",
        "a@inst.example@evil.example",
        "inst.example x",
        "inst.example\n",
        "*",
        "x" * 5000,
        "\ufffd.example",
    ],
)
def test_nothing_else_is_served(registry: Registry, key: str) -> None:
    for name, look_up in MAPS.items():
        if "domains" in name or "transport" in name:
            assert look_up(registry, key) is None


@pytest.mark.parametrize(
    ("key", "there"),
    [
        ("192.0.2.25", True),
        ("192.0.2.26", False),
        ("2001:db8::25", True),
        ("2001:0DB8:0::25", True),
        ("IPv6:2001:db8::25", True),
        ("2001:db8::25:1", False),
        ("198.51.100.255", True),
        ("::ffff:198.51.100.1", True),
        ("198.51.100", False),
        ("198.51.100.0/24", False),
        ("printer.inst.example", True),
        ("Printer.Inst.Example", True),
        ("x.printer.inst.example", False),
        (".printer.inst.example", False),
        ("mail.inst.example", False),
        ("unknown", False),
        ("", False),
        ("0.0.0.0", False),
        ("203.0.113.1", False),
    ],
)
def test_relay_clients_are_the_registered_systems(registry: Registry, key: str, there: bool) -> None:
    assert (MAPS["relay_clients"](registry, key) == "OK") is there


@pytest.mark.parametrize(
    ("key", "there"),
    [
        ("203.0.113.1", True),
        ("2001:db8:aaaa::1", True),
        ("203.0.114.1", False),
        ("198.51.100.1", False),
        ("printer.inst.example", False),
        ("", False),
    ],
)
def test_upstream_clients_are_the_trusted_relays(registry: Registry, key: str, there: bool) -> None:
    assert (MAPS["upstream_clients"](registry, key) == "OK") is there


def test_a_name_is_never_taken_for_an_address(tmp_path: Path) -> None:
    """A client without an address must not fall into a network that holds 0.0.0.0."""
    (tmp_path / "r.yaml").write_text('servers: {m.x.example: {systems: [0.0.0.0/8, "::/16"]}}')
    registry = load_registry(tmp_path / "r.yaml")
    assert MAPS["relay_clients"](registry, "0.0.0.1") == "OK"
    assert MAPS["relay_clients"](registry, "client.example") is None
    assert MAPS["relay_clients"](registry, "") is None


@pytest.mark.parametrize("name", MAPS)
def test_an_empty_registry_has_nothing(name: str) -> None:
    for key in ("inst.example", "192.0.2.25", "printer.inst.example", "203.0.113.1"):
        assert MAPS[name](EMPTY, key) is None
