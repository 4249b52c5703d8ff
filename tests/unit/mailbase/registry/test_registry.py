"""The registry: what is registered, and what contradicts."""

# The messages stand in one piece, as they are read.
# ruff: noqa: E501

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mailbase.addresses import pack
from mailbase.documents import ConfigError
from mailbase.registry import EMPTY, Domain, Person, Registry, Server, System, load_registry

EXAMPLE = Path(__file__).parents[4] / "examples" / "registry.yaml"


def packed(text: str) -> bytes:
    result = pack(text)
    assert result is not None
    return result


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(EXAMPLE)


@pytest.mark.parametrize(
    ("address", "client_name", "text"),
    [
        ("192.0.2.77", "unknown", "192.0.2.0/24"),
        ("192.0.2.25", "unknown", "192.0.2.25"),
        ("::ffff:192.0.2.77", "unknown", "192.0.2.0/24"),
        ("2001:db8:1::77", "unknown", "2001:db8:1::/48"),
        ("2001:db8::25", "unknown", "2001:db8::25"),
        ("203.0.113.1", "printer.inst.example", "printer.inst.example"),
        ("203.0.113.1", "Printer.Inst.Example", "printer.inst.example"),
        ("198.51.100.9", "unknown", "198.51.100.9"),
        ("203.0.113.1", "unknown", None),
        ("203.0.113.1", "", None),
        ("203.0.113.1", "x.printer.inst.example", None),
        ("203.0.113.1", "mail.inst.example", None),
        ("2001:db8:2::1", "unknown", None),
        ("129.187.254.1", "unknown", None),
    ],
)
def test_who_may_relay(registry: Registry, address: str, client_name: str, text: str | None) -> None:
    system = registry.system_of(packed(address), client_name)
    assert (system and system.text) == text
    assert system is None or system.server in registry.servers


@pytest.mark.parametrize(
    ("address", "upstream"),
    [
        ("129.187.254.0", True),
        ("129.187.255.255", True),
        ("2001:4ca0:0:103::1", True),
        ("::ffff:129.187.254.1", True),
        ("129.187.253.255", False),
        ("2001:4ca0:0:104::1", False),
        ("192.0.2.1", False),
    ],
)
def test_who_is_an_upstream_relay(registry: Registry, address: str, upstream: bool) -> None:
    assert registry.is_upstream(packed(address)) is upstream


def test_domains_match_exactly(registry: Registry) -> None:
    assert registry.domain("inst.example") == Domain(
        "inst.example",
        "mail.inst.example",
        True,
        ("berg@inst.example",),
        ("no-such-user@inst.example",),
    )
    assert registry.domain("lehrstuhl.inst.example") == Domain("lehrstuhl.inst.example", "mail.inst.example")
    assert registry.domain("other.inst.example") is None
    assert registry.domain("example") is None
    assert registry.domain("") is None


def test_a_domain_in_another_script_is_registered_under_its_a_label(registry: Registry) -> None:
    domain = registry.domain("xn--bcher-kva.example")
    assert domain is not None
    assert domain.greylisting is False


def test_mail_to_host_names_of_systems_and_servers_is_known(registry: Registry) -> None:
    assert registry.host_system("printer.inst.example") == System("printer.inst.example", "mail.inst.example")
    assert registry.host_system("mail2.inst.example") == System("mail2.inst.example", "mail2.inst.example")
    assert registry.host_system("inst.example") is None


def test_a_server_is_listed_with_all_that_belongs_to_it(registry: Registry) -> None:
    assert registry.default_server == "mail.inst.example"
    assert registry.upstreams == ("129.187.254.0/23", "2001:4ca0:0:103::/64")
    server = registry.servers["mail.inst.example"]
    assert server.addresses == ("192.0.2.25", "2001:db8::25")
    assert server.backup == "mail2.inst.example"
    assert server.administrators == (Person("Alex Berg", "berg@inst.example", "+49 89 1234567"),)
    assert [domain.name for domain in server.domains] == [
        "inst.example",
        "lehrstuhl.inst.example",
        "xn--bcher-kva.example",
    ]
    texts = ["192.0.2.0/24", "2001:db8:1::/48", "printer.inst.example", "198.51.100.9"]
    assert [system.text for system in server.systems] == texts
    assert registry.servers["mail2.inst.example"] == Server(
        "mail2.inst.example", ("192.0.2.26",), "", (Person("Alex Berg", "berg@inst.example"),)
    )


def test_a_registry_cannot_be_changed(registry: Registry) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        registry.default_server = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        registry.servers["x"] = Server("x")  # type: ignore[index]
    with pytest.raises(TypeError):
        registry.domains["x"] = Domain("x", "y")  # type: ignore[index]


def test_where_nothing_is_registered_nobody_may_anything() -> None:
    assert EMPTY.system_of(packed("127.0.0.1"), "localhost") is None
    assert EMPTY.is_upstream(packed("::1")) is False
    assert EMPTY.domain("example.org") is None
    assert EMPTY.host_system("example.org") is None
    assert not EMPTY.servers


def test_a_domain_may_have_thresholds_of_its_own(tmp_path: Path) -> None:
    registry = load(tmp_path, "servers:\n  a.example: {domains: {b.example: {defer_at: 3, reject_at: 6}}}\n")
    domain = registry.domain("b.example")
    assert domain is not None
    assert (domain.defer_at, domain.reject_at) == (3, 6)


def test_who_copies_the_example_gets_the_flows_thresholds(registry: Registry) -> None:
    assert {(one.defer_at, one.reject_at, one.tag_at) for one in registry.domains.values()} == {("flow",) * 3}


def test_the_smaller_of_two_networks_counts(tmp_path: Path) -> None:
    registry = load(
        tmp_path, "servers:\n  a.example: {systems: 192.0.2.0/24}\n  b.example: {systems: 192.0.2.128/25}\n"
    )
    servers = [registry.system_of(packed(address), "unknown") for address in ("192.0.2.1", "192.0.2.129")]
    assert [system and system.server for system in servers] == ["a.example", "b.example"]


def load(folder: Path, *texts: str) -> Registry:
    """The registry of one file for each of ``texts``."""
    for number, text in enumerate(texts):
        (folder / f"{number}.yaml").write_text(text, encoding="utf-8")
    return load_registry(folder if len(texts) > 1 else folder / "0.yaml")


def complaints(folder: Path, *texts: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, *texts)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


CASES = {
    "unknown key": (
        "servers:\n  a.example:\n    domians: {}\n",
        ["0.yaml:3: servers[a.example].domians: unknown key; did you mean 'domains'?"],
    ),
    "unknown key of a domain": (
        "servers:\n  a.example:\n    domains:\n      b.example: {graylisting: yes}\n",
        ["0.yaml:4: servers[a.example].domains[b.example].graylisting: unknown key; did you mean 'greylisting'?"],
    ),
    "unknown key of a person": (
        "servers: {a.example: {deputies: [{name: x, mail: a@b.example}]}}",
        [
            "0.yaml:1: servers[a.example].deputies[0].email: is missing and has no default",
            "0.yaml:1: servers[a.example].deputies[0].mail: unknown key; did you mean 'email'?",
        ],
    ),
    "server name": (
        "servers: {mail: {}}",
        ["0.yaml:1: servers.mail: expected a full host name such as mail.example.org, got 'mail'"],
    ),
    "server is an address": (
        "servers: {192.0.2.1: {}}",
        ["0.yaml:1: servers[192.0.2.1]: expected a full host name such as mail.example.org, got '192.0.2.1'"],
    ),
    "domain": (
        "servers: {a.example: {domains: {ex_ample: , '[192.0.2.1]': , a b.example: }}}",
        [
            "0.yaml:1: servers[a.example].domains.ex_ample: expected a domain such as example.org, got 'ex_ample'",
            "0.yaml:1: servers[a.example].domains[[192.0.2.1]]: expected a domain such as example.org, got '[192.0.2.1]'",
            "0.yaml:1: servers[a.example].domains[a b.example]: expected a domain such as example.org, got 'a b.example'",
        ],
    ),
    "address": (
        "servers:\n  a.example:\n    addresses:\n    - 192.0.2.256\n",
        ["0.yaml:4: servers[a.example].addresses[0]: expected an IP address such as 192.0.2.25 or 2001:db8::25, got '192.0.2.256'"],
    ),
    "host bits": (
        "upstreams: [192.0.2.1/24]\nservers: {a.example: {systems: ['2001:db8::1/48']}}\n",
        [
            "0.yaml:1: upstreams[0]: expected the network's first address, 192.0.2.0/24, got '192.0.2.1/24'",
            "0.yaml:2: servers[a.example].systems[0]: expected the network's first address, 2001:db8::/48, got '2001:db8::1/48'",
        ],
    ),
    "an open relay": (
        "upstreams: ['::/0', 'fc00::/6']\nservers: {a.example: {systems: [10.0.0.0/0, 10.0.0.0/8, 0.0.0.0/0, '::ffff:0:0/96', 'fd00::/8']}}\n",
        [
            f"0.yaml:{place}: expected a network of your own, /8 or smaller (IPv6: /16), since whoever is in it is trusted; got '{text}'"
            if text != "10.0.0.0/0"
            else f"0.yaml:{place}: expected the network's first address, 0.0.0.0/0, got '{text}'"
            for place, text in (
                ("1: upstreams[0]", "::/0"),
                ("1: upstreams[1]", "fc00::/6"),
                ("2: servers[a.example].systems[0]", "10.0.0.0/0"),
                ("2: servers[a.example].systems[2]", "0.0.0.0/0"),
                ("2: servers[a.example].systems[3]", "::ffff:0:0/96"),
            )
        ],
    ),
    "system": (
        "servers: {a.example: {systems: [printer, 10, a_b.example, 1.2.3]}}",
        [
            "0.yaml:1: servers[a.example].systems[0]: expected an address, a network or a full host name, got 'printer'",
            "0.yaml:1: servers[a.example].systems[1]: expected a network such as 192.0.2.0/24 or 2001:db8::/32, got '10'",
            "0.yaml:1: servers[a.example].systems[2]: expected an address, a network or a full host name, got 'a_b.example'",
            "0.yaml:1: servers[a.example].systems[3]: expected a network such as 192.0.2.0/24 or 2001:db8::/32, got '1.2.3'",
        ],
    ),
    "person": (
        "servers: {a.example: {administrators: [{name: '', email: nobody}]}}",
        [
            "0.yaml:1: servers[a.example].administrators[0].email: expected an address such as postmaster@example.org, got 'nobody'",
            "0.yaml:1: servers[a.example].administrators[0].name: expected some text, got ''",
        ],
    ),
    "test addresses of another domain": (
        "servers:\n  a.example:\n    domains:\n      b.example:\n        existing: [a@b.example, a@x.b.example]\n        unknown: z@c.example\n",
        [
            "0.yaml:5: servers[a.example].domains[b.example].existing: expected an address in b.example, got 'a@x.b.example'",
            "0.yaml:6: servers[a.example].domains[b.example].unknown: expected an address in b.example, got 'z@c.example'",
        ],
    ),
    "a test address that exists and does not": (
        "servers:\n  a.example:\n    domains:\n      b.example:\n        existing: [a@b.example, C@b.example]\n        unknown: [d@b.example, c@B.example]\n",
        ["0.yaml:6: servers[a.example].domains[b.example].unknown: 'c@b.example' stands under existing, too"],
    ),
    "domain twice": (
        "servers:\n  a.example:\n    domains: {c.example: }\n  b.example:\n    domains: {C.example: }\n",
        ["0.yaml:5: servers[b.example].domains[C.example]: is registered twice; first in 0.yaml:3 for a.example"],
    ),
    "domain twice on one server, in two spellings": (
        "servers:\n  a.example:\n    domains:\n      bücher.example:\n      xn--bcher-kva.example:\n",
        ["0.yaml:5: servers[a.example].domains[xn--bcher-kva.example]: is registered twice; first in 0.yaml:4 for a.example"],
    ),
    "server twice, in two spellings": (
        "servers:\n  a.example:\n  A.example:\n",
        ["0.yaml:3: servers[A.example]: is registered twice; first in 0.yaml:2 for a.example"],
    ),
    "system twice": (
        "servers:\n  a.example: {systems: [192.0.2.0/24, p.example]}\n  b.example: {systems: [192.0.2.0/24, P.example]}\n",
        [
            "0.yaml:3: servers[b.example].systems[0]: is registered twice; first in 0.yaml:2 for a.example",
            "0.yaml:3: servers[b.example].systems[1]: is registered twice; first in 0.yaml:2 for a.example",
        ],
    ),
    "network twice, in two spellings": (
        "servers:\n  a.example: {systems: '2001:db8::/32'}\n  b.example: {systems: '2001:0DB8:0::/32'}\n",
        ["0.yaml:3: servers[b.example].systems[0]: is registered twice; first in 0.yaml:2 for a.example"],
    ),
    "another server's address": (
        "servers:\n  a.example: {addresses: 192.0.2.1}\n  b.example: {systems: 192.0.2.1}\n",
        ["0.yaml:3: servers[b.example].systems[0]: is registered twice; first in 0.yaml:2 for a.example"],
    ),
    "upstream and system": (
        "upstreams: 192.0.2.0/24\nservers: {a.example: {systems: 192.0.2.0/24}}\n",
        ["0.yaml:2: servers[a.example].systems[0]: is registered twice; first in 0.yaml:1 for the upstream relays"],
    ),
    "backup": (
        "servers:\n  mail.a.example: {backup: mail2.a.example}\n  mail3.a.example: {backup: mail3.a.example}\n",
        [
            "0.yaml:2: servers[mail.a.example].backup: 'mail2.a.example' is neither a registered server nor a registered "
            "system; did you mean 'mail.a.example' or 'mail3.a.example'?",
            "0.yaml:3: servers[mail3.a.example].backup: expected another server than this one",
        ],
    ),
    "default server": (
        "default_server: a.example\nservers: {b.example: }\n",
        ["0.yaml:1: default_server: 'a.example' is no registered server; did you mean 'b.example'?"],
    ),
    "systems without default server": (
        "systems: [192.0.2.1]\n",
        ["0.yaml:1: systems[0]: systems without a server need a default_server, and none is named"],
    ),
    "a system's name is another server": (
        "servers:\n  a.example: {systems: b.example}\n  b.example:\n",
        ["0.yaml:2: servers[a.example].systems[0]: is a registered server itself, in 0.yaml:3"],
    ),
    "a domain is another server's host name": (
        "servers:\n  a.example: {domains: {p.example: , b.example: }}\n  b.example: {systems: p.example}\n",
        [
            "0.yaml:2: servers[a.example].domains[b.example]: is also a registered host name, of b.example",
            "0.yaml:2: servers[a.example].domains[p.example]: is also a registered host name, of b.example",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_in_the_registry(tmp_path: Path, name: str) -> None:
    text, expected = CASES[name]
    assert complaints(tmp_path, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "servers:\n",
        "servers: {a.example: }\n",
        "servers: {a.example: {domains: , systems: , administrators: }}\n",
        "servers: {a.example: {systems: [192.0.2.1, 192.0.2.1], addresses: 192.0.2.1}}\n",
        "servers: {a.example: {systems: a.example, domains: {a.example: }}}\n",
        "servers: {a.example: {backup: p.example, systems: p.example, domains: {p.example: }}}\n",
        "servers: {a.example: {administrators: [{name: 007, email: a@b.example, phone: 112}]}}\n",
    ],
)
def test_what_is_no_mistake(tmp_path: Path, text: str) -> None:
    load(tmp_path, text)


def test_a_folder_is_one_registry(tmp_path: Path) -> None:
    (tmp_path / ".hidden.yaml").write_text("[")
    (tmp_path / "notes.txt").write_text("[")
    (tmp_path / "2.yml").write_text("systems: s.example\n")
    (tmp_path / "folder.yaml").mkdir()
    registry = load(
        tmp_path,
        "default_server: b.example\nupstreams: 192.0.2.0/24\nservers: {a.example: {backup: b.example}}\n",
        "upstreams: 198.51.100.0/24\nservers: {b.example: }\n",
    )
    assert list(registry.servers) == ["a.example", "b.example"]
    assert registry.upstreams == ("192.0.2.0/24", "198.51.100.0/24")
    assert registry.host_system("s.example") == System("s.example", "b.example", assigned=False)


def test_contradictions_between_files_name_both(tmp_path: Path) -> None:
    assert complaints(
        tmp_path,
        "default_server: a.example\nservers: {a.example: {domains: {c.example: }}}\n",
        "default_server: b.example\nservers:\n  b.example:\n    domains: {c.example: }\n",
    ) == [
        "1.yaml:1: default_server: stands here twice; first in 0.yaml:1",
        "1.yaml:4: servers[b.example].domains[c.example]: is registered twice; first in 0.yaml:2 for a.example",
    ]


def test_mistakes_of_all_files_come_at_once(tmp_path: Path) -> None:
    assert complaints(tmp_path, "x: 1\n", "y: [\n", "default_server: a.example\n") == [
        "0.yaml:1: x: unknown key; known here: default_server, servers, systems, upstreams",
        "1.yaml:2: not valid YAML: did not find expected node content, while parsing a flow node",
    ]


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_registry(tmp_path)
    assert str(caught.value) == f"{tmp_path}: no *.yaml file in this folder; expected one for each server"
