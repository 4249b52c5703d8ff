"""DNS lists (RFC 5782): what their answers say, and whether they are to be believed."""
