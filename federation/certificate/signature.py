"""What a signed text says, whichever form it has (`cades.py`, `jades.py`)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from federation.certificate.model import StatusEvidence


class SignatureError(Exception):
    """A signed text that is not believed: `code` is malformed, too-large, weak-algorithm or signature."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature over a text, unverified until `verify` returns.

    `octets` are those that `value` is a signature over, `timestamped` those that `tokens` (RFC 3161) must be over.
    `nonce` is that of the request, `claimed_at` the phone's own word for the time.
    """

    kind: str
    text: bytes = field(repr=False)
    certificate: bytes = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)
    evidence: tuple[StatusEvidence, ...] = field(repr=False)
    octets: bytes = field(repr=False)
    value: bytes = field(repr=False)
    timestamped: bytes = field(repr=False)
    tokens: tuple[bytes, ...] = field(repr=False)
    nonce: str = field(repr=False)
    claimed_at: datetime
    names_its_certificate: bool
    verify: Callable[[], None] = field(repr=False)
    """Raises `SignatureError` with code signature or weak-algorithm."""
