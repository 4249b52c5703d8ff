"""Rules: what is said of spam in files that a postmaster can read, and write; see docs/rules.md."""
