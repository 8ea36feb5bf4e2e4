"""The sign-in page of an ID system: who asks, which resident are you, or cancel.

Real systems read a card here. What matters to the region is the same: someone was authenticated by some
means, or not.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Generic, TypeVar

from aiohttp import web

from gateway.clock import Clock
from gateway.demo.residents import Resident, Texts, find
from gateway.demo.shelf import Shelf
from gateway.demo.site import Site, form, not_open

T = TypeVar("T")

Register = Callable[[date], Sequence[Resident]]

MINUTES = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open(Generic[T]):
    pending: T
    visit: str


class SignIn(Generic[T]):
    """Shows the page and takes its answer once, from the browser that it was shown to."""

    def __init__(self, site: Site, register: Register, clock: Clock) -> None:
        self._site = site
        self._register = register
        self._clock = clock
        self._open: Shelf[_Open[T]] = Shelf(MINUTES, clock)

    def page(self, request: web.Request, pending: T, *, asker: Texts) -> web.Response:
        """The page for one request of `asker`; `pending` comes back with the answer."""
        visit = request.cookies.get(self._site.cookie("visit")) or secrets.token_urlsafe(24)
        transaction = self._open.put(_Open(pending=pending, visit=visit))
        response = self._site.page(
            request,
            "sign_in.html",
            transaction=transaction,
            asker=asker,
            residents=self._register(self._today()),
        )
        self._site.set_cookie(response, "visit", visit, MINUTES)
        return response

    async def answer(self, request: web.Request) -> tuple[T, Resident | None]:
        """What was pending, and who signed in; None is "cancel". Raises `PageError`."""
        fields = await form(request)
        opened = self._open.read(fields.get("transaction"))
        visit = request.cookies.get(self._site.cookie("visit"), "")
        if opened is None or not secrets.compare_digest(opened.visit.encode(), visit.encode()):
            raise not_open()
        resident = find(self._register(self._today()), fields.get("resident", ""))
        if resident is None and "cancel" not in fields:
            raise web.HTTPBadRequest
        self._open.take(fields["transaction"])
        return opened.pending, resident

    def resident(self, key: str) -> Resident:
        """The register's entry of someone who signed in."""
        found = find(self._register(self._today()), key)
        assert found is not None
        return found

    def _today(self) -> date:
        return self._clock().date()
