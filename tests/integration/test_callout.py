"""Callouts between a real Postfix in front and real servers behind: who is refused, deferred, let in."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from postwarden.demo import samples
from postwarden.sandbox import registered
from postwarden.sandbox.gateway import Gateway, metric
from postwarden.sandbox.ports import PortReservation
from postwarden.sandbox.postfix import PrivatePostfix
from postwarden.sandbox.sink import Sink
from postwarden.sandbox.waiting import wait_until
from tests.integration import certificates
from tests.samples.noise import noise

DEADLINE = 2.0
CLIENT_V6 = "IPV6:2001:db8:5::25"


def knows(*local_parts):
    """Answers RCPT as a server with these mailboxes."""

    def answer(path):
        local = path.decode("utf-8").lstrip("<").rpartition("@")[0]
        return b"250 2.1.5 Ok" if local in local_parts else b"550 5.1.1 unknown here: " + path

    return answer


class Servers:
    """Registered servers: each has a domain that is called like it."""

    def __init__(self, folder):
        self.sinks = {
            "known": Sink(on_recipient=knows("ada", "closing", "a b")),
            "other": Sink(on_recipient=knows("ada")),
            "v6": Sink(on_recipient=knows("ada"), host="::1"),
            "tls": Sink(
                on_recipient=knows("ada"), tls=certificates.context(certificates.write(folder, "any.example"))
            ),
            # A handshake without a certificate cannot succeed.
            "broken-tls": Sink(on_recipient=knows("ada"), tls=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)),
            "temporary": Sink(on_recipient=lambda path: b"451 4.3.0 try again"),
            "policy": Sink(on_recipient=lambda path: b"550 5.7.1 we do not like you"),
            "all": Sink(),
            "none": Sink(on_recipient=lambda path: b"550 null sender not accepted"),
            "slow": Sink(on_recipient=self._slowly),
            "backup": Sink(on_recipient=knows("ada")),
            "returns": Sink(on_recipient=knows("ada")),
        }
        self.silent = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.brabbling = socket.create_server(("127.0.0.1", 0), backlog=64)
        threading.Thread(target=self._brabble, daemon=True).start()
        self.reservation = PortReservation()
        self.closed_port = self.reservation.take()

    def _slowly(self, path):
        time.sleep(2 * DEADLINE)
        return knows("ada")(path)

    def _brabble(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.brabbling.accept()
                with contextlib.suppress(OSError):
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n" + noise(100_000))
                connection.close()

    def targets(self):
        places = {name: f"127.0.0.1:{sink.port}" for name, sink in self.sinks.items()}
        places["v6"] = f"[::1]:{self.sinks['v6'].port}"
        places["silent"] = f"127.0.0.1:{self.silent.getsockname()[1]}"
        places["brabbling"] = f"127.0.0.1:{self.brabbling.getsockname()[1]}"
        places["dead"] = places["dead-primary"] = f"127.0.0.1:{self.closed_port}"
        return {f"mx.{name}.example": place for name, place in places.items()}

    def close(self):
        self.reservation.close()
        for sink in self.sinks.values():
            sink.close()
        for listener in (self.silent, self.brabbling):
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    servers = Servers(tmp_path_factory.mktemp("servers"))
    yield servers
    servers.close()


@pytest.fixture(scope="module")
def callee(real_postfix, guard, tmp_path_factory):
    """A Postfix with one mailbox and TLS, as a registered server."""
    folder = tmp_path_factory.mktemp("callee")
    folder.chmod(0o755)
    reservation = PortReservation()
    port = reservation.take()
    pem = certificates.write(folder, "mx.postfix.example")
    main = {
        "myhostname": "mx.postfix.example",
        "virtual_mailbox_domains": "postfix.example",
        "virtual_mailbox_maps": "inline:{ ada@postfix.example=ada }",
        "virtual_transport": "discard",
        "smtpd_tls_chain_files": str(pem),
        "smtpd_tls_security_level": "may",
    }
    server = PrivatePostfix("callee", main, [f"127.0.0.1:{port} inet n - n - 20 smtpd"], [port], guard)
    server.start()
    yield server, port
    server.remove()
    reservation.close()


@pytest.fixture(scope="module")
def gateway(real_postfix, servers, callee, tmp_path_factory):
    targets = {**servers.targets(), "mx.postfix.example": f"127.0.0.1:{callee[1]}"}
    names = [name.removeprefix("mx.") for name in targets if name != "mx.backup.example"]
    registry = {
        "upstreams": ["129.187.254.0/23"],
        "servers": {
            f"mx.{name}": {
                "domains": {name: {"greylisting": name == "other.example"}},
                **({"backup": "mx.backup.example"} if name == "dead-primary.example" else {}),
            }
            for name in names
        },
    }
    registry["servers"]["mx.backup.example"] = {}
    registry["servers"]["mx.known.example"]["systems"] = ["192.0.2.0/24", "printer.known.example"]
    registry["servers"]["mx.known.example"]["domains"]["off.example"] = {
        "callout": False,
        "greylisting": False,
    }
    registry["servers"]["mx.none.example"]["domains"]["none.example"]["existing"] = "ada@none.example"
    settings = {
        "policyd": {
            "deadline": f"{DEADLINE}s",
            "greylist": {"delay": "1s"},
            "callout": {"test_targets": targets, "temporary": "1s", "failures": 2, "pause": "1s"},
        },
        "flows": {"inbound": {"callout": True}, "upstream": {"callout": {"unavailable": "accept"}}},
    }
    with Gateway(tmp_path_factory.mktemp("callout"), settings=settings, registry=registry) as gateway:
        gateway.start()
        yield gateway


@pytest.fixture
def policyd(gateway):
    """Runs a command of policyd against the running daemon."""

    def run(*arguments):
        command = [sys.executable, "-m", "policyd", *arguments, "--config", str(gateway.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return run


def count(gateway, name):
    return metric(gateway.ports.policyd_metrics, f"policyd_{name}")


@pytest.mark.parametrize("client", [registered.OUTSIDER, CLIENT_V6])
def test_an_unknown_recipient_is_refused_before_the_mail_is_taken(outside, gateway, mark, client):
    outcome = outside.mx(samples.mail(mark), "eve@known.example", client=client)
    assert (outcome.stage, outcome.code) == ("RCPT", 550)
    text = str(outcome.reply)
    assert "5.1.1" in text
    assert "takes no mail for this address [" in text
    assert "unknown here" not in text
    assert not gateway.sink.find(mark.encode())


@pytest.mark.parametrize("client", [registered.OUTSIDER, CLIENT_V6])
@pytest.mark.parametrize("domain", ["known.example", "v6.example", "tls.example", "postfix.example"])
def test_a_known_recipient_gets_its_mail(outside, gateway, mark, client, domain):
    assert outside.mx(samples.mail(mark), f"ada@{domain}", client=client).code == 250
    assert gateway.sink.wait_for(mark.encode())


@pytest.mark.parametrize("domain", ["v6.example", "tls.example", "postfix.example"])
def test_unknown_recipients_of_other_servers_are_refused_too(outside, mark, domain):
    assert outside.mx(samples.mail(mark), f"eve@{domain}").code == 550


def test_a_server_that_refuses_who_exists_makes_nobody_unknown(outside, servers, gateway, mark):
    outcome = outside.mx(samples.mail(mark), "eve@none.example")
    assert (outcome.stage, outcome.code) == ("RCPT", 450)
    assert [path for path, _ in servers.sinks["none"].asked] == [b"<eve@none.example>", b"<ada@none.example>"]
    assert "callout-existing-refused" in gateway.policyd.log.read_text()


def test_tls_is_used_where_it_is_offered_whatever_the_certificate(outside, servers, callee, mark):
    outside.mx(samples.mail(mark), ["bob@tls.example", "bob@postfix.example"])
    assert (b"<bob@tls.example>", True) in servers.sinks["tls"].asked
    # Postfix names the certificate's owner only to whom it is spoken to under TLS.
    assert "NOQUEUE: reject: RCPT" in callee[0].when(
        lambda log: "bob@postfix.example" in log, 10, "the refusal in the log"
    )


def test_a_server_whose_tls_is_broken_is_asked_without(outside, servers, mark):
    assert outside.mx(samples.mail(mark), "ada@broken-tls.example").code == 250
    assert outside.mx(samples.mail(mark), "eve@broken-tls.example").code == 550
    assert {secured for _, secured in servers.sinks["broken-tls"].asked} == {False}


def test_a_mail_to_several_is_taken_for_those_that_are_known(outside, gateway, mark):
    outcome = outside.mx(
        samples.mail(mark), ["eve@known.example", "ada@known.example", "mallory@known.example"]
    )
    assert [reply.code for reply in outcome.recipients] == [550, 250, 550]
    (delivery,) = gateway.sink.wait_for(mark.encode())
    assert [path.split()[0] for path in delivery.recipients] == [b"<ada@known.example>"]


def test_quoted_local_parts_reach_the_server_quoted(outside, servers, gateway, mark):
    assert outside.mx(samples.mail(mark), '"c d"@known.example').code == 550
    assert servers.sinks["known"].asked[-1][0] == b'<"c d"@known.example>'


@pytest.mark.parametrize(
    "domain", ["temporary.example", "policy.example", "silent.example", "dead.example", "brabbling.example"]
)
def test_a_server_that_cannot_say_defers(outside, gateway, mark, domain):
    outcome = outside.mx(samples.mail(mark), f"ada@{domain}")
    assert (outcome.stage, outcome.code) == ("RCPT", 450)
    assert "4.1.1" in str(outcome.reply)
    assert not gateway.sink.find(mark.encode())


def test_or_accepts_where_that_is_configured(outside, gateway, mark):
    upstream = {"client": registered.UPSTREAM}
    assert outside.mx(samples.mail(mark), "ada@dead.example", **upstream).code == 250
    assert outside.mx(samples.mail(mark), "eve@known.example", **upstream).code == 550


def test_a_dead_server_holds_nobody_beyond_the_deadline(outside, mark):
    started = time.monotonic()
    assert outside.mx(samples.mail(mark), "bob@silent.example").code == 450
    assert time.monotonic() - started < DEADLINE + 1.5
    assert outside.mx(samples.mail(mark), "ada@known.example").code == 250


def test_a_crowd_at_a_dead_server_holds_nobody_beyond_the_deadline_and_others_not_at_all(
    outside, gateway, mark
):
    assert outside.mx(samples.mail(mark), "ada@known.example").code == 250

    def ask(recipient):
        """Reply, and the seconds until it came."""
        lines = ("request=smtpd_access_policy", "protocol_state=RCPT", "client_address=198.51.100.25")
        request = "\n".join((*lines, f"recipient={recipient}", "", ""))
        started = time.monotonic()
        with socket.create_connection(("127.0.0.1", gateway.ports.policyd), timeout=30) as connection:
            connection.sendall(request.encode())
            reply = connection.recv(4096)
        return reply.decode(), time.monotonic() - started

    with ThreadPoolExecutor(100) as pool:
        dead = [pool.submit(ask, f"{number}@silent.example") for number in range(80)]
        fine = [pool.submit(ask, "ada@known.example") for _ in range(20)]
        for future in dead:
            reply, seconds = future.result()
            assert "DEFER_IF_PERMIT 4.1.1" in reply
            assert seconds < DEADLINE + 1.0
        for future in fine:
            reply, seconds = future.result()
            assert "DUNNO" in reply
            assert seconds < DEADLINE - 0.5


def test_the_backup_answers_for_a_server_that_is_down(outside, mark):
    assert outside.mx(samples.mail(mark), "ada@dead-primary.example").code == 250
    assert outside.mx(samples.mail(mark), "eve@dead-primary.example").code == 550


def test_what_is_known_too_late_for_one_mail_is_known_for_the_next(outside, servers, mark):
    assert outside.mx(samples.mail(mark), "eve@slow.example").code == 450
    wait_until(
        lambda: outside.mx(samples.mail(mark), "eve@slow.example").code == 550, 20, "the callout's end"
    )
    assert [path for path, _ in servers.sinks["slow"].asked].count(b"<eve@slow.example>") == 1


def test_a_server_that_takes_everything_is_asked_once(outside, gateway, servers, mark):
    for name in ("a", "b", "c"):
        assert outside.mx(samples.mail(mark), f"{name}@all.example").code == 250
    asked = [path for path, _ in servers.sinks["all"].asked]
    assert len(asked) == 2
    assert asked[0] == b"<a@all.example>"
    assert asked[1].startswith(b"<no-such-user-")
    assert count(gateway, 'recipients_total{result="catch-all"}') == 3


def test_a_server_is_asked_once_for_all_mails_to_a_recipient(outside, servers, mark):
    for _ in range(3):
        assert outside.mx(samples.mail(mark), "often@known.example").code == 550
    assert [path for path, _ in servers.sinks["known"].asked].count(b"<often@known.example>") == 1


@pytest.mark.parametrize("term", ["closing@known.example", "known.example"])
def test_an_account_that_is_closed_stops_receiving_at_once_by_command(outside, servers, policyd, mark, term):
    server = servers.sinks["known"]
    assert outside.mx(samples.mail(mark), "closing@known.example").code == 250
    before, server.on_recipient = server.on_recipient, knows()
    try:
        assert outside.mx(samples.mail(mark), "closing@known.example").code == 250
        done = policyd("forget", term)
        assert (done.returncode, done.stderr) == (0, "")
        assert "is forgotten" in done.stdout
        assert outside.mx(samples.mail(mark), "closing@known.example").code == 550
    finally:
        server.on_recipient = before
        policyd("forget", "known.example")


def test_a_name_that_is_not_registered_is_told(policyd):
    done = policyd("forget", "knwon.example")
    assert done.returncode == 1
    assert "knwon.example is not registered" in done.stderr


def test_results_outlive_policyd(outside, gateway, servers, mark):
    outside.mx(samples.mail(mark), "kept@known.example")
    gateway.policyd.stop()
    gateway.start_policyd()
    assert outside.mx(samples.mail(mark), "kept@known.example").code == 550
    assert [path for path, _ in servers.sinks["known"].asked].count(b"<kept@known.example>") == 1


def test_what_is_greylisted_is_not_asked_for_until_it_comes_again(outside, servers, mark):
    who = {"client": "198.18.7.7", "sender": f"{mark}@outside.example"}
    asked = servers.sinks["other"].asked
    outcome = outside.mx(samples.mail(mark), "eve@other.example", **who)
    assert outcome.code == 450
    assert "Greylisted" in str(outcome.reply)
    assert (b"<eve@other.example>", False) not in asked
    wait_until(
        lambda: outside.mx(samples.mail(mark), "eve@other.example", **who).code == 550,
        15,
        "greylisting's end",
    )
    assert (b"<eve@other.example>", False) in asked


def test_nobody_is_asked_for_these(outside, servers, mark):
    before = len(servers.sinks["known"].asked)
    for recipient in ("postmaster@known.example", "anybody@off.example"):
        assert outside.mx(samples.mail(mark), recipient).code == 250
    assert outside.mx(samples.mail(mark), "a@elsewhere.example").code == 554
    system = {"client": "192.0.2.25"}
    assert outside.mx(samples.mail(mark), ["a@elsewhere.example", "eve2@known.example"], **system).code == 250
    assert len(servers.sinks["known"].asked) == before


def test_a_systems_host_name_is_asked_for_at_its_server(outside, servers, mark):
    outsider = {"client": "198.18.7.8", "sender": f"{mark}@outside.example"}
    wait_until(
        lambda: outside.mx(samples.mail(mark), "root@printer.known.example", **outsider).code == 550,
        15,
        "greylisting's end",
    )
    assert (b"<root@printer.known.example>", False) in servers.sinks["known"].asked


def test_a_server_that_comes_back_is_found(outside, servers, gateway, mark):
    server = servers.sinks["returns"]
    port = server.port
    server.close()
    for name in ("a", "b", "c"):
        assert outside.mx(samples.mail(mark), f"{name}@returns.example").code == 450
    assert count(gateway, "callout_servers_down") >= 1
    servers.sinks["returns"] = Sink(port, on_recipient=knows("ada"))
    wait_until(
        lambda: outside.mx(samples.mail(mark), "ada@returns.example").code == 250, 15, "the server's return"
    )


def test_who_tries_names_is_told_to_come_later(outside, gateway, mark):
    harvester = {"client": "198.18.99.1"}
    assert outside.mx(samples.mail(mark), "ada@known.example").code == 250
    codes = []
    for group in range(5):
        # smtpd_hard_error_limit is 20.
        names = [f"name{group}-{number}@known.example" for number in range(6)]
        codes += [reply.code for reply in outside.mx(samples.mail(mark), names, **harvester).recipients]
    assert codes[:20] == [550] * 20
    assert 450 in codes[20:]
    assert count(gateway, 'recipients_total{result="over-budget"}') >= 1
    assert outside.mx(samples.mail(mark), "ada@known.example", **harvester).code == 250


def test_a_query_shows_what_is_known(policyd):
    done = policyd(
        "query", "recipient=eve@known.example", "client_address=198.51.100.25", "sender=a@b.example", "--json"
    )
    assert done.returncode == 1
    assert '"reply": "550 5.1.1 ' in done.stdout.replace('":"', '": "')
    assert "recipient-unknown" in done.stdout


def test_the_log_warns_of_test_targets_and_tells_of_servers_that_are_down(gateway):
    log = (gateway.folder / "policyd.log").read_text()
    assert "event=callout-test-target server=mx.known.example" in log
    assert "event=callout-server-down server=mx.dead.example" in log
