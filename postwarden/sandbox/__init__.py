"""A private Postfix, both daemons beside it, a sink behind, clients in front: for demo, tests, benchmark."""
