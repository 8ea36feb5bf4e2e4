"""Calls and answers of routes that ask for it, looked at for what must never pass while they stream.

The rules stand in `federation/guard.py`, how bodies are read in `federation/guard_bodies.py`; this file holds each
piece back until it was looked at, large ones on a thread, so that other calls go on meanwhile. So of a refused call the
service gets at most a beginning, without the number, and a body that never ends. An answer is begun when it is whole,
or when its first `FIRST` bytes were looked at: what is found until then is answered with a problem document; what is
found later ends the connection, and nobody gets the number.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import parse_qsl

from multidict import MultiMapping

from federation.access import Headers
from federation.guard import Finding, Outcome, refused
from federation.guard_bodies import BodyInspection, NotInspectableError
from federation.refusal import (
    AnswerForbiddenContent,
    AnswerNotInspectable,
    CallForbiddenContent,
    CallNotInspectable,
    CallRefusal,
)
from federation.routes import Inspected

FIRST = 64 * 1024
"""Bytes of an answer that must have been looked at before it begins."""

AT_ONCE = 2 * 1024
"""Bytes that are looked at on the spot; more go to a thread."""

_THREADS = ThreadPoolExecutor(2, "guard")
"""Few, and of its own: whoever sends what is tedious to look at holds up no login."""

UNINSPECTED = "uninspected"
"""What is told of a body that nobody could look at."""

Told = Callable[[str, Outcome, str, str], None]
"""Takes a kind, an outcome, the code of a rule and a direction (`in`, `out`)."""

_NOT_LOOKED_AT = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "age",
        "cache-control",
        "content-length",
        "content-type",
        "date",
        "etag",
        "expires",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-unmodified-since",
        "kakehashi-assertion",
        "kakehashi-request-id",
        "last-modified",
        "user-agent",
        "via",
    }
)
"""Headers of a known form, and the gateway's own."""

_NOT_FORWARDED = frozenset({"accept-encoding", "if-range", "range"})
"""Parts of an answer could hold a number between them; and a coding that nobody can open is not asked for."""


class CallGuard:
    """Looks at one call of a route, both ways. `told` hears of everything that is found."""

    def __init__(self, inspected: Inspected | None, told: Told) -> None:
        self._inspected = inspected
        self._told = told

    @property
    def looks_at_calls(self) -> bool:
        """Whether the bodies of calls are looked at."""
        return self._inspected is not None and self._inspected.request is not None

    @property
    def holds_answers(self) -> bool:
        """Whether answers are looked at before they begin."""
        return self._inspected is not None and self._inspected.response is not None

    def address(self, raw_path: str, query: str, headers: Headers) -> None:
        """Look at a call's address and headers. Raises `CallForbiddenContent`."""
        if self._inspected is None or self._inspected.request is None:
            return
        pieces: list[tuple[str | None, str]] = [(None, raw_path), (None, query)]
        pieces += parse_qsl(query, keep_blank_values=True, errors="replace")
        self._judge(self._found([*pieces, *_looked_at(headers)]), self._inspected.request, CallForbiddenContent, "in")

    def forwarded(self, headers: Headers) -> Headers:
        """The headers that go upstream, such that the answer can be looked at."""
        if self._inspected is None or self._inspected.response is None:
            return headers
        kept = [(name, value) for name, value in headers if name.lower() not in _NOT_FORWARDED]
        return [*kept, ("Accept-Encoding", "identity")]

    def call(self, chunks: AsyncIterator[bytes], headers: MultiMapping[str]) -> AsyncIterator[bytes]:
        """The body of the call, as far as it may go on. Raises `CallForbiddenContent`, `CallNotInspectable`."""
        if self._inspected is None or self._inspected.request is None:
            return chunks
        return self._cleared(chunks, headers, self._inspected.request, (CallForbiddenContent, CallNotInspectable), "in")

    def answer(self, chunks: AsyncIterator[bytes], headers: MultiMapping[str]) -> AsyncIterator[bytes]:
        """The body of the answer, as far as it may go on, in pieces.

        The first comes when the answer may begin. Raises `AnswerForbiddenContent`, `AnswerNotInspectable`.
        """
        if self._inspected is None or self._inspected.response is None:
            return chunks
        kinds = (AnswerForbiddenContent, AnswerNotInspectable)
        self._judge(self._found(_looked_at(headers.items())), self._inspected.response, kinds[0], "out")
        return _begun(self._cleared(chunks, headers, self._inspected.response, kinds, "out"))

    async def _cleared(
        self,
        chunks: AsyncIterator[bytes],
        headers: MultiMapping[str],
        wanted: Outcome,
        kinds: tuple[type[CallRefusal], type[CallRefusal]],
        direction: str,
    ) -> AsyncIterator[bytes]:
        waiting: deque[tuple[bytes, int]] = deque()
        inspection: BodyInspection | None = None
        blind = False
        async for chunk in chunks:
            if not chunk:
                continue
            try:
                if inspection is None and not blind:
                    inspection = self._inspection(headers)
                if inspection is not None:
                    self._judge(await _fed(inspection, chunk), wanted, kinds[0], direction)
            except NotInspectableError as why:
                self._blind(why, wanted, kinds[1], direction)
                inspection, blind = None, True
            waiting.append((chunk, 0 if inspection is None else inspection.came))
            while waiting and (inspection is None or waiting[0][1] <= inspection.cleared):
                yield waiting.popleft()[0]
        if inspection is not None:
            try:
                self._judge(await _fed(inspection, None), wanted, kinds[0], direction)
            except NotInspectableError as why:
                self._blind(why, wanted, kinds[1], direction)
        for chunk, _ in waiting:
            yield chunk

    def _inspection(self, headers: MultiMapping[str]) -> BodyInspection:
        assert self._inspected is not None
        if "Content-Range" in headers:
            raise NotInspectableError("range")
        kinds, codings = headers.getall("Content-Type", []), headers.getall("Content-Encoding", [])
        if len(kinds) > 1:
            raise NotInspectableError("type")
        return BodyInspection(
            self._inspected.guard,
            "".join(kinds),
            ", ".join(codings),
            unlooked=self._inspected.unlooked,
        )

    def _found(self, pieces: Iterable[tuple[str | None, str]]) -> list[Finding]:
        assert self._inspected is not None
        return [finding for name, text in pieces for finding in self._inspected.guard.inspect(name, (text,))]

    def _judge(self, findings: list[Finding], wanted: Outcome, kind: type[CallRefusal], direction: str) -> None:
        """Tell what was found; raise if it ends the call."""
        for finding in findings:
            outcome = finding.outcome if wanted is Outcome.REFUSE else Outcome.REPORT
            self._told(finding.kind, outcome, finding.rule, direction)
        if wanted is Outcome.REFUSE and (worst := refused(findings)) is not None:
            raise kind(f"guard: {worst.rule}")

    def _blind(self, why: NotInspectableError, wanted: Outcome, kind: type[CallRefusal], direction: str) -> None:
        self._told(UNINSPECTED, wanted, f"uninspected-{why.why}", direction)
        if wanted is Outcome.REFUSE:
            raise kind(f"guard: {why.why}")


def _looked_at(headers: Iterable[tuple[str, str]]) -> list[tuple[str | None, str]]:
    return [(name, value) for name, value in headers if name.lower() not in _NOT_LOOKED_AT]


async def _fed(inspection: BodyInspection, chunk: bytes | None) -> list[Finding]:
    """What is found now that `chunk` came, or that nothing comes any more."""
    read = inspection.finish if chunk is None else partial(inspection.feed, chunk)
    size = inspection.came - inspection.cleared + len(chunk or b"")
    if size <= AT_ONCE and not inspection.packed:
        return read()
    return await asyncio.get_running_loop().run_in_executor(_THREADS, read)


async def _begun(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same, but nothing before the first `FIRST` bytes or the end."""
    waiting: list[bytes] = []
    size = 0
    async for chunk in chunks:
        if size >= FIRST:
            yield chunk
            continue
        waiting.append(chunk)
        size += len(chunk)
        if size >= FIRST:
            yield b"".join(waiting)
    if size < FIRST:
        yield b"".join(waiting)
