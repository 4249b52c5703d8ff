"""How Postfix and the two daemons are joined: the settings of ``examples/postfix``, for a sandbox.

Kept in one place so that the demo, the integration tests and the benchmark show the same wiring.
"""

from __future__ import annotations

from dataclasses import dataclass

from postwarden.sandbox.ports import LOOPBACK

SIZE_LIMIT = 50 * 1024 * 1024
"""Octets a client may send; smtpd counts them dot-stuffed."""
REINJECTION_ROOM = 3 * 1024 * 1024
"""What a mail may have grown on its way: 1 MiB for the filter's limit, 2 MiB more for our lines."""

UNAVAILABLE = "default_action = DEFER_IF_REJECT 4.3.0 Policy service not available"


@dataclass(frozen=True, slots=True)
class GatewayPorts:
    """Where a gateway listens and whom it asks, all on 127.0.0.1; a port of 0 leaves that part out.

    Arguments:
        mx: other mail servers, before-queue filter.
        submission: users, after-queue filter over LMTP.
        submission_smtp: the same over SMTP.
        reinject_before: where the before-queue filter hands mail back.
        reinject_after: where the after-queue filter does.
        policy: the policy service.
        before: the before-queue filter.
        after_lmtp: the after-queue filter, LMTP.
        after_smtp: the after-queue filter, SMTP.
        next_hop: where every delivery goes.
        socketmap: where the registry is looked up; without it main.cf names the served domains.
        milter: whether the before-queue filter is asked as a milter, and is no proxy.
    """

    mx: int
    submission: int
    submission_smtp: int
    reinject_before: int
    reinject_after: int
    policy: int
    before: int
    after_lmtp: int
    after_smtp: int
    next_hop: int
    socketmap: int = 0
    milter: bool = False


def gateway_main(
    ports: GatewayPorts, hostname: str, relay_domains: tuple[str, ...], policy_timeout: int = 10
) -> dict[str, str]:
    """main.cf of the gateway.

    Arguments:
        hostname: its name.
        relay_domains: the served domains, where no socketmap tells them.
        policy_timeout: seconds to wait for the policy service.
    """
    sink = f"smtp:[{LOOPBACK}]:{ports.next_hop}"
    served, routes = ", ".join(relay_domains), ""
    if ports.socketmap:
        maps = f"socketmap:inet:{LOOPBACK}:{ports.socketmap}"
        served = f"{maps}:relay_domains"
        # Whatever server the registry names, in a sandbox its mail goes to the sink.
        routes = f"pipemap:{{{maps}:transport_maps, static:{sink}}}"
    ask = later = ""
    if ports.policy:
        service = f"inet:{LOOPBACK}:{ports.policy}, timeout={policy_timeout}s"
        ask = f"check_policy_service {{ {service}, {{ {UNAVAILABLE} }} }}, "
        later = f"check_policy_service {{ {service}, default_action=DUNNO }}"
    return {
        "myhostname": hostname,
        # Only the policy service lets anybody relay; XCLIENT lets tests appear as any client.
        "mynetworks": "",
        "smtpd_authorized_xclient_hosts": "127.0.0.0/8",
        # Whoever comes from loopback by XCLIENT is no local client: no header line is added for it.
        "local_header_rewrite_clients": "",
        "relay_domains": served,
        "transport_maps": routes,
        "parent_domain_matches_subdomains": "",
        "smtpd_relay_restrictions": ask + "reject_unauth_destination",
        "smtpd_recipient_restrictions": "",
        "smtpd_data_restrictions": later,
        "smtpd_end_of_data_restrictions": later,
        "relay_transport": sink,
        "default_transport": sink,
        "message_size_limit": str(SIZE_LIMIT),
        "mailbox_size_limit": "0",
        "maximal_queue_lifetime": "3d",
        "bounce_queue_lifetime": "1d",
        "smtp_line_length_limit": "0",
        "disable_mime_output_conversion": "yes",
        "smtp_destination_concurrency_limit": "50",
        "smtpd_error_sleep_time": "0",
        # A sandbox is impatient: what is deferred is tried again after a second.
        "queue_run_delay": "1s",
        "minimal_backoff_time": "1s",
        "maximal_backoff_time": "2s",
        "transport_retry_time": "1s",
    }


def gateway_services(ports: GatewayPorts, process_limit: int = 60) -> list[str]:
    """master.cf of the gateway: both ways in, both ways back."""
    back = {
        "content_filter": "",
        "smtpd_proxy_filter": "",
        "smtpd_milters": "",
        "mynetworks": "127.0.0.0/8",
        "smtpd_authorized_xforward_hosts": "127.0.0.0/8",
        "smtpd_authorized_xclient_hosts": "",
        "smtpd_client_restrictions": "",
        "smtpd_helo_restrictions": "",
        "smtpd_sender_restrictions": "",
        "smtpd_relay_restrictions": "",
        "smtpd_recipient_restrictions": "permit_mynetworks,reject",
        "smtpd_data_restrictions": "",
        "smtpd_end_of_data_restrictions": "",
        "local_header_rewrite_clients": "",
        "message_size_limit": str(SIZE_LIMIT + REINJECTION_ROOM),
        "cleanup_service_name": "cleanup-back",
        "smtpd_soft_error_limit": "1001",
        "smtpd_hard_error_limit": "1000",
    }
    before = {**back, "receive_override_options": "no_unknown_recipient_checks,no_milters"}
    after = {
        **back,
        "receive_override_options": "no_unknown_recipient_checks,no_header_body_checks,no_milters",
    }
    mx = {"smtpd_proxy_filter": f"{LOOPBACK}:{ports.before}"} if ports.before else {}
    if ports.milter:
        mx = {"smtpd_milters": f"inet:{LOOPBACK}:{ports.before}", "cleanup_service_name": "cleanup-milter"}
    users = {"cleanup_service_name": "cleanup-keep", "receive_override_options": "no_address_mappings"}
    lmtp = {**users, "content_filter": f"filter-lmtp:[{LOOPBACK}]:{ports.after_lmtp}"}
    smtp = {**users, "content_filter": f"filter-smtp:[{LOOPBACK}]:{ports.after_smtp}"}
    transport = {
        "disable_mime_output_conversion": "yes",
        "smtp_generic_maps": "",
        "smtp_line_length_limit": "0",
        "smtp_tls_security_level": "none",
        "lmtp_line_length_limit": "0",
        "smtp_send_xforward_command": "yes",
        "lmtp_send_xforward_command": "yes",
        "smtp_data_done_timeout": "600s",
        "lmtp_data_done_timeout": "600s",
    }
    # The stock cleanup service drops Bcc, Return-Path and others; these let every line pass.
    keep = {"message_drop_headers": ""}
    lines = [
        _service(f"{LOOPBACK}:{ports.mx} inet n - n - {process_limit} smtpd", mx),
        _service(f"{LOOPBACK}:{ports.reinject_before} inet n - n - {2 * process_limit} smtpd", before),
        _service(
            "cleanup-back unix n - n - 0 cleanup",
            {**keep, "message_size_limit": str(SIZE_LIMIT + REINJECTION_ROOM)},
        ),
        _service("cleanup-keep unix n - n - 0 cleanup", keep),
        _service("cleanup-milter unix n - n - 0 cleanup", {**keep, "message_reject_characters": "\\0"}),
        _service(f"filter-lmtp unix - - n - {process_limit} lmtp", transport),
        _service(f"filter-smtp unix - - n - {process_limit} smtp", transport),
    ]
    if ports.submission:
        lines.append(_service(f"{LOOPBACK}:{ports.submission} inet n - n - {process_limit} smtpd", lmtp))
    if ports.submission_smtp:
        lines.append(_service(f"{LOOPBACK}:{ports.submission_smtp} inet n - n - {process_limit} smtpd", smtp))
    if ports.reinject_after:
        lines.append(
            _service(f"{LOOPBACK}:{ports.reinject_after} inet n - n - {2 * process_limit} smtpd", after)
        )
    return lines


def sender_main(next_hop: int, hostname: str, address: str, concurrency: int = 50) -> dict[str, str]:
    """main.cf of a queueing client: another mail server, which keeps a mail until somebody takes it.

    Arguments:
        next_hop: port of the gateway to send to.
        hostname: its HELO name.
        address: loopback address it connects from, so that it can be registered.
        concurrency: mails on their way at once.
    """
    return {
        "myhostname": hostname,
        "smtp_bind_address": address,
        "relayhost": f"[{LOOPBACK}]:{next_hop}",
        "message_size_limit": str(SIZE_LIMIT),
        "mailbox_size_limit": "0",
        "smtpd_relay_restrictions": "permit_mynetworks,reject",
        "queue_run_delay": "1s",
        "minimal_backoff_time": "1s",
        "maximal_backoff_time": "2s",
        # A server that was down for a moment is tried again at once.
        "transport_retry_time": "1s",
        "smtp_destination_concurrency_failed_cohort_limit": "0",
        "smtp_destination_concurrency_limit": str(concurrency),
        "initial_destination_concurrency": str(concurrency),
        "default_destination_concurrency_negative_feedback": "0",
        "smtp_connection_cache_on_demand": "no",
        "smtp_line_length_limit": "0",
    }


def sender_services(port: int) -> list[str]:
    """master.cf of a queueing client that takes mail on ``port``."""
    return [
        _service(
            f"{LOOPBACK}:{port} inet n - n - 60 smtpd",
            {"cleanup_service_name": "cleanup-keep", "local_header_rewrite_clients": ""},
        ),
        _service("cleanup-keep unix n - n - 0 cleanup", {"message_drop_headers": ""}),
    ]


def _service(head: str, options: dict[str, str]) -> str:
    return head + "".join(f"\n  -o {key}={value}" for key, value in options.items())
