"""Members of a council for tests: a signed list of them, their systems, and a gateway that knows who asks."""

import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from aiohttp import web

from federation.callers import Caller, CallerKind
from federation.council.asking import SCOPE
from federation.model import Assurance, Level
from federation.refusal import TokenMissing
from gateway.app import public_app
from gateway.council.endpoints import CALLER, STILL
from gateway.process import Process
from trust_lists import etsi_json
from trust_lists.codes import check_digit

from .gateway_sample import Sample, signatory
from .upstream_sample import Connection, Upstream, upstream

ASKER = "102016"
CODES = tuple(five + check_digit(five) for five in (f"{10200 + n}" for n in range(1, 25)))
"""Twenty-four municipalities of Gunma, as far as codes go; the first one asks."""

Behaviour = Callable[[Connection], Awaitable[None]]


def entity(code: str, entity_id: str | None = None) -> dict[str, Any]:
    """A municipality's system as a list names it, without an address: the usual one, or another."""
    return {
        "entity_id": entity_id or f"https://systems.example/{code}",
        "role": "council-member",
        "municipality": code,
        "name": {"ja": code, "en": code},
    }


def council_list(
    addresses: dict[str, str | None],
    *,
    certificates: dict[str, str] | None = None,
    keys: dict[str, dict[str, Any]] | None = None,
    sequence: int = 1,
    name: str = "region",
    more: Iterable[dict[str, Any]] = (),
) -> bytes:
    """A signed list of members at these addresses, and of `more`; `keys` are by value."""
    signer, now = signatory(), datetime.now(UTC)
    members: list[dict[str, Any]] = [
        {
            **entity(code),
            **({} if address is None else {"addresses": [address]}),
            **({"certificates": [certificates[code]]} if certificates and code in certificates else {}),
            **({"jwks": {"keys": [keys[code]]}} if keys and code in keys else {}),
        }
        for code, address in addresses.items()
    ]
    return etsi_json.publish(
        [*members, *more],
        name=name,
        key_pem=signer.key,
        certificate_pem=signer.certificate,
        issued_at=now,
        valid_until=now + timedelta(days=30),
        sequence=sequence,
    )


def caller_of(request: web.Request) -> Caller:
    """Who calls, by the test's own word: `Authorization: System <code>`, or `System <code> <client id>`."""
    kind, _, rest = request.headers.get("Authorization", "").partition(" ")
    if kind != "System":
        raise TokenMissing
    code, _, client = rest.partition(" ")
    return Caller(
        kind=CallerKind.SYSTEM,
        client=client or f"https://systems.example/{code}",
        municipality=code,
        scopes=frozenset({SCOPE, "notes.read"}),
        assurance=Assurance(identity=Level.NONE, authentication=Level.NONE),
        token_id="t",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )


def app(process: Process) -> web.Application:
    """The public listener, with `caller_of` in the place of tokens."""
    found = public_app(process.gateway)
    found[CALLER], found[STILL] = caller_of, lambda _: True
    return found


def as_system(code: str = ASKER, **more: str) -> dict[str, str]:
    """What the system of a municipality sends."""
    return {"Authorization": f"System {code}", **more}


def question(**changes: Any) -> dict[str, Any]:
    """A request that is accepted, with `changes`."""
    return {
        "to": "all",
        "question": {"method": "GET", "path": "/free-places"},
        "purpose": "Where can people sleep tonight?",
        "deadline_seconds": 20,
        "per_target_seconds": 5,
        **changes,
    }


@dataclass
class Members:
    """The members' systems: one server, a path for each code. `behave` is what a member does that has none of its own.

    `arrived` counts questions by code, `keys` their idempotency keys.
    """

    service: Upstream
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    behave: Behaviour | None = None
    arrived: Counter[str] = field(default_factory=Counter)
    keys: dict[str, set[str]] = field(default_factory=dict)
    seen: list[Connection] = field(default_factory=list)

    def forget(self) -> None:
        """As if nobody had been asked yet."""
        self.behaviours, self.behave, self.seen = {}, None, []
        self.arrived.clear()
        self.keys.clear()

    def address(self, code: str) -> str:
        return f"{self.service.url}/{code}"

    def addresses(self, *codes: str) -> dict[str, str | None]:
        return {code: self.address(code) for code in codes or CODES}

    async def _called(self, connection: Connection) -> None:
        code = connection.request_line.split(" ")[1].split("/")[1]
        self.arrived[code] += 1
        self.keys.setdefault(code, set()).add(connection.header("Idempotency-Key") or "")
        self.seen.append(connection)
        behave = self.behaviours.get(code) or self.behave or answers(code)
        await behave(connection)


def answers(code: str) -> Behaviour:
    """A member that says how many places are free."""

    async def behave(connection: Connection) -> None:
        await connection.body()
        await say_json(connection, {"free": int(code[2:5])})

    return behave


async def say_json(connection: Connection, value: Any, *, status: str = "200 OK", headers: str = "") -> None:
    """Answer with JSON, and close."""
    content = json.dumps(value).encode()
    await connection.say(
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        f"Connection: close\r\n{headers}\r\n".encode()
        + content
    )


@contextlib.asynccontextmanager
async def members() -> AsyncIterator[Members]:
    """The members' systems, at a free port."""
    async with upstream() as service:
        found = Members(service=service)
        service.behave = found._called
        yield found


def with_systems(sample: Sample, *codes: str) -> Sample:
    """The sample with a system of each of these municipalities that may ask."""
    systems = [
        {
            "id": f"office-{code}",
            "entity_id": f"https://systems.example/{code}",
            "name": {"ja": code, "en": code},
            "scopes": [SCOPE, "notes.read"],
        }
        for code in codes
    ]
    sample.write("systems.yaml", {"systems": systems})
    routes = yaml.safe_load((sample.config / "routes.yaml").read_text())
    if all(scope["name"] != SCOPE for scope in routes["scopes"]):
        routes["scopes"].append({"name": SCOPE, "label": {"ja": "たずねる", "en": "Ask"}})
        sample.write("routes.yaml", routes)
    return sample


def with_council(sample: Sample, addresses: dict[str, str | None], **settings: Any) -> Sample:
    """The sample with members at these addresses, and `settings` of council requests."""
    sample.put_list(council_list(addresses))
    sample.write("gateway.yaml", sample.gateway(council=settings))
    return with_systems(sample, *addresses)
