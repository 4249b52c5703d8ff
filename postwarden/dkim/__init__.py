"""``postwarden dkim``: keys, the records that go with them, and their rollover."""
