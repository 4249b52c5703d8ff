"""No customer gets a signature in the name of another, whatever road the mail takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from contentfilter.signing.entitlement import may_sign, owner, registration_of, signing_domains
from mailbase.documents import ConfigError
from mailbase.registry import EMPTY, Registry, load_registry
from mailbase.vocabulary import Flow

REGISTRY = """
default_server: mail.a.example
upstreams: [203.0.113.0/24]
systems: [198.51.100.9, lonely.a.example]
servers:
  mail.a.example:
    addresses: [192.0.2.25]
    backup: mail.b.example
    users: [anna, "ann@b.example", "@a.example"]
    domains: {a.example: , sub.a.example: }
    systems: [192.0.2.0/24, host.a.example]
  mail.b.example:
    addresses: [198.51.100.25]
    users: [bert, Boss@A.example]
    domains: {b.example: , bücher.example: }
    systems: [192.0.2.128/28, "2001:db8:b::/48", host.b.example]
  mail.c.example:
    domains: {c.example: }
"""

A, B = "mail.a.example", "mail.b.example"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    path = tmp_path_factory.mktemp("registry") / "registry.yaml"
    path.write_text(REGISTRY)
    return load_registry(path)


SYSTEMS = {
    "a system of A": ("192.0.2.7", "unknown", A),
    "the server of A": ("192.0.2.25", "unknown", A),
    "a network of B within A's": ("192.0.2.130", "unknown", B),
    "the server of B": ("198.51.100.25", "unknown", B),
    "IPv6 of B": ("2001:db8:b::1", "unknown", B),
    "mapped into IPv6": ("::ffff:192.0.2.130", "unknown", B),
    "by its name": ("203.0.114.1", "host.a.example", A),
    "by its name in capitals": ("203.0.114.1", "HOST.B.example", B),
    "the network counts before the name": ("192.0.2.7", "host.b.example", A),
    "a name without an address": ("", "host.a.example", ""),
    "a broken address": ("192.0.2.7.1", "host.a.example", ""),
    "nobody's": ("203.0.114.1", "unknown", ""),
    "of nobody's relay area": ("198.51.100.9", "unknown", ""),
    "of nobody's relay area, by its name": ("203.0.114.1", "lonely.a.example", ""),
    "no address": ("", "", ""),
}


@pytest.mark.parametrize("flow", [Flow.OUTBOUND, Flow.SUBMISSION])
@pytest.mark.parametrize("name", SYSTEMS)
def test_whose_a_system_is(registry: Registry, name: str, flow: Flow) -> None:
    address, client_name, server = SYSTEMS[name]
    assert registration_of(registry, flow, "", address, client_name) == server


USERS = {
    "by name": ("anna", "203.0.114.1", A),
    "in capitals": ("ANNA", "203.0.114.1", A),
    "by realm": ("somebody@a.example", "203.0.114.1", A),
    "by realm in capitals": ("Somebody@A.Example", "203.0.114.1", A),
    "by name against the realm": ("boss@a.example", "203.0.114.1", B),
    "a realm that is another's domain": ("ann@b.example", "203.0.114.1", A),
    "a realm that is not registered": ("bert@b.example", "203.0.114.1", ""),
    "below a realm": ("anna@sub.a.example", "203.0.114.1", ""),
    "nobody's": ("carl", "203.0.114.1", ""),
    "the realm alone": ("@a.example", "203.0.114.1", A),
    "an at alone": ("@", "203.0.114.1", ""),
    "in the network of another": ("anna", "198.51.100.25", A),
    "nobody's in a network": ("carl", "198.51.100.25", B),
}


@pytest.mark.parametrize("name", USERS)
def test_whose_a_user_is(registry: Registry, name: str) -> None:
    user, address, server = USERS[name]
    assert registration_of(registry, Flow.SUBMISSION, user, address, "unknown") == server


@pytest.mark.parametrize("flow", [Flow.INBOUND, Flow.UPSTREAM])
def test_mail_from_elsewhere_is_nobodys(registry: Registry, flow: Flow) -> None:
    assert registration_of(registry, flow, "anna", "192.0.2.7", "host.a.example") == ""


@pytest.mark.parametrize(
    ("domain", "server"),
    [
        ("a.example", A),
        ("sub.a.example", A),
        ("other.a.example", ""),
        ("host.a.example", A),
        ("mail.a.example", A),
        ("b.example", B),
        ("xn--bcher-kva.example", B),
        ("lonely.a.example", ""),
        ("example", ""),
        ("", ""),
    ],
)
def test_whose_a_domain_is(registry: Registry, domain: str, server: str) -> None:
    assert owner(registry, domain) == server


def test_each_signs_for_its_own_only(registry: Registry) -> None:
    everything = [*signing_domains(registry), A, B, "mail.c.example", "elsewhere.example", ""]
    for registration in (A, B, "mail.c.example", ""):
        for domain in everything:
            allowed = may_sign(registry, registration, domain)
            assert allowed == (registration != "" and owner(registry, domain) == registration)
    # A backup takes its mail, and does not write it.
    assert not may_sign(registry, B, "a.example")
    assert not may_sign(registry, "", "")


def test_all_that_may_be_signed_for(registry: Registry) -> None:
    assert signing_domains(registry) == [
        "a.example",
        "sub.a.example",
        "host.a.example",
        "b.example",
        "xn--bcher-kva.example",
        "host.b.example",
        "c.example",
    ]
    assert signing_domains(EMPTY) == []


def problems(tmp_path: Path, text: str) -> str:
    path = tmp_path / "registry.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_registry(path)
    return str(caught.value)


def test_a_user_has_one_registration(tmp_path: Path) -> None:
    text = "servers:\n  a.example.org: {users: [anna]}\n  b.example.org:\n    users: [Anna]\n"
    assert "registry.yaml:4: servers[b.example.org].users[0]: is registered twice" in problems(tmp_path, text)


@pytest.mark.parametrize("login", ["anna b", "anna@", "", "a\tb", "x" * 256])
def test_what_is_no_login(tmp_path: Path, login: str) -> None:
    text = f'servers:\n  a.example.org: {{users: ["{login}"]}}\n'
    assert "expected a login name such as berg or berg@inst.example" in problems(tmp_path, text)
