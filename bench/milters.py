"""Rspamd as Postfix's milter, where it is installed: by its package's settings, without network tests."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

from neighbours import installed
from programs import Programs

from postwarden.sandbox.ports import PortReservation, answers
from postwarden.sandbox.waiting import wait_until

SETTINGS = Path("/etc/rspamd")
START = 300.0
"""Seconds for the first start, in which it compiles its patterns."""
NETWORK = (
    *(
        "rbl",
        "surbl",
        "spf",
        "dkim",
        "dkim_signing",
        "dmarc",
        "arc",
        "asn",
        "mx_check",
        "phishing",
        "reputation",
    ),
    *("fuzzy_check", "greylist", "ratelimit", "history_redis", "neural", "replies", "url_redirector"),
)
"""Modules that ask others."""
OVERRIDES = {
    "options.inc": 'dns {{ nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; }}\n'
    'pidfile = "{folder}/pid";',
    "worker-proxy.inc": 'bind_socket = "127.0.0.1:{milter}"; milter = yes; count = 2;\n'
    'upstream "local" {{ default = yes; self_scan = yes; }}',
    "worker-normal.inc": 'enabled = false; bind_socket = "127.0.0.1:{unused}";',
    "worker-controller.inc": 'bind_socket = "127.0.0.1:{controller}";',
}


def rspamd(programs: Programs, folder: Path, ports: PortReservation, stack: ExitStack) -> int:
    """Start it with two workers that scan; returns the milter's port, or 0 where it is not installed."""
    program = installed("rspamd")
    if program is None or not SETTINGS.is_dir():
        return 0
    config, data = folder / "conf", folder / "data"
    shutil.rmtree(config, ignore_errors=True)
    shutil.copytree(SETTINGS, config)
    data.mkdir(parents=True, exist_ok=True)
    places = {name: ports.take() for name in ("milter", "unused", "controller")}
    for name, text in OVERRIDES.items():
        (config / "override.d" / name).write_text(text.format(folder=data, **places))
    for module in NETWORK:
        (config / "override.d" / f"{module}.conf").write_text("enabled = false;\n")
    variables = {"CONFDIR": config, "LOCAL_CONFDIR": config, "DBDIR": data, "RUNDIR": data, "LOGDIR": data}
    command = [program, "-f", "-i", "-c", config / "rspamd.conf"]
    command += [f"--var={name}={value}" for name, value in variables.items()]
    port = places["milter"]
    process = programs.command("rspamd", port, *command, ready=lambda: True)
    stack.callback(process.stop)
    wait_until(lambda: answers(port), START, "rspamd answers", process.tail)
    return port
