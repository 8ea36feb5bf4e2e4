"""What a member's system may ask, read strictly: to whom, what, what for, and how long it may take.

    {"to": "all",                 or {"prefecture": "10"}, {"members": ["102016"]}, {"service": "poll"}
     "question": {"method": "GET", "path": "/evacuation/free-places", "accept": ["application/json"]},
     "purpose": "Where can people sleep tonight?",
     "deadline_seconds": 60, "per_target_seconds": 10, "interrupted": "report", "signatures": "any"}

A POST has content: `json` (any value), or `base64` (octets) with its `content_type`. Whatever is not in this form is a
mistake of the asker's program, which is told where, what was expected and what to do.
"""

import base64
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeVar

from federation.oidc.strict_json import read_object
from federation.refusal import CouncilRequestMalformed, NoRoute
from federation.routes import read_path
from federation.web import Json
from trust_lists.codes import is_municipality_code

LARGEST_REQUEST: Final = 128 * 1024
LARGEST_CONTENT: Final = 64 * 1024
"""Octets of what is posted here, and of what each member is sent."""

LONGEST_PATH, LONGEST_PURPOSE, MOST_TYPES = 2048, 500, 8

DEADLINE_SECONDS, TARGET_SECONDS = (1, 600, 60), (1, 60, 10)
"""Least, most, and what holds if nothing is said."""

JSON_TYPE: Final = "application/json"

_PREFECTURE = re.compile(r"0[1-9]|[1-3][0-9]|4[0-7]", re.ASCII)
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}", re.ASCII)
_QUERY = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*", re.ASCII)  # RFC 3986 §3.4
_SERVICE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_METHODS: Final = ("GET", "POST")


class Interrupted(StrEnum):
    """What becomes of a member whose answer was lost with the process that waited for it.

    REPORT: it counts as unreachable, and nobody asks it again unless the asker says so. REPEAT: the asker says in
    advance that it may be asked once more, with the same `Idempotency-Key`.
    """

    REPORT = "report"
    REPEAT = "repeat"


class Signatures(StrEnum):
    """Whether answers without a verified signature count."""

    ANY = "any"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who is asked; exactly one of the four. `codes` are municipalities', in the asker's order."""

    all: bool = False
    prefecture: str | None = None
    codes: tuple[str, ...] = ()
    service: str | None = None

    def to_json(self) -> Any:
        """As the asker wrote it."""
        if self.all:
            return "all"
        if self.prefecture is not None:
            return {"prefecture": self.prefecture}
        return {"members": list(self.codes)} if self.service is None else {"service": self.service}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What each target is sent. `path` may have a query; `content` is None for GET."""

    method: str
    path: str = field(repr=False)
    accept: tuple[str, ...] = (JSON_TYPE,)
    content_type: str | None = None
    content: bytes | None = field(default=None, repr=False)

    def to_json(self) -> Json:
        """For the store."""
        return {
            "method": self.method,
            "path": self.path,
            "accept": list(self.accept),
            "content_type": self.content_type,
            "content": None if self.content is None else base64.b64encode(self.content).decode(),
        }

    @classmethod
    def from_json(cls, value: Json) -> "Question":
        """From the store."""
        content = value["content"]
        return cls(
            method=value["method"],
            path=value["path"],
            accept=tuple(value["accept"]),
            content_type=value["content_type"],
            content=None if content is None else base64.b64decode(content),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as its asker wrote it."""

    to: Audience
    question: Question
    purpose: str = field(repr=False)
    deadline_seconds: int
    target_seconds: int
    interrupted: Interrupted = Interrupted.REPORT
    signatures: Signatures = Signatures.ANY

    def to_json(self) -> Json:
        """For the store."""
        return {
            "to": self.to.to_json(),
            "question": self.question.to_json(),
            "purpose": self.purpose,
            "deadline": self.deadline_seconds,
            "target": self.target_seconds,
            "interrupted": str(self.interrupted),
            "signatures": str(self.signatures),
        }

    @classmethod
    def from_json(cls, value: Json) -> "Asked":
        """From the store."""
        return cls(
            to=_audience(value["to"], "", most=1 << 20),
            question=Question.from_json(value["question"]),
            purpose=value["purpose"],
            deadline_seconds=value["deadline"],
            target_seconds=value["target"],
            interrupted=Interrupted(value["interrupted"]),
            signatures=Signatures(value["signatures"]),
        )


def read_asked(body: bytes, *, most_targets: int) -> Asked:
    """What was posted to begin a request. Raises `CouncilRequestMalformed` at the first rule that it breaks."""
    value = _members(_object(body), "", required=("to", "question", "purpose"), optional=_OPTIONS)
    target = _seconds(value, "per_target_seconds", TARGET_SECONDS)
    return Asked(
        to=_audience(value["to"], "/to", most=most_targets),
        question=_question(value["question"]),
        purpose=_purpose(value["purpose"]),
        deadline_seconds=_seconds(value, "deadline_seconds", DEADLINE_SECONDS),
        target_seconds=target,
        interrupted=_choice(value, "interrupted", Interrupted, Interrupted.REPORT),
        signatures=_choice(value, "signatures", Signatures, Signatures.ANY),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """What was posted to repeat a request: for whom (None: for whoever did not answer), and how long it may take."""

    codes: frozenset[str] | None
    deadline_seconds: int


def read_again(body: bytes, *, most_targets: int) -> Again:
    """Read it; an empty body asks for everything that is missing. Raises `CouncilRequestMalformed`."""
    value = _members(_object(body or b"{}"), "", required=(), optional=("members", "deadline_seconds"))
    codes = _codes(value["members"], "/members", most=most_targets) if "members" in value else None
    return Again(
        codes=None if codes is None else frozenset(codes),
        deadline_seconds=_seconds(value, "deadline_seconds", DEADLINE_SECONDS),
    )


_OPTIONS: Final = ("deadline_seconds", "per_target_seconds", "interrupted", "signatures")


def _object(body: bytes) -> dict[str, Any]:
    try:
        return read_object(body, limit=LARGEST_REQUEST)
    except (ValueError, RecursionError):
        raise CouncilRequestMalformed(
            where="/",
            expected=f"one JSON object of at most {LARGEST_REQUEST} octets, in UTF-8, in which no name stands twice",
            do="Send such an object, with Content-Type: application/json.",
        ) from None


def _members(value: object, where: str, *, required: Collection[str], optional: Collection[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _expected(where, f"an object with {', '.join(required) or 'names'}", "Write {…}.")
    for name in value:
        if name not in required and name not in optional:
            known = ", ".join((*required, *optional))
            shown = name[:40] if name.isascii() and name.isprintable() else "(a name)"
            raise CouncilRequestMalformed(
                f"at {where or '/'}: another name",  # which may be anybody's
                where=f"{where}/{shown}",
                expected=f"one of {known}",
                do="Correct the name, or leave it out.",
            )
    for name in required:
        if name not in value:
            raise _expected(f"{where}/{name}", "a value, which is missing", "Add it.")
    return value


def _audience(value: object, where: str, *, most: int) -> Audience:
    if value == "all":
        return Audience(all=True)
    if not isinstance(value, dict) or len(value) != 1:
        raise _expected(where, '"all", or one of prefecture, members, service', 'As in {"prefecture": "10"}.')
    ((name, said),) = value.items()
    if name == "members":
        return Audience(codes=_codes(said, f"{where}/members", most=most))
    if name == "prefecture":
        if not isinstance(said, str) or not _PREFECTURE.fullmatch(said):
            raise _expected(f"{where}/prefecture", 'a prefecture, "01" to "47"', "Write two digits in quotes.")
        return Audience(prefecture=said)
    if name == "service":
        if not isinstance(said, str) or not _SERVICE.fullmatch(said):
            raise _expected(f"{where}/service", "the id of a service of the region", "See the list of routes.")
        return Audience(service=said)
    raise _expected(where, '"all", or one of prefecture, members, service', 'As in {"prefecture": "10"}.')


def _codes(value: object, where: str, *, most: int) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise _expected(where, f"a list of 1 to {most} municipalities' codes", 'As in ["102016", "012173"].')
    for index, code in enumerate(value):
        if not isinstance(code, str) or not is_municipality_code(code):
            raise _expected(f"{where}/{index}", "a local-government code: six digits in quotes", "Correct its digits.")
    if len(set(value)) != len(value):
        raise _expected(where, "every code once", "Leave out what stands twice.")
    return tuple(value)


def _question(value: object) -> Question:
    where = "/question"
    optional = ("accept", "content_type", "json", "base64")
    stated = _members(value, where, required=("method", "path"), optional=optional)
    method = stated["method"]
    if method not in _METHODS:
        raise _expected(f"{where}/method", "GET or POST", "Put what is to be done into a POST.")
    given = [name for name in ("json", "base64") if name in stated]
    if method == "GET" and (given or "content_type" in stated):
        raise _expected(f"{where}/method", "a GET without content", "Leave json, base64 and content_type out, or POST.")
    if method == "POST" and len(given) != 1:
        raise _expected(where, "json or base64, one of them", "Say what is to be posted, as in json: {}.")
    content, content_type = None, None
    if method == "POST":
        content, content_type = _content(stated, where)
    return Question(
        method=method,
        path=_path(stated["path"], f"{where}/path"),
        accept=_types(stated["accept"], f"{where}/accept") if "accept" in stated else (JSON_TYPE,),
        content_type=content_type,
        content=content,
    )


def _content(stated: Mapping[str, Any], where: str) -> tuple[bytes, str]:
    if "json" in stated:
        if stated.get("content_type", JSON_TYPE) != JSON_TYPE:
            raise _expected(f"{where}/content_type", f"{JSON_TYPE} for json", "Use base64 for another type.")
        content = json.dumps(stated["json"], ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        content_type = JSON_TYPE
    else:
        try:
            content = base64.b64decode(stated["base64"].encode("ascii"), validate=True)
        except (AttributeError, ValueError):
            raise _expected(f"{where}/base64", "octets in base64 (RFC 4648 §4)", "Encode them anew.") from None
        content_type = _type(stated.get("content_type"), f"{where}/content_type")
    if len(content) > LARGEST_CONTENT:
        raise _expected(where, f"content of at most {LARGEST_CONTENT} octets", "Ask for less at once.")
    return content, content_type


def _path(value: object, where: str) -> str:
    expected = "a path that begins with / and that nobody can read in two ways, with a query or without"
    if not isinstance(value, str) or len(value) > LONGEST_PATH:
        raise _expected(where, expected, f"Write at most {LONGEST_PATH} characters of ASCII.")
    path, _, query = value.partition("?")
    try:
        read_path(path)
    except NoRoute:
        raise _expected(where, expected, "Leave out .., //, encoded slashes and the like.") from None
    if not _QUERY.fullmatch(query):
        raise _expected(where, "a query in ASCII (RFC 3986)", "Encode it with %, and leave # out.")
    return value


def _types(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_TYPES:
        raise _expected(where, f"a list of 1 to {MOST_TYPES} content types", f'As in ["{JSON_TYPE}"].')
    return tuple(dict.fromkeys(_type(each, f"{where}/{index}") for index, each in enumerate(value)))


def _type(value: object, where: str) -> str:
    if not isinstance(value, str) or not _TYPE.fullmatch(value):
        raise _expected(where, "a content type in small letters, without parameters", f"As in {JSON_TYPE}.")
    return value


def _purpose(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not 1 <= len(text) <= LONGEST_PURPOSE or not text.isprintable():
        raise _expected("/purpose", f"what it is for, in 1 to {LONGEST_PURPOSE} characters on one line", "Say it.")
    return text


def _seconds(value: Mapping[str, Any], name: str, bounds: tuple[int, int, int]) -> int:
    least, most, otherwise = bounds
    stated = value.get(name, otherwise)
    if type(stated) is not int or not least <= stated <= most:
        raise _expected(f"/{name}", f"a whole number of seconds from {least} to {most}", "Choose one.")
    return stated


_Choice = TypeVar("_Choice", bound=StrEnum)


def _choice(value: Mapping[str, Any], name: str, kind: Callable[[Any], _Choice], otherwise: _Choice) -> _Choice:
    if name not in value:
        return otherwise
    try:
        return kind(value[name])
    except (ValueError, TypeError):
        words = ", ".join(each.value for each in type(otherwise))
        raise _expected(f"/{name}", f"one of {words}", "Choose one, or leave it out.") from None


def _expected(where: str, expected: str, do: str) -> CouncilRequestMalformed:
    return CouncilRequestMalformed(where=where or "/", expected=expected, do=do)
