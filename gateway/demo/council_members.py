"""The systems by which the council's members answer one another: how many places are free in their shelters.

Each believes a question that its region's gateway signed (RFC 9421) with an assertion for this member alone, and signs
its answer with the key whose certificate the council's list names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from federation.council.asking import ASSERTION_TYPE
from federation.signatures.algorithms import Keyring, MessageSigner, keyring
from federation.signatures.digests import content_digest
from federation.signatures.message import Request, Response
from federation.signatures.profile import sign_answer, verify_request
from federation.signatures.signing import SignatureRefusedError
from gateway.clock import Clock, now
from gateway.demo.peer import HTTP, PeerError, RemoteKeys, get_json
from gateway.demo.site import json_answer, problem

FREE_PLACES: Final[Mapping[str, int]] = {"012173": 420, "100005": 60, "102016": 1310, "102024": 980, "422053": 275}
"""Invented, by the member's code."""

LEEWAY = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member's system: what lists call it, its key (PEM), and what it knows."""

    entity_id: str
    key: bytes = field(repr=False)
    free: int

    def signer(self) -> MessageSigner:
        """Its key, for signing."""
        private: Any = load_pem_private_key(self.key, None)
        return MessageSigner.of(private)


class CouncilMembers:
    """All members' systems, each below a path of its own."""

    def __init__(self, members: Mapping[str, Member], *, gateway: str, clock: Clock = now) -> None:
        self._members = dict(members)
        self._signers = {code: member.signer() for code, member in members.items()}
        self._gateway = gateway
        self._clock = clock
        self._jwks = f"{gateway}/.well-known/kakehashi-assertion-jwks.json"
        self._keys = RemoteKeys(self._jwks)
        self._keyring: Keyring = {}

    def routes(self) -> list[web.RouteDef]:
        """What a member answers."""
        return [web.get("/members/{code}/free-places", self._free, allow_head=False)]

    async def _free(self, request: web.Request) -> web.Response:
        code = request.match_info["code"]
        member = self._members.get(code)
        if member is None:
            raise web.HTTPNotFound
        url = member.entity_id + "/free-places" + (f"?{request.query_string}" if request.query_string else "")
        asked = Request(method=request.method, url=url, headers=tuple(request.headers.items()))
        try:
            await self._check(request, asked, member)
        except (PeerError, SignatureRefusedError) as why:
            return problem(401, "question-refused", f"The question was refused: {why}")
        answer = json_answer({"free": member.free, "at": self._clock().isoformat(timespec="minutes")})
        body = answer.body
        assert isinstance(body, bytes)
        answer.headers["Content-Digest"] = content_digest(body)
        signable = Response(status=answer.status, headers=tuple(answer.headers.items()), request=asked)
        for name, value in sign_answer(signable, self._signers[code], self._clock()):
            answer.headers[name] = value
        return answer

    async def _check(self, request: web.Request, asked: Request, member: Member) -> None:
        """The gateway's signature, and its assertion for this member. Raises `PeerError`, `SignatureRefusedError`."""
        http = request.app[HTTP]
        if not self._keyring:
            self._keyring = keyring(await get_json(http, self._jwks))
        verify_request(asked, self._keyring, self._clock(), content=False)
        tokens = request.headers.getall("Kakehashi-Assertion", [])
        if len(tokens) != 1:
            raise PeerError("exactly one assertion is expected")
        header, claims = await self._keys.claims(http, tokens[0], algorithms=("ES256",))
        expected = {"iss": self._gateway, "aud": member.entity_id, "caller": "system"}
        if header.get("typ") != ASSERTION_TYPE or any(claims.get(name) != value for name, value in expected.items()):
            raise PeerError("the assertion is for something else")
        if not isinstance(claims.get("exp"), int) or claims["exp"] < self._clock().timestamp() - LEEWAY:
            raise PeerError("the assertion is over")
