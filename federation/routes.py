"""Which regional service a call goes to: exactly one route, or none.

A path is read once, by one rule, before anything is compared; what the comparison saw is what goes
upstream. So a path that two readers could read differently (`..`, `//`, an encoded slash, something encoded
twice) has no route at all.

The table is compiled into a decision tree whose every step takes one segment: the time of a match depends
on the length of the path and not on the number of routes. Two routes that could serve the same call are a
mistake of the configuration, found while compiling.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from urllib.parse import quote, unquote_to_bytes

from federation.guard import Guard, Outcome
from federation.model import Level, Texts
from federation.normal_form import nfkc
from federation.reach import Reach
from federation.refusal import MethodNotAllowed, NoRoute
from federation.signatures.algorithms import Keyring
from federation.signatures.calls import Demand
from federation.terms import Terms

_REST = "**"
_NAME = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_METHOD = re.compile(r"[A-Z][A-Z0-9-]*")
_RAW_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-Fa-f]{2})*")  # RFC 3986 §3.3 pchar, without ";"
_AMBIGUOUS_ESCAPE = re.compile("%(?:2[EeFf]|5[Cc]|25|3[Bb])")  # "." "/" "\" "%" ";"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_UNESCAPED_UPSTREAM = "!$&'()*+,=:@"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiService:
    """A shared service of the region, behind the proxy.

    `upstream` is its base URL, `audience` what the identity assertion names it, `timeout` how long a call
    may wait for its answer. `idempotent`: it does nothing twice under one Idempotency-Key. `answers` says whether its
    answers must be signed, with one of `answer_keys`. `entity_id` is its client ID, if it may call other services on
    people's behalf. `reach` None: at `upstream` alone, and nothing is tried again.
    """

    id: str
    name: Texts
    upstream: str
    audience: str
    timeout: timedelta
    idempotent: bool = False
    answers: Demand = Demand.NONE
    answer_keys: Keyring = field(default_factory=dict, repr=False, compare=False)
    entity_id: str | None = None
    reach: Reach | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """How the calls of a route are looked at for what must never pass: both ways, each if it is not None.

    `Outcome.REPORT` counts what is found and lets it pass. Bodies of a type `unlooked` pass as they are.
    """

    guard: Guard
    request: Outcome | None = None
    response: Outcome | None = None
    unlooked: frozenset[str] = frozenset()


class Subject(StrEnum):
    """As whom a route shows the person who calls: by the service's identifier, by one for a context, or not at all."""

    PAIRWISE = "pairwise"
    CONTEXT = "context"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One row of the route table: calls to `path` by `methods` go to `service`, to those who may.

    In `path` a segment `{name}` stands for any one segment, and a last segment `**` for one segment or more.
    `upstream_path` is written with the same names. `minimum` and `minimum_authentication` are the levels that a
    person's sign-in needs. `context` is written with the same names too, for `Subject.CONTEXT` only: calls for which it
    says the same are of one context. Raises `ValueError` for a path or method that no call could have, and for an
    `upstream_path` that does not fit `path`. `guard` None: nobody looks at bodies.
    """

    path: str
    methods: frozenset[str]
    service: str
    upstream_path: str
    scope: str
    minimum: Level
    minimum_authentication: Level = Level.NONE
    terms: Terms = field(default_factory=Terms)
    guard: Inspected | None = field(default=None, compare=False)
    subject: Subject = Subject.PAIRWISE
    context: str | None = None
    spoken: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spoken", f"{' '.join(sorted(self.methods))} {self.path}")
        if not self.methods or not all(map(_METHOD.fullmatch, self.methods)):
            raise ValueError(f"{self.path}: methods must be HTTP methods in capital letters")
        names = _names(self.path)
        if len(set(names)) < len(names):
            raise ValueError(f"{self.path}: a name stands twice")
        unknown = sorted(set(_names(self.upstream_path)) - set(names))
        if unknown:
            raise ValueError(f"{self.upstream_path}: not in {self.path}: {', '.join(unknown)}")
        if (_REST in names) != (_REST in _names(self.upstream_path)):
            raise ValueError(f"{self.upstream_path}: must end in /** exactly if {self.path} does")
        if (self.subject is Subject.CONTEXT) != (self.context is not None):
            raise ContextMisfit(f"{self.path}: a context belongs to the subject `context`, and to no other")
        said = set(_NAME.findall(self.context or ""))
        if not said <= set(names) or set(_NAME.sub("", self.context or "")) & set("{}"):
            raise ContextMisfit(f"{self.context}: {{name}} must be one of {self.path}")

    def __str__(self) -> str:
        return self.spoken


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The route of a call, its decoded parameters, and the encoded path to ask upstream.

    Parameters may be personal; the rest of a path under `**` has the name `**`, still encoded.
    """

    route: Route
    parameters: Mapping[str, str] = field(repr=False)
    upstream_path: str = field(repr=False)

    @property
    def context(self) -> tuple[str, ...]:
        """What the call's context is known by: the route's template, and the parameters that it names, in order.

        Parameters that many services take for one another are one here, lest somebody has a second voice under `017`.
        """
        template = self.route.context or ""
        return (template, *(_alike(self.parameters[name]) for name in _NAME.findall(template)))

    @property
    def spoken_context(self) -> str:
        """The context in the words of the call itself, by which a service can tell that it means the same."""
        return _NAME.sub(lambda name: self.parameters[name[1]], self.route.context or "")


_ZEROS = re.compile("(?<![0-9])0+(?=[0-9])")


def _alike(parameter: str) -> str:
    """The parameter as databases compare it: in any case and width, without spaces around and zeros before a number."""
    folded = nfkc(nfkc(parameter).casefold())
    return _ZEROS.sub("", folded.strip())


class ContextMisfit(ValueError):  # noqa: N818 - named for what it is
    """A route's subject and context do not fit together, or the context names what the path has not."""


class AmbiguousRoutes(ValueError):  # noqa: N818 - named for what it is
    """Some call would match both routes."""

    def __init__(self, one: Route, other: Route) -> None:
        super().__init__(f"both routes could serve one call: {one} → {one.service}; {other} → {other.service}")
        self.routes = (one, other)


MOST_FOUND = 1024
"""Matches that a table remembers; then it begins anew."""

LONGEST_FOUND = 512
"""Characters of the longest path that is remembered: callers choose them."""


class RouteTable:
    """All routes, compiled. Raises `AmbiguousRoutes` naming two that could serve the same call."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._start = _Compiler(self.routes).start
        self._found: dict[tuple[str, str], Match] = {}

    def match(self, method: str, raw_path: str) -> Match:
        """The one route for this call; `raw_path` is the path as it was sent: encoded, without the query.

        Raises `NoRoute`, and `MethodNotAllowed` with the methods that the path does have.
        """
        asked = (method, raw_path)
        found = self._found.get(asked)
        if found is None:
            found = self._match(method, raw_path)
            if len(raw_path) <= LONGEST_FOUND:
                if len(self._found) >= MOST_FOUND:
                    self._found.clear()
                self._found[asked] = found
        return found

    def _match(self, method: str, raw_path: str) -> Match:
        segments = read_path(raw_path)
        step = self._start
        for segment in segments:
            following = step.named.get(segment, step.other)
            if following is None:
                raise NoRoute
            step = following
        if not step.ends:
            raise NoRoute
        target = step.ends.get(method)
        if target is None:
            raise MethodNotAllowed(allow=frozenset(step.ends))
        return target.reached(segments)


def read_path(raw_path: str) -> tuple[str, ...]:
    """The decoded segments of a path. Only the last may be empty (a path that ends in `/`). Raises `NoRoute`.

    Refused is whatever two readers could read in two ways (RFC 3986 §3.3, §6.2.2); escapes of plain letters
    are not.
    """
    if not raw_path.startswith("/"):
        raise NoRoute
    raw_segments = raw_path[1:].split("/")
    return tuple(_read_segment(raw, last=i == len(raw_segments) - 1) for i, raw in enumerate(raw_segments))


def _read_segment(raw: str, *, last: bool) -> str:
    checks = (
        _RAW_SEGMENT.fullmatch(raw) is not None,  # ASCII of a path, whole escapes; no "?", "#", "\", ";", space
        _AMBIGUOUS_ESCAPE.search(raw) is None,  # nothing encoded that a second reader would see as structure
        raw not in {".", ".."},
        raw != "" or last,  # no "//"
    )
    if not all(checks):
        raise NoRoute
    if "%" not in raw:
        return raw
    try:
        segment = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise NoRoute from None
    if _CONTROL.search(segment):
        raise NoRoute
    return segment


# --- patterns


def _pattern(path: str) -> tuple[str, ...]:
    """The segments of a pattern: literal text, `{name}`, or a last `**`. Raises `ValueError`."""
    if not path.startswith("/"):
        raise ValueError(f"{path}: must begin with /")
    segments = path[1:].split("/")
    for i, segment in enumerate(segments):
        last = i == len(segments) - 1
        if _NAME.fullmatch(segment) or (segment == _REST and last) or (segment == "" and last):
            continue
        odd = set("{}*%?#;\\ ") & set(segment)
        if segment in {"", ".", ".."} or odd or _CONTROL.search(segment):
            raise ValueError(f"{path}: segment {segment!r} is neither plain text nor {{name}} nor a last **")
    return tuple(segments)


def _names(path: str) -> list[str]:
    """The names in a pattern, `**` among them."""
    found = []
    for segment in _pattern(path):
        if segment == _REST:
            found.append(_REST)
        elif name := _NAME.fullmatch(segment):
            found.append(name[1])
    return found


def _escaped(segment: str) -> str:
    """The segment in the one encoding that goes upstream."""
    return quote(segment, safe=_UNESCAPED_UPSTREAM)


# --- the decision tree


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """A route with its two patterns read."""

    route: Route
    pattern: tuple[str, ...]
    upstream: tuple[str, ...]

    def reached(self, segments: tuple[str, ...]) -> Match:
        """The match that these segments make; the pattern is known to fit them."""
        parameters: dict[str, str] = {}
        encoded: dict[str, str] = {}
        for i, expected in enumerate(self.pattern):
            if expected == _REST:
                parameters[_REST] = encoded[_REST] = "/".join(map(_escaped, segments[i:]))
            elif expected.startswith("{"):
                parameters[expected[1:-1]] = segments[i]
                encoded[expected] = _escaped(segments[i])
        upstream_path = "/" + "/".join(encoded.get(part, part) for part in self.upstream)
        return Match(route=self.route, parameters=parameters, upstream_path=upstream_path)


def _target(route: Route) -> _Target:
    upstream = _pattern(route.upstream_path)
    return _Target(
        route=route,
        pattern=_pattern(route.path),
        upstream=tuple(part if part == _REST or part.startswith("{") else _escaped(part) for part in upstream),
    )


@dataclass(slots=True)
class _Step:
    """Where a path can go on from here: by a segment that some route names, or by any `other`.

    `ends` are the routes of a path that ends here, by method.
    """

    ends: dict[str, _Target]
    named: dict[str, "_Step | None"] = field(default_factory=dict)
    other: "_Step | None" = None


class _Compiler:
    """Merges the patterns into steps: a step is the set of (route, how much of its pattern is matched)."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._targets = tuple(map(_target, routes))
        self._patterns = tuple(target.pattern for target in self._targets)
        self._steps: dict[frozenset[tuple[int, int]], _Step] = {}
        self._waiting: list[frozenset[tuple[int, int]]] = []
        self.start = self._step(frozenset((i, 0) for i in range(len(self._targets)))) or _Step(ends={})
        while self._waiting:
            self._connect(self._waiting.pop())

    def _step(self, here: frozenset[tuple[int, int]]) -> _Step | None:
        """The step of this set; made once. None for the empty set, from which no path is served."""
        if not here:
            return None
        if here not in self._steps:
            self._steps[here] = _Step(ends=self._ends(here))
            self._waiting.append(here)
        return self._steps[here]

    def _ends(self, here: frozenset[tuple[int, int]]) -> dict[str, _Target]:
        ends: dict[str, _Target] = {}
        for i, matched in sorted(here):
            if matched < len(self._patterns[i]):
                continue
            for method in sorted(self._targets[i].route.methods):
                if method in ends:
                    raise AmbiguousRoutes(ends[method].route, self._targets[i].route)
                ends[method] = self._targets[i]
        return ends

    def _connect(self, here: frozenset[tuple[int, int]]) -> None:
        """Find where each segment leads from this set, in one pass over it."""
        anything: set[tuple[int, int]] = set()  # after any segment
        something: set[tuple[int, int]] = set()  # after any segment but the empty one
        exactly: dict[str, set[tuple[int, int]]] = {"": set()}
        for i, matched in here:
            pattern = self._patterns[i]
            if matched == len(pattern):
                if pattern[-1] == _REST:
                    anything.add((i, matched))
            elif pattern[matched] == _REST:
                anything.add((i, matched + 1))
            elif pattern[matched].startswith("{"):
                something.add((i, matched + 1))
            else:
                exactly.setdefault(pattern[matched], set()).add((i, matched + 1))
        step = self._steps[here]
        step.other = self._step(frozenset(anything | something))
        step.named = {
            segment: self._step(frozenset(after | anything | (something if segment else set())))
            for segment, after in exactly.items()
        }
