"""SPF (RFC 7208): may this client send for this domain?"""
