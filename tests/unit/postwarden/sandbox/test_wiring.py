"""The generated Postfix configuration, as text."""

from dataclasses import replace

from postwarden.sandbox.wiring import GatewayPorts, gateway_main, gateway_services, sender_main

PORTS = GatewayPorts(20025, 20587, 20588, 10025, 10028, 10023, 10024, 10026, 10029, 20099)


def service(lines, port):
    (text,) = [line for line in lines if line.startswith(f"127.0.0.1:{port} ")]
    return text


def test_reinjection_ports_do_not_filter_or_ask_again():
    lines = gateway_services(PORTS)
    for port in (10025, 10028):
        text = service(lines, port)
        for setting in (
            "content_filter=",
            "smtpd_proxy_filter=",
            "smtpd_relay_restrictions=",
            "smtpd_data_restrictions=",
        ):
            assert f"-o {setting}\n" in text + "\n"
        assert "-o smtpd_recipient_restrictions=permit_mynetworks,reject" in text


def test_only_before_queue_mail_meets_header_checks_when_it_comes_back():
    lines = gateway_services(PORTS)
    assert "no_header_body_checks" not in service(lines, 10025)
    assert "no_header_body_checks" in service(lines, 10028)


def test_the_policy_service_stands_before_the_end_of_relaying():
    main = gateway_main(PORTS, "mx.example", ("inst.example",))
    asked, last = main["smtpd_relay_restrictions"].rsplit(", ", 1)
    assert last == "reject_unauth_destination"
    assert "{ default_action = DEFER_IF_REJECT 4.3.0 " in asked
    assert main["parent_domain_matches_subdomains"] == ""
    assert main["mynetworks"] == ""


def test_without_policy_service_nobody_is_asked():
    main = gateway_main(replace(PORTS, policy=0), "mx.example", ())
    assert main["smtpd_relay_restrictions"] == "reject_unauth_destination"
    assert main["smtpd_data_restrictions"] == ""


def test_with_a_socketmap_the_registry_says_what_is_served():
    main = gateway_main(replace(PORTS, socketmap=10027), "mx.example", ("inst.example",))
    assert main["relay_domains"] == "socketmap:inet:127.0.0.1:10027:relay_domains"
    assert main["transport_maps"].startswith(
        "pipemap:{socketmap:inet:127.0.0.1:10027:transport_maps, static:"
    )
    assert gateway_main(PORTS, "mx.example", ("inst.example",))["relay_domains"] == "inst.example"


def test_each_size_limit_has_room_for_the_one_before():
    main, lines = gateway_main(PORTS, "mx.example", ()), gateway_services(PORTS)
    room = int(service(lines, 10025).partition("-o message_size_limit=")[2].split()[0])
    assert room - int(main["message_size_limit"]) >= 3 << 20


def test_a_queueing_sender_keeps_trying():
    main = sender_main(20025, "sender.example", "127.0.0.40")
    assert main["relayhost"] == "[127.0.0.1]:20025"
    assert main["transport_retry_time"] == "1s"
