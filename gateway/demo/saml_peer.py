"""What a demo system knows of the gateway's SAML roles: its metadata, fetched over HTTP at first use.

A real member gets the metadata by hand or from a list, and checks the key's fingerprint with a person. Here
the loopback stands in for that person: the metadata must be signed by the key that they name, and come from
this machine.
"""

import base64
from datetime import datetime, timedelta

import aiohttp

from gateway.demo.peer import PeerError, ask
from trust_lists.model import Role, TrustedEntity
from trust_lists.rules import EntryError
from trust_lists.saml_entities import MD, read_entity
from trust_lists.xmldsig import SignatureRefusedError, parse, verify
from trust_lists.xmlgate import DS

KEPT = timedelta(minutes=5)
"""How long metadata are used before they are fetched again, so that a changed key is learnt."""

_ROOT = f"{{{MD}}}EntityDescriptor"


class GatewayMetadata:
    """The gateway in one SAML role, as its metadata at `url` (which is also its entity ID) say."""

    def __init__(self, url: str, role: Role) -> None:
        self.entity_id = url
        self._role = role
        self._found: TrustedEntity | None = None
        self._until: datetime | None = None

    async def entity(self, session: aiohttp.ClientSession, now: datetime) -> TrustedEntity:
        """The gateway's keys and addresses. Raises `PeerError`."""
        if self._found is None or self._until is None or now >= self._until:
            status, document, _ = await ask(session, "GET", self.entity_id)
            if status != 200:  # noqa: PLR2004 - OK
                raise PeerError(f"{self.entity_id}: status {status}")
            self._found = self._read(document, now)
            self._until = now + KEPT
        return self._found

    def _read(self, document: bytes, now: datetime) -> TrustedEntity:
        try:
            certificates = [
                base64.b64decode("".join(str(text) for text in element.itertext()))
                for element in parse(document).iterfind(f".//{{{MD}}}KeyDescriptor//{{{DS}}}X509Certificate")
            ]
            octets = verify(document, certificates=certificates, expected_root=_ROOT)
            entities = read_entity(parse(octets), listed_in="metadata", valid_until=now + timedelta(days=365), now=now)
        except (SignatureRefusedError, EntryError, ValueError) as fault:
            raise PeerError(f"{self.entity_id}: its metadata cannot be used") from fault
        found = next((each for each in entities if self._role in each.roles), None)
        if found is None or found.entity_id != self.entity_id:
            raise PeerError(f"{self.entity_id}: its metadata name another entity or role")
        return found
