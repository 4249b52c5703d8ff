"""A configuration for whoever calls contentfilter."""

from __future__ import annotations

import pytest


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "postwarden.yaml"
    path.write_text(
        f"contentfilter: {{quarantine: {{folder: {tmp_path}/q}}}}\nidentity: {{hostname: mx.example.org}}\n"
    )
    return str(path)
