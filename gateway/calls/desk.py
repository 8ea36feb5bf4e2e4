"""What calls are carried with: everything that lives as long as the process, found once."""

from dataclasses import dataclass, field

from aiohttp import web

from federation.signatures.algorithms import MessageSigner
from gateway.calls.callers import Callers
from gateway.calls.once import Once
from gateway.context import Gateway
from gateway.patience import Watch
from gateway.upstream.pools import Pools


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The gateway, the callers that it knows, the ways to its services, calls with keys, and what signs requests."""

    gateway: Gateway
    callers: Callers
    pools: Pools
    once: Once
    signer: MessageSigner
    watch: Watch = field(default_factory=Watch)


DESK = web.AppKey("desk", Desk)
