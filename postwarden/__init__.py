"""The operator's side: registry, demo, and what checks the gateway from outside."""
