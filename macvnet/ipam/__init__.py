"""Addresses: from options to pools, and who holds which.

``parsing`` reads texts (with netaddr), ``plan`` computes with intervals,
``installing`` and ``allocation`` keep the segment's books in a transaction.
"""
