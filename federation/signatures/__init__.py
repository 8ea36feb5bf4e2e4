"""Signed HTTP messages: structured fields (RFC 9651), digests of content (RFC 9530), message signatures (RFC 9421)."""
