"""Where a mail comes from, also behind a relay that passes it on."""
