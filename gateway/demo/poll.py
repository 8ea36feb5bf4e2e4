"""The policy council's opinion poll: a shared service for residents of every member municipality.

It knows nobody: a voter has a name of their own in each poll, so no two polls can be compared; whoever reads has none.
That the name is for this poll it checks, so nobody votes twice under another spelling of its path; and it keeps no time
of day, by which two votes of one person could be told. Who may vote it knows by two facts that come with the vote: an
adult, who lives in a member city. Birth date and address it never learns.

| call | answer |
|---|---|
| `GET /polls` | the polls |
| `GET /polls/{poll}` | one poll, and whether the caller voted in it |
| `POST /polls/{poll}/votes` `{"option": …}` | 201; a second vote of the same person: 409; who may not: 403 |
| `GET /polls/{poll}/results` | votes by option, and how many came from each municipality |
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.clock import Clock, now
from gateway.demo.assertions import AssertionVerifier, Resident
from gateway.demo.journal import Journal
from gateway.demo.residents import Texts
from gateway.demo.shared_service import ServiceProblem, application, json_body
from gateway.demo.site import json_answer

AUDIENCE = "council-poll"

VOTERS = frozenset({"adult", "member_resident"})
"""What must be true of whoever votes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the council asks."""

    id: str
    title: Texts
    text: Texts
    options: Mapping[str, Texts]


QUESTIONS: Mapping[str, Question] = {
    question.id: question
    for question in (
        Question(
            id="night-bus",
            title={"ja": "夜のバス", "en": "Night buses"},
            text={
                "ja": "会員都市がいっしょに夜のバスを走らせるとしたら、何時までがよいですか。",
                "en": "If the member cities ran a night bus together, until when should it go?",
            },
            options={
                "until-22": {"ja": "22時まで", "en": "Until 22:00"},
                "until-24": {"ja": "24時まで", "en": "Until midnight"},
                "not-needed": {"ja": "いらない", "en": "Not needed"},
            },
        ),
        Question(
            id="shared-library",
            title={"ja": "図書館の相互利用", "en": "Sharing libraries"},
            text={
                "ja": "どの会員都市の図書館でも本を借りられるようにすることに、賛成ですか。",
                "en": "Should every member city’s library lend to every resident?",
            },
            options={
                "yes": {"ja": "賛成", "en": "Yes"},
                "region": {"ja": "同じ県の中だけなら賛成", "en": "Within one prefecture only"},
                "no": {"ja": "反対", "en": "No"},
            },
        ),
    )
}


@dataclass(slots=True)
class _Ballots:
    voters: set[str] = field(default_factory=set)
    options: Counter[str] = field(default_factory=Counter)
    municipalities: Counter[str] = field(default_factory=Counter)


class Poll:
    """The service and its ballots."""

    def __init__(self, directory: Path, verifier: AssertionVerifier, clock: Clock = now) -> None:
        self._verifier = verifier
        self._clock = clock
        self._journal = Journal(directory / "votes.jsonl")
        self._ballots = {poll: _Ballots() for poll in QUESTIONS}
        for line in self._journal.read():
            self._count(line)

    def application(self) -> web.Application:
        """The calls of the table above."""
        return application(
            self._verifier,
            [
                ("GET", "/polls", self._list),
                ("GET", "/polls/{poll}", self._show),
                ("POST", "/polls/{poll}/votes", self._vote),
                ("GET", "/polls/{poll}/results", self._results),
            ],
        )

    async def _list(self, _request: web.Request, _caller: Resident) -> web.Response:
        return json_answer({"polls": [_described(question) for question in QUESTIONS.values()]})

    async def _show(self, request: web.Request, caller: Resident) -> web.Response:
        question = _asked(request)
        voted = caller.voice(_occasion(question)) in self._ballots[question.id].voters
        return json_answer({**_described(question), "voted": voted})

    async def _vote(self, request: web.Request, caller: Resident) -> web.Response:
        question = _asked(request)
        voter = caller.voice(_occasion(question))
        if not caller.facts >= VOTERS:
            raise ServiceProblem(403, "no-voter", "Adults who live in a member city vote here.")
        option = (await json_body(request)).get("option")
        if not isinstance(option, str) or option not in question.options:
            raise ServiceProblem(422, "no-such-option", "The poll has no such option.")
        async with self._journal.lock:
            if voter in self._ballots[question.id].voters:
                raise ServiceProblem(409, "already-voted", "This person has voted in this poll.")
            line = {
                "poll": question.id,
                "option": option,
                "voter": voter,
                "municipality": caller.municipality,
                "on": self._clock().date().isoformat(),
            }
            await self._journal.add(line)
            self._count(line)
        return json_answer({"poll": question.id, "option": option}, 201)

    async def _results(self, request: web.Request, _caller: Resident) -> web.Response:
        question = _asked(request)
        ballots = self._ballots[question.id]
        return json_answer(
            {
                "poll": question.id,
                "total": ballots.options.total(),
                "options": {option: ballots.options[option] for option in question.options},
                "municipalities": dict(sorted(ballots.municipalities.items())),
            }
        )

    def _count(self, line: Mapping[str, Any]) -> None:
        ballots = self._ballots.get(line["poll"])
        if ballots is not None:
            ballots.voters.add(line["voter"])
            ballots.options[line["option"]] += 1
            ballots.municipalities[line["municipality"]] += 1


def _described(question: Question) -> dict[str, Any]:
    return {
        "id": question.id,
        "title": question.title,
        "text": question.text,
        "options": [{"id": option, "label": label} for option, label in question.options.items()],
    }


def _occasion(question: Question) -> str:
    """What the gateway calls this poll (`context` in routes.yaml)."""
    return f"poll-{question.id}"


def _asked(request: web.Request) -> Question:
    question = QUESTIONS.get(request.match_info["poll"])
    if question is None:
        raise ServiceProblem(404, "no-such-poll", "There is no such poll.")
    return question
