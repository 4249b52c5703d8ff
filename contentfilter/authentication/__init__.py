"""Who vouches for a mail: DKIM (RFC 6376), ARC (RFC 8617), DMARC (RFC 9989), how it is told (RFC 8601)."""
