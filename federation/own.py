"""The gateway as its own service: a person signs in to see what they agreed to, and to take it back.

It goes the way of every login but for its end: nothing is released and nothing is asked, since nothing leaves. The
service is built in; its id is none that a configuration can spell.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from federation.attributes import OutwardMap
from federation.identifiers import PersonRef
from federation.model import OWN, Kept, Level, LoginRequest, Release, Service
from federation.ports import Granted
from federation.refusal import BadRequest, Refusal
from federation.web import Json, Redirect, WebRequest
from trust_lists.recognition import NO_RELIANCE

PAGE = "/consents"
SIGN_IN = f"{PAGE}/sign-in"

SEEN = "own-session"
"""The kind under which it is kept, by the digest of a browser's cookie, whose consents that browser may see."""

SEEN_LIFETIME = timedelta(minutes=10)

SERVICE = Service(
    id="kakehashi:consents",
    kind=OWN,
    entity_id="urn:kakehashi:consents",
    municipality=None,
    use=NO_RELIANCE,
    name={"ja": "同意の確認と取り消し", "en": "Your consents"},
    purpose={
        "ja": "どのサービスに何を送ることに同意したかを、ご本人に見せるため",
        "en": "To show you what you agreed to send to which service",
    },
    outward=OutwardMap(),
    minimum=Level.NONE,
    consent_lifetime=timedelta(0),
    address=PAGE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFrontend:
    """The door of the gateway's own page, as that of any service."""

    brief: ClassVar[bool] = True

    def accept(self, request: WebRequest, now: datetime) -> LoginRequest:  # noqa: ARG002 - the door of every service
        """A sign-in that nobody asked for but the person. It is always a new one: others may use this browser.

        Raises `BadRequest` for parameters: there are none but the language of pages.
        """
        if any(name != "lang" for name, _ in request.parameters()):
            raise BadRequest("parameters of a sign-in that has none")
        return LoginRequest(service=SERVICE.id, kind=OWN, reply={}, force_authentication=True)

    def grant(self, login: LoginRequest, release: Release, now: datetime) -> Granted:  # noqa: ARG002
        """Back to the page; nothing that was released goes along."""
        return Granted(answer=Redirect(location=PAGE))

    def deny(self, login: LoginRequest, refusal: Refusal, now: datetime) -> Redirect:  # noqa: ARG002
        """Back to the page, which then shows nobody's."""
        return Redirect(location=PAGE)


def seen(browser: str, person: PersonRef) -> Kept:
    """What lets a browser (its cookie's digest) see a person's consents for a while."""
    return Kept(kind=SEEN, key=browser, value={"person": person}, lifetime=SEEN_LIFETIME)


def person_of(kept: Json) -> PersonRef:
    """Whose consents `seen` let the browser see."""
    return PersonRef(kept["person"])
