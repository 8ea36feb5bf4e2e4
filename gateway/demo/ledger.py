"""The 講 ledger: a stub of the fund that takes the town fee (講, kō: a mutual fund of a community).

| call | answer |
|---|---|
| `POST /payments` with `Idempotency-Key` | 201 once; again the same: the same answer, nothing paid twice |
| `GET /payments` | the caller's own payments |

A key belongs to one person. The same key with another body is refused, as the IETF's draft on the header
field asks.
"""

import contextlib
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from federation.idempotency import HEADER, read_key
from federation.refusal import IdempotencyKeyInvalid
from gateway.clock import Clock, now
from gateway.demo.assertions import AssertionVerifier, Resident
from gateway.demo.journal import Journal
from gateway.demo.shared_service import ServiceProblem, application, json_body
from gateway.demo.site import json_answer

AUDIENCE = "ledger"
HIGHEST_AMOUNT = 1_000_000
"""Yen of one payment."""

KEY_LENGTHS = range(8, 129)


class Ledger:
    """The service and its payments."""

    def __init__(self, directory: Path, verifier: AssertionVerifier, clock: Clock = now) -> None:
        self._verifier = verifier
        self._clock = clock
        self._journal = Journal(directory / "payments.jsonl")
        self._by_key: dict[tuple[str, str], dict[str, Any]] = {}
        self._by_payer: dict[str, list[dict[str, Any]]] = {}
        for line in self._journal.read():
            self._enter(line)

    def application(self) -> web.Application:
        """The calls of the table above."""
        return application(self._verifier, [("POST", "/payments", self._pay), ("GET", "/payments", self._payments)])

    async def _pay(self, request: web.Request, caller: Resident) -> web.Response:
        key = _key(request)
        payer = caller.somebody
        order = _order(await json_body(request))
        asked = hashlib.sha256(json.dumps(order, sort_keys=True).encode()).hexdigest()
        async with self._journal.lock:
            line = self._by_key.get((payer, key))
            if line is None:
                line = {
                    "key": key,
                    "payer": payer,
                    "asked": asked,
                    "payment": {
                        "id": secrets.token_hex(8),
                        **order,
                        "at": self._clock().isoformat(timespec="seconds"),
                    },
                }
                await self._journal.add(line)
                self._enter(line)
            elif line["asked"] != asked:
                raise ServiceProblem(422, "idempotency-key-reused", "This key was used for another payment.")
        return json_answer(line["payment"], 201)

    async def _payments(self, _request: web.Request, caller: Resident) -> web.Response:
        return json_answer({"payments": self._by_payer.get(caller.somebody, [])})

    def _enter(self, line: dict[str, Any]) -> None:
        self._by_key[line["payer"], line["key"]] = line
        self._by_payer.setdefault(line["payer"], []).append(line["payment"])


def _key(request: web.Request) -> str:
    """By what a payment is known again; short keys are too easily the same. Raises `ServiceProblem`."""
    keys = request.headers.getall(HEADER, [])
    with contextlib.suppress(IdempotencyKeyInvalid):
        if len(keys) == 1 and len(key := read_key(keys[0])) in KEY_LENGTHS:
            return key
    raise ServiceProblem(400, "idempotency-key", "An Idempotency-Key of 8 to 128 characters is required.")


def _order(body: Mapping[str, object]) -> dict[str, object]:
    """What is to be paid. Raises `ServiceProblem`."""
    fee, amount = body.get("fee"), body.get("amount")
    if set(body) != {"fee", "amount"} or not isinstance(fee, str) or not re.fullmatch(r"[a-z0-9-]{1,64}", fee):
        raise ServiceProblem(422, "order", "Expected: fee (a short name) and amount (yen), nothing else.")
    if isinstance(amount, bool) or not isinstance(amount, int) or not 0 < amount <= HIGHEST_AMOUNT:
        raise ServiceProblem(422, "order", f"The amount must be a whole number of yen up to {HIGHEST_AMOUNT}.")
    return {"fee": fee, "amount": amount}
