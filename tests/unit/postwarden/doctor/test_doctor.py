"""``postwarden doctor``: what is wrong with the gateway itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailbase.config import loads
from mailbase.dns import TableResolver
from mailbase.dns.answers import NxDomain, Temporary
from postwarden import cli
from postwarden.doctor import command, health, parameters, wiring
from postwarden.doctor.looking import Looking
from postwarden.doctor.postfix import NoPostfix, Postfix, filter_place, leads_to, parse, policy_places
from postwarden.doctor.symptom import Symptom

IDENTITY = "identity: {hostname: mx.gate.example, relays: [mx.gate.example]}\n"
POLICY = (
    "check_policy_service { inet:127.0.0.1:10023, timeout=10s, { default_action = DEFER_IF_REJECT 4.3.0 x } }"
)
MAIN = {
    "myhostname": "mx.gate.example",
    "smtp_helo_name": "mx.gate.example",
    "mynetworks": "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128 192.0.2.0/24 2001:db8::/32",
    "smtpd_relay_restrictions": f"{POLICY}, reject_unauth_destination",
    "smtpd_recipient_restrictions": "",
    "smtpd_data_restrictions": "check_policy_service inet:127.0.0.1:10023",
    "smtpd_end_of_data_restrictions": "check_policy_service inet:localhost:10023",
    "smtpd_delay_reject": "yes",
    "smtpd_policy_service_default_action": "451 4.3.5 Server configuration problem",
    "parent_domain_matches_subdomains": "",
    "relay_domains": "socketmap:inet:127.0.0.1:10027:relay_domains",
    "message_size_limit": "52428800",
    "maximal_queue_lifetime": "3d",
    "bounce_queue_lifetime": "1d",
    "smtpd_tls_security_level": "may",
    "smtpd_tls_chain_files": "/etc/postfix/tls/gateway.pem",
    "smtp_tls_security_level": "may",
    "smtpd_forbid_bare_newline": "normalize",
}
SERVICES = (
    "smtp       inet  n       -       n       -       100     smtpd",
    "127.0.0.1:10025 inet  n  -       n       -       200     smtpd",
    "127.0.0.1:10028 inet  n  -       n       -       200     smtpd",
    "submission inet  n       -       n       -       50      smtpd",
    "cleanup    unix  n       -       n       -       0       cleanup",
)
OPTIONS = (
    "smtp/inet/smtpd_proxy_filter = 127.0.0.1:10024",
    "submission/inet/content_filter = filter-lmtp:[127.0.0.1]:10026",
    "127.0.0.1:10025/inet/smtpd_proxy_filter =",
    "127.0.0.1:10025/inet/message_size_limit = 55574528",
    "127.0.0.1:10028/inet/message_size_limit = 55574528",
)


def postfix(main: dict[str, str] | None = None, options: tuple[str, ...] = OPTIONS) -> Postfix:
    lines = [f"{name} = {value}" for name, value in {**MAIN, **(main or {})}.items()]
    return parse(lines, SERVICES, options)


def about_main(settings: str = "", **main: str) -> list[str]:
    found = parameters.judge(postfix(main), loads(IDENTITY + settings))
    return [f"{one.severity} {one.found}" for one in found]


# ---- main.cf -----------------------------------------------------------------------------------------


def test_settings_in_order() -> None:
    assert about_main() == []


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("myhostname", "mail.gate.example", "error myhostname = mail.gate.example: identity.hostname is mx"),
        ("smtp_helo_name", "other.example", "warning smtp_helo_name = other.example: what leaves says"),
        ("smtpd_delay_reject", "no", "error smtpd_delay_reject = no: policyd is asked before"),
        (
            "smtpd_relay_restrictions",
            "reject_unauth_destination",
            "error smtpd_relay_restrictions = reject_un",
        ),
        (
            "smtpd_relay_restrictions",
            POLICY,
            f"error smtpd_relay_restrictions = {POLICY}: nothing refuses mail",
        ),
        ("smtpd_data_restrictions", "", "error smtpd_data_restrictions = : policyd is not asked at DATA"),
        (
            "mynetworks",
            "127.0.0.0/8 0.0.0.0/0",
            "error mynetworks = 127.0.0.0/8 0.0.0.0/0: 0.0.0.0/0 is half",
        ),
        ("mynetworks", "[::]/0", "error mynetworks = [::]/0: [::]/0 is half"),
        ("parent_domain_matches_subdomains", "relay_domains,debug_peer_list", "warning parent_domain"),
        ("message_size_limit", "10240000", "warning message_size_limit = 10240000: larger mail is refused"),
        ("message_size_limit", "0", "warning message_size_limit = 0: contentfilter takes 53477376 octets"),
        ("maximal_queue_lifetime", "5d", "warning maximal_queue_lifetime = 5d: senders learn late"),
        ("maximal_queue_lifetime", "5", "warning maximal_queue_lifetime = 5: senders learn late"),
        ("bounce_queue_lifetime", "25h", "warning bounce_queue_lifetime = 25h: bounces"),
        ("smtpd_tls_security_level", "", "warning smtpd_tls_security_level = : STARTTLS is not offered"),
        ("smtpd_tls_security_level", "encrypt", "error smtpd_tls_security_level = encrypt: servers without"),
        ("smtpd_tls_chain_files", "", "warning smtpd_tls_security_level = may: there is no certificate"),
        ("smtp_tls_security_level", "", "warning smtp_tls_security_level = : mail leaves without TLS"),
        ("smtpd_forbid_bare_newline", "no", "warning smtpd_forbid_bare_newline = no: a bare line feed"),
    ],
)
def test_settings_that_are_wrong(name: str, value: str, found: str) -> None:
    (said,) = about_main(**{name: value})
    assert said.startswith(found)


def test_without_a_default_action_a_restart_stops_all_mail() -> None:
    bare = "check_policy_service inet:127.0.0.1:10023, reject_unauth_destination"
    (said,) = about_main(smtpd_relay_restrictions=bare)
    assert "no mail at all is taken while policyd is restarted" in said
    assert about_main(smtpd_relay_restrictions=bare, smtpd_policy_service_default_action="DUNNO") == []


def test_limits_of_octets_need_the_end_of_the_message() -> None:
    limits = "flows: {inbound: {limits: {big: {per: client, of: bytes, limit: 1GiB, within: 1h}}}}"
    assert about_main(limits) == []
    (said,) = about_main(limits, smtpd_end_of_data_restrictions="")
    assert "limits of octets count nothing" in said
    assert about_main(smtpd_end_of_data_restrictions="") == []


def test_policyd_may_be_asked_by_a_service_alone() -> None:
    options = (*OPTIONS, f"smtp/inet/smtpd_relay_restrictions = {POLICY}, reject_unauth_destination")
    asked = postfix({"smtpd_relay_restrictions": "permit_mynetworks, reject"}, options)
    assert list(parameters.judge(asked, loads(IDENTITY))) == []


@pytest.mark.parametrize(
    "asking", ["permit_mynetworks, policy", "policy", "check_recipient_access hash:/etc/postfix/protected"]
)
def test_policyd_may_be_asked_in_a_class(asking: str) -> None:
    given = {
        "smtpd_restriction_classes": "other, policy",
        "policy": f"inner, {POLICY}",
        "other": "policy",
        "smtpd_relay_restrictions": f"{asking}, reject_unauth_destination",
    }
    assert about_main(**given) == []


def test_a_class_may_refuse_foreign_domains() -> None:
    ends = {"smtpd_restriction_classes": "ends", "ends": "reject_unauth_destination"}
    assert about_main(**ends, smtpd_relay_restrictions=f"{POLICY}, ends") == []
    (said,) = about_main(**ends, smtpd_relay_restrictions=POLICY)
    assert "nothing refuses mail" in said


def test_policyd_may_be_asked_in_restrictions_of_earlier_stages() -> None:
    asked = about_main(smtpd_relay_restrictions="reject_unauth_destination", smtpd_sender_restrictions=POLICY)
    assert asked == []


@pytest.mark.parametrize("network", ["fe80::/10", "[fe80::]/10", "[fc00::]/7", "fd00::/8"])
def test_networks_for_local_use_are_not_half_the_world(network: str) -> None:
    assert about_main(mynetworks=f"127.0.0.0/8 {network}") == []


@pytest.mark.parametrize(
    ("service", "name"),
    [
        ("smtp inet n - n - - smtpd", "smtp/inet"),
        ("192.0.2.1:25 inet n - n - - smtpd", "192.0.2.1:25/inet"),
        ("smtpd pass - - n - - smtpd", "smtpd/pass"),
    ],
)
def test_tls_may_be_set_for_port_25_alone(service: str, name: str) -> None:
    main = {**MAIN, "smtpd_tls_security_level": "", "smtpd_tls_chain_files": ""}
    lines = [f"{key} = {value}" for key, value in main.items()]

    def about(*options: str) -> list[str]:
        given = parse(lines, (service,), [f"{name}/{one}" for one in options])
        return [one.found for one in parameters.judge(given, loads(IDENTITY))]

    assert about("smtpd_tls_security_level = may", "smtpd_tls_chain_files = /k.pem") == []
    (said,) = about("smtpd_tls_security_level = encrypt")
    assert said.startswith("smtpd_tls_security_level = encrypt: servers without TLS")


@pytest.mark.parametrize(
    ("text", "place", "same"),
    [
        ("inet:127.0.0.1:10023", "127.0.0.1:10023", True),
        ("inet:localhost:10023", "127.0.0.1:10023", True),
        ("127.0.0.1:10024", ":10024", True),
        ("[::1]:10024", "[::1]:10024", True),
        ("inet:127.0.0.1:10024", "127.0.0.1:10023", False),
        ("inet:192.0.2.1:10023", "127.0.0.1:10023", False),
        ("unix:private/policy", "unix:/var/spool/postfix/private/policy", True),
        ("unix:private/policy", "unix:/run/other", False),
        ("unix:/run/policy", "unix:/run/policy", True),
        # In a chroot.
        ("unix:/run/policy", "unix:/var/spool/postfix/run/policy", True),
        ("unix:cy", "unix:/run/policy", False),
        ("inet:localhost:10023", "[::1]:10023", True),
        ("inet:10023", "[::1]:10023", True),
        ("inet:[::1]:10023", "localhost:10023", True),
        ("inet:127.0.0.1:smtp", "127.0.0.1:25", True),
        ("inet:127.0.0.1:no-such-service", "127.0.0.1:10023", False),
        ("inet:policy.gate.example:10023", "10.0.0.1:10023", True),
        ("inet:localhost:10023", "10.0.0.1:10023", False),
        ("inet:10.0.0.1:10023", "localhost:10023", False),
        ("inet:127.0.0.1:9", "systemd:policyd", True),
    ],
)
def test_places(text: str, place: str, same: bool) -> None:
    assert leads_to(text, place) is same


def test_how_postfix_names_servers() -> None:
    assert policy_places(f"permit_mynetworks, {POLICY}, check_policy_service unix:private/p,reject") == [
        "inet:127.0.0.1:10023",
        "unix:private/p",
    ]
    assert filter_place("filter-lmtp:[127.0.0.1]:10026") == "127.0.0.1:10026"
    assert filter_place("smtp:127.0.0.1:10024") == "127.0.0.1:10024"
    assert filter_place("filter:dummy") == ""
    assert filter_place("lmtp:unix:/run/postwarden/filter") == "unix:/run/postwarden/filter"


# ---- master.cf ---------------------------------------------------------------------------------------


def about_wiring(*options: str, settings: str = "") -> list[str]:
    given = postfix(options=options or OPTIONS)
    return [f"{one.severity} {one.subject} {one.found}" for one in wiring.judge(given, loads(settings))]


def test_a_wiring_in_order() -> None:
    assert about_wiring() == []


def test_nothing_leads_to_contentfilter() -> None:
    (said,) = about_wiring("smtp/inet/smtpd_client_connection_count_limit = 20")[:1]
    assert said.startswith("error contentfilter nothing in Postfix leads to contentfilter")


def test_a_listener_that_nobody_uses() -> None:
    (said,) = about_wiring(OPTIONS[0], *OPTIONS[2:])
    assert said.startswith("warning 127.0.0.1:10026 nothing in Postfix leads to contentfilter at")


def test_a_port_that_is_missing_where_mail_comes_back() -> None:
    listeners = "{listen: 127.0.0.1:10024, protocol: smtp, reinject: 127.0.0.1:10099}"
    (said,) = about_wiring(settings=f"contentfilter: {{listeners: [{listeners}]}}")
    assert said.startswith("error 127.0.0.1:10099 master.cf has no smtpd at 127.0.0.1:10099")


@pytest.mark.parametrize("place", ["localhost:10025", "127.0.0.1:10025", "mx.gate.example:10025"])
def test_a_port_where_mail_comes_back(place: str) -> None:
    settings = f"contentfilter: {{listeners: [{{listen: 127.0.0.1:10024, reinject: '{place}'}}]}}"
    assert about_wiring(settings=settings) == []


def test_mail_may_come_back_on_another_machine() -> None:
    settings = "contentfilter: {listeners: [{listen: 127.0.0.1:10024, reinject: '192.0.2.9:25'}]}"
    assert about_wiring(settings=settings) == []


def test_a_way_back_that_asks_no_milter() -> None:
    milter = "127.0.0.1:10025/inet/smtpd_milters = inet:127.0.0.1:10024"
    (said,) = about_wiring(*OPTIONS, milter)
    assert "goes round in circles" in said
    none = "127.0.0.1:10025/inet/receive_override_options = no_unknown_recipient_checks,no_milters"
    assert about_wiring(*OPTIONS, milter, none) == []


def test_mail_that_goes_round_in_circles() -> None:
    (said,) = about_wiring(
        *OPTIONS[:2], "127.0.0.1:10025/inet/smtpd_proxy_filter = 127.0.0.1:10024", *OPTIONS[3:]
    )
    assert said == (
        "error 127.0.0.1:10025 smtpd_proxy_filter = 127.0.0.1:10024 there: mail goes round in circles"
    )


def test_a_port_that_takes_less_than_contentfilter() -> None:
    (said,) = about_wiring(*OPTIONS[:4])
    assert said.startswith("warning 127.0.0.1:10028 message_size_limit = 52428800 there")


def test_a_milter_needs_no_way_back() -> None:
    listener = "{listen: 127.0.0.1:10024, protocol: milter, reinject: 127.0.0.1:10099}"
    settings = f"contentfilter: {{listeners: [{listener}]}}"
    assert about_wiring("smtp/inet/smtpd_milters = inet:127.0.0.1:10024", settings=settings) == []


# ---- DNS ---------------------------------------------------------------------------------------------

ZONE: dict[tuple[str, str], Any] = {
    ("mx.gate.example", "A"): "198.51.100.25",
    ("mx.gate.example", "AAAA"): "2001:db8:9::25",
    ("25.100.51.198.in-addr.arpa", "PTR"): "mx.gate.example",
    ("5.2" + ".0" * 18 + ".9.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "PTR"): "mx.gate.example",
    ("_spf.mx.gate.example", "TXT"): "v=spf1 a:mx.gate.example -all",
    ("_dmarc.gate.example", "TXT"): "v=DMARC1; p=reject",
    ("2.0.0.127.bl.example", "A"): "127.0.0.2",
}
LISTS = "policyd: {lists: {bad: {kind: dnsbl, zone: bl.example}}}"


def looked(*changes: tuple[str, str, Any], settings: str = LISTS) -> list[Symptom]:
    resolver = TableResolver(dict(ZONE))
    for change in changes:
        resolver.set(*change)
    found: list[list[Symptom]] = []
    Deferred.fromCoroutine(Looking(loads(IDENTITY + settings), resolver).run()).addCallback(found.append)
    return found[0]


def test_names_in_order() -> None:
    assert looked() == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            ("mx.gate.example", "A", "10.1.2.3"),
            "error has the address 10.1.2.3, which nobody outside reaches",
        ),
        (("25.100.51.198.in-addr.arpa", "PTR", NxDomain()), "error no PTR record"),
        (
            ("25.100.51.198.in-addr.arpa", "PTR", "dsl.isp.example"),
            "error its name dsl.isp.example does not lead",
        ),
        (("25.100.51.198.in-addr.arpa", "PTR", Temporary()), "warning DNS could not tell its PTR record"),
        (("_spf.mx.gate.example", "TXT", NxDomain()), "error there is no SPF record at _spf.mx.gate.example"),
        (
            ("_spf.mx.gate.example", "TXT", "v=spf1 ip4:198.51.100.25 -all"),
            "error _spf.mx.gate.example does not",
        ),
        (("_spf.mx.gate.example", "TXT", "v=spf1 ip4:no -all"), "error the record is broken"),
        (("_dmarc.gate.example", "TXT", NxDomain()), "warning no DMARC record"),
        (("_dmarc.gate.example", "TXT", "something else"), "warning no DMARC record"),
        (("25.100.51.198.bl.example", "A", "127.0.0.3"), "error is on the list bad (bad 127.0.0.3)"),
    ],
)
def test_names_that_are_wrong(change: tuple[str, str, Any], found: str) -> None:
    texts = [f"{one.severity} {one.found}" for one in looked(change)]
    assert any(text.startswith(found) for text in texts), texts
    if "10.1.2.3" not in found:
        # Of both addresses, or of the record, it is said once.
        assert len(texts) == 1


def test_another_name_than_in_helo() -> None:
    reverse = ("25.100.51.198.in-addr.arpa", "PTR", "host25.gate.example")
    (said,) = looked(reverse, ("host25.gate.example", "A", "198.51.100.25"))
    assert (said.subject, said.severity.value) == ("198.51.100.25", "warning")
    assert said.found == "its name is host25.gate.example, and it says mx.gate.example in HELO"


def test_a_list_that_is_no_use_says_nothing() -> None:
    listed = ("25.100.51.198.bl.example", "A", "127.0.0.3")
    assert looked(listed, ("2.0.0.127.bl.example", "A", NxDomain())) == []


def test_a_name_that_is_not_in_dns() -> None:
    gone = [("mx.gate.example", kind, NxDomain()) for kind in ("A", "AAAA")]
    (said,) = looked(*gone)
    assert (said.subject, said.found) == ("mx.gate.example", "has no address in DNS")


# ---- the daemons, and all together -------------------------------------------------------------------


def test_daemons() -> None:
    def fetch(host: str, port: int) -> tuple[int, str]:
        if port == 9323:
            raise ConnectionRefusedError(111, "Connection refused")
        return 503, "no reinjection port answers"

    settings = loads("")
    found = [f"{one.subject}: {one.found}" for one in health.judge(settings, fetch)]
    assert found == [
        "policyd: does not answer at 127.0.0.1:9323: Connection refused",
        "contentfilter: cannot decide: no reinjection port answers",
    ]
    assert list(health.judge(settings, lambda host, port: (200, "ok"))) == []
    off = loads("policyd: {metrics: ''}\ncontentfilter: {metrics: unix:/run/x}")
    assert list(health.judge(off, fetch)) == []


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def no_postfix(folder: Path | None) -> Postfix:
        raise NoPostfix("postconf is not installed here")

    config = tmp_path / "c.yaml"
    config.write_text(IDENTITY)
    seen: list[Symptom] = []
    monkeypatch.setattr(command, "in_reactor", lambda work: seen)
    monkeypatch.setattr(command, "ask_postconf", no_postfix)
    monkeypatch.setattr(command.health, "judge", lambda settings: iter(()))
    assert cli.main(["doctor", "--config", str(config)]) == 1
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (row["subject"], row["found"]) == ("Postfix", "postconf is not installed here")
    monkeypatch.setattr(command, "ask_postconf", lambda folder: postfix())
    assert cli.main(["doctor", "--config", str(config)]) == 0
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(command, "in_reactor", lambda work: None)
    assert cli.main(["doctor", "--config", str(config)]) == 1
    assert "interrupted" in capsys.readouterr().err


def test_nothing_is_said_of_what_this_postfix_does_not_know() -> None:
    bare = Postfix(
        {name: MAIN[name] for name in ("myhostname", "smtpd_relay_restrictions", "smtpd_data_restrictions")},
        (),
    )
    names = {one.subject for one in parameters.judge(bare, loads(IDENTITY))}
    assert names == {"smtpd_tls_security_level", "smtp_tls_security_level"}
