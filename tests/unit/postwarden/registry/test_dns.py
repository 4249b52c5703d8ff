"""``postwarden registry dns``: the records to set, readable for a name server."""

import json

import dns.rdatatype
import dns.zone
import pytest
import yaml

from postwarden import cli
from postwarden.sandbox.registered import DOMAIN, OPEN_DOMAIN, registry

IDENTITY = {
    "hostname": "mx1.gateway.example",
    "relays": ["mx1.gateway.example", "mx2.gateway.example"],
    "spf_include": "_spf.gateway.example",
    "dkim_domain": "dkim.gateway.example",
}


@pytest.fixture
def run(tmp_path, capsys):
    content = registry()
    content["servers"]["mail.bücher.example"] = {"domains": {"bücher.example": {}}}
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(content))

    def run(*arguments, identity=IDENTITY):
        config = {"registry": "registry.yaml", "identity": identity}
        (tmp_path / "postwarden.yaml").write_text(yaml.safe_dump(config))
        status = cli.main(["registry", "dns", "--config", str(tmp_path / "postwarden.yaml"), *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def zone(text):
    """What a name server would read, by name and type."""
    read = dns.zone.from_text(text, origin=".", relativize=False, check_origin=False)
    return {
        (str(name).rstrip("."), dns.rdatatype.to_text(rdataset.rdtype)): sorted(
            str(data) for data in rdataset
        )
        for name, rdataset in read.iterate_rdatasets()
    }


def test_a_name_server_reads_it(run):
    status, out, err = run()
    assert (status, err) == (0, "")
    records = zone("$TTL 3600\n" + out)
    relays = ["10 mx1.gateway.example.", "10 mx2.gateway.example."]
    names = [DOMAIN, OPEN_DOMAIN, f"printer.{DOMAIN}", f"mail2.{DOMAIN}", "xn--bcher-kva.example"]
    for name in names:
        assert records.pop((name, "MX")) == relays
        assert records.pop((name, "TXT")) == ['"v=spf1 include:_spf.gateway.example ~all"']
        for selector in ("dkim001", "dkim002"):
            key = records.pop((f"{selector}._domainkey.{name}", "CNAME"))
            assert key == [f"{selector}.dkim.gateway.example."]
    assert records == {
        ("_spf.gateway.example", "TXT"): ['"v=spf1 a:mx1.gateway.example a:mx2.gateway.example -all"']
    }


def test_relays_have_equal_preference(run):
    preferences = {line.split()[3] for line in run("--type", "mx")[1].splitlines() if " MX " in line}
    assert preferences == {"10"}


def test_addresses_and_networks_have_no_records(run):
    assert not any(line.startswith(("192.", "2001", "127.")) for line in run()[1].splitlines())


def test_one_server_and_one_type(run):
    status, out, _ = run("mail.bücher.example", "--type", "mx")
    assert status == 0
    assert out == (
        "; mail.xn--bcher-kva.example\n"
        "xn--bcher-kva.example. IN MX 10 mx1.gateway.example.\n"
        "xn--bcher-kva.example. IN MX 10 mx2.gateway.example.\n"
    )


def test_json(run):
    rows = [json.loads(line) for line in run(f"mail.{DOMAIN}", "--type", "spf", "--json")[1].splitlines()]
    assert rows[0] == {
        "server": f"mail.{DOMAIN}",
        "name": DOMAIN,
        "type": "TXT",
        "value": '"v=spf1 include:_spf.gateway.example ~all"',
    }
    assert len(rows) == 4


def test_without_more_the_hostname_stands_for_everything(run):
    out = run(identity={"hostname": "mx.gateway.example"})[1]
    assert f"{DOMAIN}. IN MX 10 mx.gateway.example.\n" in out
    assert '_spf.mx.gateway.example. IN TXT "v=spf1 a:mx.gateway.example -all"\n' in out
    assert f"dkim001._domainkey.{DOMAIN}. IN CNAME dkim001.mx.gateway.example.\n" in out


def test_a_long_record_is_cut_into_strings(run):
    relays = [f"relay-with-a-long-name-{number}.gateway.example" for number in range(10)]
    out = run("--type", "spf", identity={**IDENTITY, "relays": relays})[1]
    (value,) = zone("$TTL 3600\n" + out)["_spf.gateway.example", "TXT"]
    strings = value.strip('"').split('" "')
    assert all(len(string) <= 255 for string in strings)
    assert "".join(strings) == "v=spf1 " + " ".join(f"a:{name}" for name in relays) + " -all"


def test_a_server_that_is_not_registered(run):
    status, out, err = run("mail.nowhere.example")
    assert (status, out) == (1, "")
    assert "mail.nowhere.example is no registered server" in err
