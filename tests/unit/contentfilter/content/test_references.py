"""Character references of any length."""

from __future__ import annotations

import pytest

from contentfilter.content.references import unescaped


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("&#65;&#x41;&#X41;&amp;", "AAA&"),
        ("&#" + "0" * 5000 + "65;", "A"),
        ("&#x" + "0" * 5000 + "41;", "A"),
        # Nought is no character, however it is written; Python refuses to read so many digits.
        ("&#" + "0" * 5000 + ";", "\ufffd"),
        ("&#" + "0" * 5000, "\ufffd"),
        ("&#x" + "0" * 5000 + " a", "\ufffd a"),
        ("&#" + "9" * 5000 + ";", "\ufffd"),
        ("&#0;", "\ufffd"),
    ],
)
def test_a_reference_is_read_whatever_its_length(text: str, meant: str):
    assert unescaped(text) == meant
