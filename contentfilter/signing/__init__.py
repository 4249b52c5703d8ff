"""DKIM signatures (RFC 6376, RFC 8301, RFC 8463) for mail that leaves in the name of a registered domain.

From the mail inwards: ``stamper`` (one mail: may it be signed, by which keys), ``author`` and ``entitlement``
(whose it is), ``signer`` (the process with the private keys), ``signature`` on top of ``header``, ``transit``
and ``canonical`` (what is signed). From the keys outwards: ``keys`` (files), ``record`` (DNS), ``standing``
and ``watch`` (which domain's records have been seen).

This file imports nothing, so that a signer loads neither Twisted nor the configuration.
"""
