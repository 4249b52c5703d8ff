"""``postwarden registry acl``: what the rules let in, worked out by walking through them."""

import ipaddress
import re

import pytest
import yaml
from twisted.internet.defer import Deferred

from mailbase.dns import TableResolver
from mailbase.dns.answers import Temporary
from postwarden import cli
from postwarden.registry import acl
from postwarden.registry.hosts import Hosts, look_up
from postwarden.sandbox.registered import DOMAIN, registry

RELAY, RELAY6 = "203.0.113.1", "2001:db8:9::1"
SERVER, SERVER6 = "192.0.2.25", "2001:db8::25"
OUTSIDE, OUTSIDE6 = "198.51.100.7", "2001:db8:ffff::7"
BACKUP, FACULTY = "192.0.2.26", "192.0.2.80"
NAMES = {f"mail2.{DOMAIN}": [BACKUP], "mx.gateway.example": [RELAY, RELAY6]}


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    content = registry()
    content["servers"]["mail.faculty.example"] = {"addresses": [FACULTY]}
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "c.yaml").write_text("registry: registry.yaml\nidentity: {hostname: mx.gateway.example}\n")
    monkeypatch.setattr(
        acl, "hosts_of", lambda settings, names: Hosts({name: NAMES.get(name, []) for name in names}, ())
    )

    def run(*arguments, format="nftables", interface=("--interface", "wan0")):
        command = ["registry", "acl", "--config", str(tmp_path / "c.yaml"), "--format", format]
        status = cli.main([*command, *interface, *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def admitted(text: str, source: str, target: str) -> bool:
    """Whether a packet from outside to port 25 gets through; of the rules, the first that fits wins."""
    return _nftables(text, source, target) if "table inet" in text else _cisco(text, source, target)


def _nftables(text: str, source: str, target: str) -> bool:
    sets = {
        name: set(re.findall(r"[0-9a-f:.]+(?=,)", body))
        for name, body in re.findall(r"set (\w+) \{(.*?)\n    \}", text, re.DOTALL)
    }
    chain = text.partition("chain smtp {\n")[2].partition("    }")[0]
    for rule in chain.splitlines():
        words = rule.split()
        if words[0] == "counter":
            assert words == ["counter", "reject", "with", "tcp", "reset"]
            return False
        family = 6 if words[0] == "ip6" else 4
        conditions = dict(zip(words[1:-1:3], words[2:-1:3], strict=True))
        if all(
            {"saddr": source, "daddr": target}[side] in sets[name.removeprefix("@")]
            and ipaddress.ip_address(target).version == family
            for side, name in conditions.items()
        ):
            assert words[-1] == "accept"
            return True
    raise AssertionError("no rule fits")


def _cisco(text: str, source: str, target: str) -> bool:
    version = ipaddress.ip_address(target).version
    head = "ip access-list extended " if version == 4 else "ipv6 access-list "
    block = text.partition(f"\n{head}")[2].partition("!")[0]
    for line in block.splitlines()[1:]:
        if found := re.fullmatch(r" permit tcp (any|host (\S+)) host (\S+) eq smtp", line):
            if found[2] in (None, source) and found[3] == target:
                return True
        elif line == " deny tcp any any eq smtp":
            return False
        else:
            assert line.startswith(" remark ")
    raise AssertionError("no rule fits")


both = pytest.mark.parametrize("format", ["nftables", "cisco"])


@both
@pytest.mark.parametrize(
    ("source", "target", "through"),
    [
        (OUTSIDE, RELAY, True),
        (OUTSIDE6, RELAY6, True),
        (OUTSIDE, SERVER, False),
        (OUTSIDE6, SERVER6, False),
        (RELAY, SERVER, True),
        (RELAY6, SERVER6, True),
        (RELAY, BACKUP, True),
        (RELAY, FACULTY, True),
        # Registered to relay through us, not to receive.
        (RELAY, "192.0.2.77", False),
        (OUTSIDE, "192.0.2.77", False),
        (SERVER, FACULTY, False),
    ],
)
def test_only_relays_are_reached_and_from_them_registered_servers(run, format, source, target, through):
    status, out, err = run(format=format)
    assert (status, err) == (0, "")
    assert admitted(out, source, target) is through


@both
def test_servers_that_receive_themselves(run, format):
    status, out, _ = run("--direct", "mail.faculty.example", format=format)
    assert status == 0
    assert admitted(out, OUTSIDE, FACULTY)
    assert not admitted(out, OUTSIDE, BACKUP)


@both
def test_relays_can_be_named_by_address(run, format):
    out = run("--relay", "203.0.113.99", format=format)[1]
    assert admitted(out, OUTSIDE, "203.0.113.99")
    assert not admitted(out, OUTSIDE, RELAY)
    assert not admitted(out, OUTSIDE6, RELAY6)


@both
def test_only_port_25_from_outside_is_judged(run, format):
    out = run(format=format)[1]
    if format == "nftables":
        (base,) = re.findall(r"chain from_outside \{\n(.*?)\n    \}", out, re.DOTALL)
        assert "policy accept;" in base
        assert base.splitlines()[-1].split() == ["iifname", '"wan0"', "tcp", "dport", "25", "jump", "smtp"]
    else:
        assert " permit ip any any\n!" in out
        assert " permit ipv6 any any\n!" in out
        assert "\ninterface wan0\n ip access-group postwarden-smtp in\n" in out


@both
def test_without_an_interface_the_rules_are_there_and_applied_to_none(run, format):
    status, out, err = run(format=format, interface=())
    assert status == 0
    assert "the rules are not applied to any interface" in err
    assert admitted(out, RELAY, SERVER)
    assert not admitted(out, OUTSIDE, SERVER)
    applied = run(format=format)[1]
    changed = [(a, b) for a, b in zip(applied.splitlines(), out.splitlines(), strict=True) if a != b]
    assert [b.strip().lstrip("!# ").replace("INTERFACE", "wan0") for _, b in changed] == [
        a.strip() for a, _ in changed
    ]
    assert all(b.strip().startswith(("# ", "! ")) for _, b in changed)
    assert "wan0" not in out


def test_an_address_that_two_servers_share_stands_in_a_set_once(run, monkeypatch):
    monkeypatch.setitem(NAMES, f"mail2.{DOMAIN}", [FACULTY])
    assert run()[1].count(FACULTY + ",") == 1


def test_loading_nftables_rules_again_replaces_them(run):
    lines = run()[1].splitlines()
    assert lines[1:4] == ["table inet postwarden", "delete table inet postwarden", "table inet postwarden {"]


@both
def test_a_server_without_address_is_told_and_the_others_have_their_rules(run, format, monkeypatch):
    monkeypatch.setitem(NAMES, f"mail2.{DOMAIN}", [])
    status, out, err = run(format=format)
    assert status == 1
    assert err.startswith(f"postwarden: mail2.{DOMAIN} has no address, neither in the registry nor in DNS;")
    assert admitted(out, RELAY, SERVER)


@both
@pytest.mark.parametrize(
    ("relay", "alone"), [(RELAY6, ["mail.faculty.example", f"mail2.{DOMAIN}"]), (RELAY, [])]
)
def test_a_server_that_no_relay_can_reach_is_told(run, format, relay, alone):
    status, out, err = run("--relay", relay, format=format)
    assert status == (1 if alone else 0)
    assert sorted(line.split()[1] for line in err.splitlines()) == alone
    assert all("has IPv4 addresses only, and no relay has one" in line for line in err.splitlines())
    assert admitted(out, relay, SERVER6 if relay == RELAY6 else SERVER)


@both
def test_without_any_relay_nothing_is_printed(run, format, monkeypatch):
    monkeypatch.setitem(NAMES, "mx.gateway.example", [])
    status, out, err = run(format=format)
    assert (status, out) == (1, "")
    assert "name them with --relay" in err


def test_direct_needs_a_registered_server(run):
    status, _, err = run("--direct", "mail.nowhere.example")
    assert status == 1
    assert "mail.nowhere.example is no registered server" in err


@pytest.mark.parametrize(
    "arguments",
    [["--relay", "mx.example"], ["--interface", 'a"b'], ["--interface", "a b"], ["--interface", ""]],
)
def test_wrong_usage(run, arguments):
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2


def test_what_dns_cannot_tell_is_said(run, monkeypatch):
    monkeypatch.setattr(acl, "hosts_of", lambda settings, names: Hosts(NAMES, ["mx.gateway.example"]))
    status, out, err = run()
    assert status == 1
    assert "DNS does not tell all addresses of mx.gateway.example now" in err
    assert admitted(out, OUTSIDE, RELAY)


def test_addresses_are_asked_for_in_dns():
    resolver = TableResolver(
        {
            ("both.example", "A"): ["192.0.2.1", "192.0.2.2"],
            ("both.example", "AAAA"): "2001:db8::1",
            # As a name server on the machine may have it, out of /etc/hosts.
            ("loop.example", "A"): ["127.0.1.1", "192.0.2.3"],
            ("half.example", "A"): "192.0.2.4",
            ("half.example", "AAAA"): Temporary(),
        }
    )
    names = ("both.example", "loop.example", "half.example", "none.example")
    done = []
    Deferred.fromCoroutine(look_up(resolver, names)).addCallback(done.append)
    assert done == [
        Hosts(
            {
                "both.example": ["192.0.2.1", "192.0.2.2", "2001:db8::1"],
                "loop.example": ["192.0.2.3"],
                "half.example": ["192.0.2.4"],
                "none.example": [],
            },
            ("half.example",),
        )
    ]
