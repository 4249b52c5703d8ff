"""The registry as Postfix's maps: a real Postfix serves what policyd has registered at this moment.

An smtpd process remembers what it has found out about a recipient until it ends, so recipients are new ones.
"""

from __future__ import annotations

import signal
import subprocess

import pytest
import yaml

from postwarden.demo import samples
from postwarden.sandbox import registered
from postwarden.sandbox.gateway import Gateway, metric
from postwarden.sandbox.ports import LOOPBACK, PortReservation
from postwarden.sandbox.postfix import find_program
from postwarden.sandbox.sink import Sink
from postwarden.sandbox.waiting import wait_until

DOMAIN, OPEN, FOREIGN = registered.DOMAIN, registered.OPEN_DOMAIN, registered.FOREIGN_DOMAIN
MAIL, BACKUP = f"mail.{DOMAIN}", f"mail2.{DOMAIN}"
FACULTY = {"mail.faculty.example": {"domains": {"faculty.example": {"greylisting": False}}}}


def with_faculty(**changes: object) -> dict:
    content = registered.registry()
    content["servers"] |= {"mail.faculty.example": {**FACULTY["mail.faculty.example"], **changes}}
    return content


def reload(gateway: Gateway, content: dict | str, result: str = "ok") -> None:
    """Write another registry and let policyd read it."""
    name = f'policyd_reloads_total{{result="{result}"}}'
    before = metric(gateway.ports.policyd_metrics, name)
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    (gateway.folder / "registry.yaml").write_text(text)
    gateway.policyd.signal(signal.SIGHUP)
    wait_until(lambda: metric(gateway.ports.policyd_metrics, name) > before, 10.0, "the registry is read")


@pytest.fixture(scope="module")
def servers():
    """The registered mail servers: the institute's, and the faculty's."""
    sinks = Sink(), Sink()
    yield sinks
    for sink in sinks:
        sink.close()


@pytest.fixture(scope="module")
def live(real_postfix, servers, tmp_path_factory):
    """A gateway that delivers where the registry says; the servers' names stand for ports on loopback."""
    folder = tmp_path_factory.mktemp("socketmap")
    institute, faculty = (f"[{LOOPBACK}]:{sink.port}" for sink in servers)
    with Gateway(folder) as gateway, PortReservation() as reserved:
        # Nobody listens on a port that is only reserved.
        closed = f"[{LOOPBACK}]:{reserved.take()}"
        routes = {
            f"smtp:[{MAIL}],[{BACKUP}]": f"smtp:{institute}",
            "smtp:[mail.faculty.example]": f"smtp:{faculty}",
            f"smtp:[mail.faculty.example],[{MAIL}]": f"smtp:{closed},{institute}",
        }
        table = ", ".join(f"{{{key} = {value}}}" for key, value in routes.items())
        maps = f"socketmap:inet:{LOOPBACK}:{gateway.ports.socketmap}"
        gateway.postfix_main = {"transport_maps": f"pipemap:{{{maps}:transport_maps, inline:{{{table}}}}}"}
        gateway.start()
        yield gateway


@pytest.fixture
def original(live):
    yield live
    reload(live, registered.registry())


def postmap(gateway: Gateway, name: str, key: str) -> str | None:
    """What Postfix's own command finds."""
    place = f"socketmap:inet:{LOOPBACK}:{gateway.ports.socketmap}:{name}"
    done = subprocess.run(
        [find_program("postmap"), "-c", str(gateway.postfix.config), "-q", key, place],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stderr == ""
    assert done.returncode == (0 if done.stdout else 1)
    return done.stdout.rstrip("\n") or None


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("relay_domains", DOMAIN, MAIL),
        ("relay_domains", f"printer.{DOMAIN}", MAIL),
        ("relay_domains", f"sub.{DOMAIN}", None),
        ("transport_maps", DOMAIN, f"smtp:[{MAIL}],[{BACKUP}]"),
        ("transport_maps", f"ada@{DOMAIN}", f"smtp:[{MAIL}],[{BACKUP}]"),
        ("transport_maps", FOREIGN, None),
        ("relay_clients", registered.SYSTEM, "OK"),
        ("relay_clients", "2001:db8:1::7", "OK"),
        ("relay_clients", registered.OUTSIDER, None),
        ("upstream_clients", registered.UPSTREAM, "OK"),
    ],
)
def test_postmap_finds_it(live, name, key, value):
    assert postmap(live, name, key) == value


def test_mail_goes_to_the_registered_server(live, outside_of, servers, mark):
    assert outside_of(live).mx(samples.mail(mark), f"eve@{OPEN}").code == 250
    assert servers[0].wait_for(mark.encode())
    assert not servers[1].find(mark.encode())


def test_a_new_domain_is_relayed_at_once_and_a_removed_one_refused(original, outside_of, servers, mark):
    """No postmap, no "postfix reload": only SIGHUP to policyd."""
    outside, recipient = outside_of(original), "dean@faculty.example"
    refused = outside.mx(samples.mail(mark), "early@faculty.example")
    assert (refused.stage, refused.code) == ("RCPT", 554)
    reload(original, with_faculty())
    assert outside.mx(samples.mail(mark), recipient).code == 250
    assert servers[1].wait_for(mark.encode())
    reload(original, registered.registry())
    for refused_now in (recipient, "late@faculty.example"):
        refused = outside.mx(samples.mail(f"{mark}-2"), refused_now)
        assert (refused.stage, refused.code) == ("RCPT", 554)
    assert not servers[1].find(f"{mark}-2".encode())


def test_a_domain_that_moves_goes_to_its_new_server(original, outside_of, servers, mark):
    content = with_faculty(domains={OPEN: {"greylisting": False}})
    del content["servers"][MAIL]["domains"][OPEN]
    reload(original, content)
    assert outside_of(original).mx(samples.mail(mark), f"moved@{OPEN}").code == 250
    assert servers[1].wait_for(mark.encode())
    assert not servers[0].find(mark.encode())


def test_the_backup_takes_the_mail_of_a_server_that_is_down(original, outside_of, servers, mark):
    reload(original, with_faculty(backup=MAIL))
    assert outside_of(original).mx(samples.mail(mark), "backed-up@faculty.example").code == 250
    assert servers[0].wait_for(mark.encode())


def test_a_broken_registry_leaves_the_old_one_in_force(original, outside_of, servers, mark):
    reload(original, "servers: {mail.broken.example: {domains: {broken: }}}", result="refused")
    assert outside_of(original).mx(samples.mail(mark), f"eve@{OPEN}").code == 250
    assert servers[0].wait_for(mark.encode())


def test_look_ups_are_counted(live):
    name = 'policyd_socketmap_lookups_total{{map="relay_domains",result="{}"}}'
    before = [metric(live.ports.policyd_metrics, name.format(result)) for result in ("ok", "notfound")]
    postmap(live, "relay_domains", DOMAIN)
    postmap(live, "relay_domains", FOREIGN)
    after = [metric(live.ports.policyd_metrics, name.format(result)) for result in ("ok", "notfound")]
    assert [b + 1 for b in before] == after


def test_without_policyd_mail_waits_and_nothing_is_refused_for_good(live, outside_of, servers, mark):
    outside = outside_of(live)
    live.policyd.kill()
    try:
        for recipient in (f"waiting@{OPEN}", f"waiting@{FOREIGN}"):
            outcome = outside.mx(samples.mail(mark), recipient)
            assert 400 <= outcome.code < 500, outcome
    finally:
        live.start_policyd()
    assert outside.mx(samples.mail(mark), f"after@{OPEN}").code == 250
    assert servers[0].wait_for(mark.encode())


@pytest.fixture(scope="module", params=["check_client_access", "mynetworks"])
def by_maps(request, real_postfix, tmp_path_factory):
    """A gateway where the maps alone say who may relay; policyd is not asked."""
    with Gateway(tmp_path_factory.mktemp("by-maps")) as gateway:
        clients = f"socketmap:inet:{LOOPBACK}:{gateway.ports.socketmap}:relay_clients"
        restriction = {
            "check_client_access": f"check_client_access {clients}",
            "mynetworks": "permit_mynetworks",
        }[request.param]
        gateway.postfix_main = {
            "mynetworks": clients if request.param == "mynetworks" else "",
            "smtpd_relay_restrictions": f"{restriction}, reject_unauth_destination",
            # Postfix's default: were it to ask for parent domains, subdomains would be served.
            "parent_domain_matches_subdomains": "relay_domains, smtpd_access_maps, mynetworks",
        }
        gateway.start()
        yield gateway


@pytest.mark.parametrize(
    ("who", "recipient", "code"),
    [
        ({}, f"eve@{OPEN}", 250),
        ({}, f"root@printer.{DOMAIN}", 250),
        ({}, f"eve@sub.{OPEN}", 554),
        ({}, f"carol@{FOREIGN}", 554),
        ({"client": registered.SYSTEM}, f"carol@{FOREIGN}", 250),
        ({"client": "IPV6:2001:db8:1::7"}, f"carol@{FOREIGN}", 250),
        ({"client": "IPV6:2001:db8::25"}, f"carol@{FOREIGN}", 250),
        # Without its last group it would be a registered address.
        ({"client": "IPV6:2001:db8::25:1"}, f"carol@{FOREIGN}", 554),
        ({"name": f"printer.{DOMAIN}"}, f"carol@{FOREIGN}", 250),
        ({"name": f"x.printer.{DOMAIN}"}, f"carol@{FOREIGN}", 554),
        ({"client": registered.UPSTREAM}, f"carol@{FOREIGN}", 554),
    ],
)
def test_the_maps_alone_are_no_open_relay(by_maps, outside_of, mark, who, recipient, code):
    assert outside_of(by_maps).mx(samples.mail(mark), recipient, **who).code == code
