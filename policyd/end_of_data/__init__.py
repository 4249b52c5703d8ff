"""What contentfilter asks and tells of a mail whose content it has seen; a ticket says which mail."""
