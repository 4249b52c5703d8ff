"""Limits, asked of a real Postfix: used up, warned of, given back; both wirings, both address families."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys

import pytest

from postwarden.demo import samples
from postwarden.sandbox import registered
from postwarden.sandbox.client import ConnectionLost, Dialogue
from postwarden.sandbox.gateway import Gateway, metric
from postwarden.sandbox.waiting import wait_until

FEW = {"within": "1d", "limit": 2}
LIMITS = {
    "inbound": {
        "client-mails": {"per": "client", "of": "messages", **FEW},
        "client-bytes": {"per": "client", "of": "bytes", "limit": "20KiB", "within": "1d"},
        "net-connections": {"per": "network", "of": "connections", "limit": 4, "within": "1d"},
        "domain": {"per": "sender_domain", "of": "recipients", "limit": 3, "within": "1d", "warn_at": "60%"},
    },
    "submission": {
        "user-recipients": {"per": "user", "of": "recipients", "limit": 3, "within": "1d"},
        "watched": {"per": "user", "of": "messages", "limit": 1, "within": "1d", "shadow": True},
    },
    "outbound": {
        "system": {"per": "system", "of": "messages", "limit": 1, "within": "1d", "action": "reject"}
    },
}
FAMILIES = ("198.18.{}.7", "IPV6:2001:db8:18:{}::7")

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def gateway(real_postfix, tmp_path_factory):
    flows = {flow: {"limits": limits} for flow, limits in LIMITS.items()}
    with Gateway(tmp_path_factory.mktemp("limits"), settings={"flows": flows}) as gateway:
        gateway.start()
        yield gateway


def somebody(family):
    """A client, and a sender domain, that nobody has seen."""
    number = next(_numbers)
    return {"client": family.format(number), "sender": f"a@d{number}.example"}


@pytest.fixture(params=FAMILIES)
def stranger(request):
    """Such a client of either family."""
    return somebody(request.param)


def counted(gateway, flow, limit, outcome):
    return metric(
        gateway.ports.policyd_metrics,
        f'policyd_limits_total{{flow="{flow}",limit="{limit}",outcome="{outcome}"}}',
    )


def given_back(gateway, flow, limit, before):
    wait_until(lambda: counted(gateway, flow, limit, "refunded") > before, 10, "it is given back")


def test_a_client_sends_so_much_and_no_more(outside, gateway, mark, stranger):
    before = counted(gateway, "inbound", "client-mails", "refused")
    assert [outside.mx(samples.mail(mark), **stranger).code for _ in range(3)] == [250, 250, 450]
    outcome = outside.mx(samples.mail(mark), **stranger)
    assert outcome.stage == "RCPT"
    text = str(outcome.reply)
    assert "4.7.1" in text
    assert "Not now: too many messages from your address (limit client-mails); free again in 12 h [" in text
    assert len(gateway.sink.wait_for(mark.encode(), 2)) == 2
    assert counted(gateway, "inbound", "client-mails", "refused") == before + 2


def test_the_log_warns_before(outside, gateway, mark, stranger):
    domain = stranger["sender"].partition("@")[2]
    recipients = [f"{name}@{registered.OPEN_DOMAIN}" for name in "ab"]
    assert outside.mx(samples.mail(mark), recipients, **stranger).code == 250
    log = gateway.policyd.log.read_text()
    assert f"event=limit-nearly-used-up limit=inbound.domain subject={domain} of=recipients used=2 " in log
    assert f"event=limit-used-up limit=inbound.domain subject={domain} " not in log


def test_recipients_beyond_the_limit_are_deferred_and_the_others_get_their_mail(gateway, mark, stranger):
    with Dialogue(gateway.ports.mx) as dialogue:
        dialogue.xclient(addr=stranger["client"])
        dialogue.hello()
        dialogue.command(f"MAIL FROM:<{stranger['sender']}>")
        codes = [dialogue.command(f"RCPT TO:<r{n}@{registered.OPEN_DOMAIN}>").code for n in range(5)]
        assert codes == [250, 250, 250, 450, 450]
        assert dialogue.command("DATA").code == 354
        assert dialogue.command(samples.mail(mark).decode("latin-1").rstrip("\r\n") + "\r\n.").code == 250
    assert gateway.sink.wait_for(mark.encode())


def test_octets_count_at_the_end_of_the_message(outside, gateway, mark, stranger):
    large = samples.mail(mark) + b"x" * 76 + b"\r\n"
    large += (b"y" * 76 + b"\r\n") * 140
    assert outside.mx(large, **stranger).code == 250
    outcome = outside.mx(large, **stranger)
    assert (outcome.stage, outcome.code) == ("END", 450)
    assert "too much mail from your address (limit client-bytes)" in str(outcome.reply)
    assert len(gateway.sink.wait_for(mark.encode())) == 1
    # What it took at DATA came back, so that two small ones fit, were it not for the octets.
    assert counted(gateway, "inbound", "client-mails", "refunded") >= 1
    # A client that says so is told before it sends anything.
    outcome = outside.mx(large, parameters=f" SIZE={len(large)}", **stranger)
    assert outcome.stage == "RCPT"


def test_connections_of_a_network(gateway, mark, stranger):
    codes = []
    for digit in "12345":
        with Dialogue(gateway.ports.mx) as dialogue:
            dialogue.xclient(addr=stranger["client"][:-1] + digit)
            dialogue.hello()
            for number in range(2):
                dialogue.command(f"MAIL FROM:<a@c{digit}-{number}-{mark}.example>")
                reply = dialogue.command(f"RCPT TO:<eve@{registered.OPEN_DOMAIN}>")
                codes.append(reply.code)
                if reply.code == 421:
                    break
                dialogue.command("RSET")
            else:
                continue
            assert "too many connections from your network (limit net-connections)" in str(reply)
            with pytest.raises(ConnectionLost):
                dialogue.command("RSET")
    assert codes == [250] * 8 + [421]


def test_connections_from_one_port_are_several(gateway, mark, stranger):
    codes = []
    for number in range(5):
        with Dialogue(gateway.ports.mx) as dialogue:
            dialogue.xclient(addr=stranger["client"], port="4242")
            dialogue.hello()
            dialogue.command(f"MAIL FROM:<a@p{number}-{mark}.example>")
            codes.append(dialogue.command(f"RCPT TO:<eve@{registered.OPEN_DOMAIN}>").code)
    assert codes == [250] * 4 + [421]


def test_mail_that_is_refused_for_its_content_is_given_back(outside, gateway, mark, stranger):
    bad = samples.mail(mark, attachments=(samples.renamed_macros(),))
    # Four connections of a network are all there are.
    for _ in range(3):
        before = counted(gateway, "inbound", "client-mails", "refunded")
        assert outside.mx(bad, **stranger).code == 554
        given_back(gateway, "inbound", "client-mails", before)
    assert outside.mx(samples.mail(mark), **stranger).code == 250
    assert metric(gateway.ports.policyd_metrics, 'policyd_reports_total{result="final"}') >= 3
    assert metric(gateway.ports.filter_metrics, 'contentfilter_reports_total{result="taken"}') >= 3


@pytest.mark.parametrize("way", ["lmtp", "smtp"])
def test_users_behind_the_queue(outside, gateway, mark, way):
    user = f"user-{way}"
    bad = samples.mail(mark, attachments=(samples.locked_zip(),))
    before = counted(gateway, "submission", "user-recipients", "refunded")
    shadow = counted(gateway, "submission", "watched", "shadow")
    assert outside.user(bad, over=way, user=user).code == 250
    assert gateway.sink.wait_for(mark.encode())[0].sender.startswith(b"<>")
    given_back(gateway, "submission", "user-recipients", before)
    to = [f"c{n}@{registered.FOREIGN_DOMAIN}" for n in range(3)]
    assert outside.user(samples.mail(f"{mark}-2"), to, over=way, user=user).code == 250
    outcome = outside.user(samples.mail(mark), over=way, user=user)
    assert (outcome.stage, outcome.code) == ("RCPT", 450)
    assert "too many recipients from your account (limit user-recipients)" in str(outcome.reply)
    # A limit that is only watched stops nobody.
    for _ in range(2):
        assert outside.user(samples.mail(mark), over=way, user=f"other-{way}").code == 250
    assert counted(gateway, "submission", "watched", "shadow") == shadow + 1


def test_a_registered_system_can_be_refused_for_good(outside, mark):
    to = f"carol@{registered.FOREIGN_DOMAIN}"
    answers = [outside.mx(samples.mail(mark), to, client=registered.SYSTEM) for _ in range(2)]
    assert [answer.code for answer in answers] == [250, 554]
    assert "too many messages from your system (limit system); free again in 24 h" in str(answers[1].reply)


def test_trusted_relays_have_no_limits(outside, mark):
    for _ in range(6):
        assert outside.mx(samples.mail(mark), client=registered.UPSTREAM).code == 250


def test_the_operator_sees_what_is_in_use_and_sets_it_free(outside, gateway, mark):
    stranger = somebody(FAMILIES[1])

    def limits(*words):
        command = [sys.executable, "-m", "policyd", "limits", *words, "--config", str(gateway.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    client = stranger["client"].removeprefix("IPV6:")
    for _ in range(2):
        assert outside.mx(samples.mail(mark), **stranger).code == 250
    shown = [json.loads(line) for line in limits("show", client).stdout.splitlines()]
    (mails,) = [row for row in shown if row["limit"] == "inbound.client-mails"]
    assert (mails["subject"], mails["used"], mails["allowed"]) == (client, 2, 2)
    assert limits("forget", client).returncode == 0
    assert limits("show", client).returncode == 1
    assert outside.mx(samples.mail(mark), **stranger).code == 250


def test_what_is_in_use_survives_a_restart(outside, gateway, mark):
    stranger = somebody(FAMILIES[0])
    for _ in range(2):
        assert outside.mx(samples.mail(mark), **stranger).code == 250
    gateway.policyd.stop()
    gateway.start_policyd()
    assert outside.mx(samples.mail(mark), **stranger).code == 450
