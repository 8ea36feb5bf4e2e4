"""What a login is between two requests, and how it is written down for the store (which keeps it sealed)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from federation.assurance import Decision, decision_from_json, decision_to_json
from federation.guard import Found
from federation.identifiers import KeyName, PersonRef
from federation.model import Assurance, Held, Level, LoginRequest, held_from_json
from federation.sessions import UpstreamSession, upstream_from_json
from federation.web import Json

NOT_NAMED = KeyName("")
"""Of a conclusion before `named`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One login between two requests; kept sealed, since a consenting one holds attributes.

    `browser` is the digest of the browser's cookie: only that browser goes on with it. `choice` is the handle of the
    flow's first step, which whoever answers the service takes away, so that a request is answered once. `system` and
    `memory` are set while the person is away at the ID system, `conclusion` while consent is asked, `refused` (a
    refusal's code) once the person reads why it ended, with the levels in `shortfall` if they were too low. `stepped`:
    the ID system was asked again, since its first answer was worth too little. Times are aware, UTC.
    """

    browser: str
    begun_at: datetime
    request: LoginRequest
    choice: str
    system: str | None = None
    memory: Json | None = field(default=None, repr=False)
    conclusion: "Conclusion | None" = None
    refused: str | None = None
    shortfall: tuple[int, int, int, int] | None = None
    stepped: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `flow_from_json` makes an equal flow."""
        return {
            "browser": self.browser,
            "begun_at": self.begun_at.timestamp(),
            "request": {each.name: getattr(self.request, each.name) for each in fields(LoginRequest)},
            "choice": self.choice,
            "system": self.system,
            "memory": None if self.memory is None else dict(self.memory),
            "conclusion": None if self.conclusion is None else self.conclusion.to_json(),
            "refused": self.refused,
            "shortfall": self.shortfall,
            "stepped": self.stepped,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What a verified login came to, before the person agreed to any of it leaving.

    `attributes` are under the service's names: exactly what would be released; `verified` are those that were, with
    framework and level. `decision` says what the sign-in is worth and why. `upstream` is what a logout needs. `key`
    names the key by which services know the person (see `named`). `found` is what the guard reports: counted once.
    `held` is the certificate that the person signed in with, if they did: it is watched while the session lives.
    `told` is by scope what the shared services behind it would learn, under their names.
    """

    person: PersonRef = field(repr=False)
    municipality: str
    system: str
    decision: Decision
    attributes: Mapping[str, tuple[str, ...]] = field(repr=False)
    authenticated_at: datetime
    upstream: UpstreamSession | None = None
    verified: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    key: KeyName = NOT_NAMED
    found: tuple[Found, ...] = ()
    held: Held | None = None
    told: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict, repr=False)

    @property
    def assurance(self) -> Assurance:
        """What the sign-in is worth."""
        return self.decision.assurance

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `conclusion_from_json` makes an equal conclusion."""
        return {
            "person": self.person,
            "municipality": self.municipality,
            "system": self.system,
            "decision": decision_to_json(self.decision),
            "verified": dict(self.verified),
            "attributes": {name: list(values) for name, values in self.attributes.items()},
            "authenticated_at": self.authenticated_at.timestamp(),
            "upstream": None if self.upstream is None else self.upstream.to_json(),
            "key": self.key,
            "held": None if self.held is None else self.held.to_json(),
            "told": {scope: {name: list(values) for name, values in told.items()} for scope, told in self.told.items()},
        }


def flow_from_json(data: Json) -> Flow:
    """The flow that `Flow.to_json` wrote."""
    request = dict(data["request"])
    request["minimum"] = Level(request["minimum"])
    request["scopes"] = tuple(request["scopes"])
    request["languages"] = tuple(request["languages"])
    request["claims"] = None if request["claims"] is None else tuple(request["claims"])
    return Flow(
        browser=data["browser"],
        begun_at=datetime.fromtimestamp(data["begun_at"], UTC),
        request=LoginRequest(**request),
        choice=data["choice"],
        system=data["system"],
        memory=data["memory"],
        conclusion=None if data["conclusion"] is None else conclusion_from_json(data["conclusion"]),
        refused=data["refused"],
        shortfall=None if data["shortfall"] is None else tuple(data["shortfall"]),
        stepped=data["stepped"],
    )


def conclusion_from_json(data: Json) -> Conclusion:
    """The conclusion that `Conclusion.to_json` wrote."""
    return Conclusion(
        person=PersonRef(data["person"]),
        municipality=data["municipality"],
        system=data["system"],
        decision=decision_from_json(data["decision"]),
        verified={name: (framework, level) for name, (framework, level) in data["verified"].items()},
        attributes={name: tuple(values) for name, values in data["attributes"].items()},
        authenticated_at=datetime.fromtimestamp(data["authenticated_at"], UTC),
        upstream=None if data.get("upstream") is None else upstream_from_json(data["upstream"]),
        key=KeyName(data["key"]),
        held=None if data.get("held") is None else held_from_json(data["held"]),
        told={
            scope: {name: tuple(values) for name, values in told.items()}
            for scope, told in data.get("told", {}).items()
        },
    )
