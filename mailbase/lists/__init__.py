"""DNS lists (RFC 5782): what their answers say, and whether they are to be believed."""

VERB = "lists"
"""Of the control socket: asks what is known of them."""
