"""DNS lists of clients and domains (RFC 5782): what they say, and whether they are to be believed."""
