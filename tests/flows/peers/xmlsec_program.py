"""The program xmlsec1, which pysaml2 as its users install it calls for every signature. The gateway never does."""

import shutil

import pytest

NEEDED = pytest.mark.skipif(
    shutil.which("xmlsec1") is None,
    reason="the peer pysaml2 calls the program xmlsec1, which is not installed here (Debian's package xmlsec1)",
)
"""Marks tests whose peer is pysaml2 with nothing of it replaced."""
