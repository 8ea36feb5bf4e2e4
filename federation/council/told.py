"""How answers are told to the asker: lines of JSON (NDJSON), parts of `multipart/mixed` (RFC 2046 §5.1), or one object.

A stream begins with the request, goes on with one line or part for each member, as it ends, and closes with how many
ended how. `after` counts answers, so that a stream that broke off can be taken up behind the last one that came.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from federation.council.answers import Answer, Outcome, readable
from federation.council.asking import Asker
from federation.council.question import Asked
from federation.web import Json

NDJSON, MULTIPART, WHOLE = "application/x-ndjson", "multipart/mixed", "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One time that a request was put to `codes`: first, or as a repeat. `until` is when it ends at the latest.

    `client` is the system that repeats; None: the one that began the request.
    """

    number: int
    begun: datetime
    until: datetime
    codes: tuple[str, ...]
    client: str | None = None

    def to_json(self) -> Json:
        """For the store."""
        return {
            "number": self.number,
            "begun": self.begun.isoformat(),
            "until": self.until.isoformat(),
            "codes": list(self.codes),
            "client": self.client,
        }

    @classmethod
    def from_json(cls, value: Json) -> "Round":
        """From the store."""
        return cls(
            number=value["number"],
            begun=datetime.fromisoformat(value["begun"]),
            until=datetime.fromisoformat(value["until"]),
            codes=tuple(value["codes"]),
            client=value.get("client"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that was accepted, with every round so far."""

    id: str
    asker: Asker
    asked: Asked
    begun: datetime
    rounds: tuple[Round, ...] = field(default=())

    @property
    def round(self) -> Round:
        """The present round."""
        return self.rounds[-1]

    @property
    def asking(self) -> Asker:
        """The system in whose name the present round goes out: of the municipality that began the request."""
        return replace(self.asker, client=self.round.client or self.asker.client)

    def to_json(self) -> Json:
        """For the store, without the rounds, which have rows of their own."""
        return {
            "id": self.id,
            "client": self.asker.client,
            "municipality": self.asker.municipality,
            "asked": self.asked.to_json(),
            "begun": self.begun.isoformat(),
        }

    @classmethod
    def from_json(cls, value: Json, rounds: Iterable[Round]) -> "Request":
        """From the store."""
        return cls(
            id=value["id"],
            asker=Asker(client=value["client"], municipality=value["municipality"]),
            asked=Asked.from_json(value["asked"]),
            begun=datetime.fromisoformat(value["begun"]),
            rounds=tuple(rounds),
        )


def latest(answers: Iterable[Answer]) -> dict[str, Answer]:
    """The last answer of each target."""
    return {answer.code: answer for answer in answers}


def missing(request: Request, answers: Iterable[Answer]) -> tuple[str, ...]:
    """The targets that have not answered, in the order of the first round."""
    ends = latest(answers)
    return tuple(
        code for code in request.rounds[0].codes if code not in ends or ends[code].outcome is not Outcome.ANSWERED
    )


def open_targets(request: Request, answers: Iterable[Answer]) -> tuple[str, ...]:
    """The targets whose present round has not ended."""
    ended = {answer.code for answer in answers if answer.round == request.round.number}
    return tuple(code for code in request.round.codes if code not in ended)


def head(request: Request) -> dict[str, Any]:
    """What is told of the request itself."""
    return {
        "id": request.id,
        "municipality": request.asker.municipality,
        "client_id": request.asker.client,
        "purpose": request.asked.purpose,
        "to": request.asked.to.to_json(),
        "begun": request.begun.isoformat(timespec="milliseconds"),
        "until": request.round.until.isoformat(timespec="milliseconds"),
        "round": request.round.number,
        "targets": len(request.rounds[0].codes),
    }


def tail(request: Request, answers: Sequence[Answer]) -> dict[str, Any]:
    """How far it is: how many of all targets ended how, and how many are still open."""
    waiting = set(open_targets(request, answers))
    counts = Counter(str(each.outcome) for each in latest(answers).values() if each.code not in waiting)
    return {
        "state": "open" if waiting else "ended",
        "open": len(waiting),
        **{str(outcome): counts[str(outcome)] for outcome in Outcome},
        "answers": len(answers),
    }


def answer(found: Answer, number: int) -> dict[str, Any]:
    """One answer, with the number by which `after` counts."""
    return {"number": number, **found.told(), **readable(found.content, found.content_type)}


def whole(request: Request, answers: Sequence[Answer]) -> dict[str, Any]:
    """Everything: the request, how far it is, the last answer of each target, and who is still open."""
    numbers = {each.code: number for number, each in enumerate(answers, 1)}
    return {
        **head(request),
        **tail(request, answers),
        "members": [answer(each, numbers[each.code]) for each in latest(answers).values()],
        "waiting": list(open_targets(request, answers)),
    }


class Lines:
    """NDJSON: one object a line, each with a `type`."""

    content_type = NDJSON

    def begin(self, request: Request) -> bytes:
        """The first line."""
        return self._line("request", head(request))

    def answer(self, found: Answer, number: int) -> bytes:
        """A member's line."""
        return self._line("answer", answer(found, number))

    def progress(self, request: Request, answers: Sequence[Answer]) -> bytes:
        """A line while nothing comes, so that nobody on the way takes the connection for dead."""
        return self._line("progress", tail(request, answers))

    def end(self, request: Request, answers: Sequence[Answer]) -> bytes:
        """The last line."""
        return self._line("end", tail(request, answers))

    def _line(self, kind: str, value: Mapping[str, Any]) -> bytes:
        return (json.dumps({"type": kind, **value}, ensure_ascii=False) + "\n").encode()


class Parts:
    """`multipart/mixed`: what members sent as it came, each in a part of its own; `boundary` must be unguessable."""

    def __init__(self, boundary: str) -> None:
        self._boundary = boundary
        self.content_type = f'{MULTIPART}; boundary="{boundary}"'

    def begin(self, request: Request) -> bytes:
        """The first part: the request, as JSON."""
        return self._json("request", head(request))

    def answer(self, found: Answer, number: int) -> bytes:
        """A member's part: its content, and in the part's header fields what became of it."""
        fields = [("Kakehashi-Part", "answer"), ("Kakehashi-Number", str(number))]
        fields += [(_FIELDS[name], _said(value)) for name, value in found.told().items() if name in _FIELDS]
        return self._part(found.content_type or "application/octet-stream", fields, found.content)

    def progress(self, request: Request, answers: Sequence[Answer]) -> bytes:
        """A part while nothing comes."""
        return self._json("progress", tail(request, answers))

    def end(self, request: Request, answers: Sequence[Answer]) -> bytes:
        """The last part, and the closing boundary."""
        return self._json("end", tail(request, answers)) + f"--{self._boundary}--\r\n".encode()

    def _json(self, kind: str, value: Mapping[str, Any]) -> bytes:
        content = json.dumps(value, ensure_ascii=False).encode()
        return self._part(WHOLE, [("Kakehashi-Part", kind)], content)

    def _part(self, content_type: str, fields: Iterable[tuple[str, str]], content: bytes) -> bytes:
        said = [("Content-Type", content_type), *fields, ("Content-Length", str(len(content)))]
        lines = "".join(f"{name}: {value}\r\n" for name, value in said)
        return f"--{self._boundary}\r\n{lines}\r\n".encode("ascii", "replace") + content + b"\r\n"


_FIELDS: Final = {
    "municipality": "Kakehashi-Municipality",
    "service": "Kakehashi-Service",
    "outcome": "Kakehashi-Outcome",
    "reason": "Kakehashi-Reason",
    "may_have_arrived": "Kakehashi-May-Have-Arrived",
    "round": "Kakehashi-Round",
    "status": "Kakehashi-Status",
    "signature": "Kakehashi-Signature",
}


_QUALITY: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?", re.ASCII)


def _said(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


Form = Lines | Parts


def form(accept: str, boundary: Callable[[], str]) -> Form | None:
    """How the asker wants to read answers as they come; None: as one object, or without a preference.

    The one that the `Accept` field gives the most weight counts, of several the first (RFC 9110 §12.5.1).
    """
    wanted, most = WHOLE, 0.0
    for each in accept.split(","):
        kind, _, parameters = each.partition(";")
        weight = _weight(parameters)
        if kind.strip().lower() in (NDJSON, MULTIPART, WHOLE) and weight > most:
            wanted, most = kind.strip().lower(), weight
    return Lines() if wanted == NDJSON else Parts(boundary()) if wanted == MULTIPART else None


def _weight(parameters: str) -> float:
    """The weight of a media range, 0 to 1 (RFC 9110 §12.4.2); without one, or with none that is one, 1."""
    for each in parameters.split(";"):
        name, _, value = each.partition("=")
        if name.strip().lower() == "q" and _QUALITY.fullmatch(value.strip()):
            return float(value)
    return 1.0
