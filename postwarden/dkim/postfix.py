"""Whether Postfix does with signed mail what contentfilter expects, by ``postconf``."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping

from mailbase.config.signing import SigningSettings
from postwarden.dkim.checking import DkimFinding
from postwarden.registry.check.finding import Severity

PARAMETERS = (
    "smtp_line_length_limit",
    "cleanup_replace_stray_cr_lf",
    "disable_mime_output_conversion",
    "smtp_generic_maps",
)
TIMEOUT = 10.0
Ask = Callable[[], "Mapping[str, str]"]


def ask_postconf() -> Mapping[str, str]:
    """The values in main.cf, as far as this Postfix knows the parameters; nothing if there is none here."""
    program = shutil.which("postconf") or shutil.which("postconf", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        return {}
    try:
        done = subprocess.run(
            [program, *PARAMETERS],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    pairs = (line.partition(" = ") for line in done.stdout.splitlines())
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def judge(values: Mapping[str, str], signing: SigningSettings) -> Iterator[DkimFinding]:
    """What is to be changed, there or in the configuration."""

    def finding(parameter: str, severity: Severity, why: str, change: str) -> DkimFinding:
        return DkimFinding("", "Postfix", "", severity, f"{parameter} = {values[parameter]}: {why}", change)

    limit = values.get("smtp_line_length_limit", str(signing.line_length))
    if limit != str(signing.line_length):
        yield finding(
            "smtp_line_length_limit",
            Severity.ERROR,
            "lines are broken elsewhere than they are signed",
            f"smtp_line_length_limit = {signing.line_length} in main.cf, "
            f"or contentfilter.signing.line_length: {limit}",
        )
    stray = values.get("cleanup_replace_stray_cr_lf")
    # A Postfix that does not know the parameter keeps them.
    expected = "no" if signing.stray_cr == "kept" else "yes"
    if stray is not None and stray != expected:
        yield finding(
            "cleanup_replace_stray_cr_lf",
            Severity.WARNING,
            "carriage returns within lines arrive otherwise than they are signed",
            f"contentfilter.signing.stray_cr: {'blank' if stray == 'yes' else 'kept'}",
        )
    if values.get("disable_mime_output_conversion", "yes") != "yes":
        yield finding(
            "disable_mime_output_conversion",
            Severity.WARNING,
            "8-bit mail is rewritten for servers without 8BITMIME, and its signature breaks",
            "disable_mime_output_conversion = yes in main.cf",
        )
    if values.get("smtp_generic_maps", ""):
        yield finding(
            "smtp_generic_maps",
            Severity.WARNING,
            "addresses in signed header lines are rewritten, and the signature breaks",
            "smtp_generic_maps = in main.cf",
        )
