"""The survey of the council: "how many places are free in your shelters?", asked of every member at once.

Maebashi's policy system asks by the gateway's council requests, in its own name (client credentials). The page shows
the sum, and only once `SMALLEST_GROUP` members have answered; single answers are added up and forgotten.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.clock import Clock, now
from gateway.demo.council_members import CouncilMembers, Member
from gateway.demo.openid_client import ASSERTION_SECONDS, CLIENT_ASSERTION_TYPE
from gateway.demo.peer import HTTP, PeerError, ask, http_client, json_object
from gateway.demo.site import Face, PageError, Site, see_other

SMALLEST_GROUP: Final = 3
"""Members that must have answered before a number is shown: a sum of two tells each of them the other's."""

MOST_SURVEYS: Final = 20
REFRESH_SECONDS: Final = "2"
CREATED, OK, UNAUTHORIZED = 201, 200, 401
QUESTION: Final[Mapping[str, Any]] = {
    "to": "all",
    "question": {"method": "GET", "path": "/free-places"},
    "purpose": "災害時の避難所の空きを協議会全体で知るため",
    "deadline_seconds": 30,
    "per_target_seconds": 5,
    "signatures": "required",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What is known of a survey: who has not answered is counted, nobody is named. `free` None: too few answers."""

    open: bool
    asked: int
    answered: int
    missing: int
    free: int | None


class Survey:
    """The page, and beside it the members' systems."""

    def __init__(
        self, face: Face, *, gateway: str, asker: Member, answering: CouncilMembers, clock: Clock = now
    ) -> None:
        self._site = Site(face)
        self._gateway = gateway
        self._asker = asker
        self._key = ECKey.import_key(asker.key)
        self._answering = answering
        self._clock = clock
        self._surveys: dict[str, Result | None] = {}
        self._token = ""

    def application(self) -> web.Application:
        """The pages and the members' answers as an application."""
        app = self._site.application(
            [
                web.get("/", self._home),
                web.post("/surveys", self._begin),
                web.get("/surveys/{id}", self._show),
                *self._answering.routes(),
            ]
        )
        app.cleanup_ctx.append(http_client)
        return app

    async def _home(self, request: web.Request) -> web.Response:
        return self._page(request, None, "")

    async def _begin(self, request: web.Request) -> web.Response:
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise web.HTTPForbidden
        begun = await self._call(request.app[HTTP], "POST", "/council/requests", json=QUESTION)
        if len(self._surveys) >= MOST_SURVEYS:
            del self._surveys[next(iter(self._surveys))]
        self._surveys[begun["id"]] = None
        return see_other(f"/surveys/{begun['id']}")

    async def _show(self, request: web.Request) -> web.Response:
        survey = request.match_info["id"]
        if survey not in self._surveys:
            raise web.HTTPNotFound
        result = self._surveys[survey]
        if result is None:
            result = _result(await self._call(request.app[HTTP], "GET", f"/council/requests/{survey}"))
            if not result.open:
                self._surveys[survey] = result
        response = self._page(request, result, survey)
        if result.open:
            response.headers["Refresh"] = REFRESH_SECONDS
        return response

    def _page(self, request: web.Request, result: Result | None, survey: str) -> web.Response:
        return self._site.page(request, "survey.html", result=result, survey=survey, smallest=SMALLEST_GROUP)

    # --- the gateway

    async def _call(self, http: aiohttp.ClientSession, method: str, path: str, **options: Any) -> dict[str, Any]:
        """One call in the asking member's name; a token that is over is replaced. Raises `PageError`."""
        url = self._gateway + path
        try:
            for fresh in (False, True):
                if fresh or not self._token:
                    self._token = await self._new_token(http)
                headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
                status, body, _ = await ask(http, method, url, headers=headers, **options)
                if status != UNAUTHORIZED:
                    break
            return _good(status, body, url)
        except PeerError as fault:
            raise PageError(
                {"ja": "今は調査ができません", "en": "The survey is not possible now"},
                {
                    "ja": "ゲートウェイが受け付けませんでした。しばらく待って、もう一度ためしてください。",
                    "en": "The gateway did not accept it. Please try again soon.",
                },
                status=502,
                code="gateway-refused",
            ) from fault

    async def _new_token(self, http: aiohttp.ClientSession) -> str:
        """A token of the asking member's system (RFC 6749 §4.4, RFC 7523). Raises `PeerError`."""
        issued, client = int(self._clock().timestamp()), self._asker.entity_id
        claims = {
            "iss": client,
            "sub": client,
            "aud": self._gateway,
            "jti": secrets.token_urlsafe(16),
            "iat": issued,
            "exp": issued + ASSERTION_SECONDS,
        }
        form = {
            "grant_type": "client_credentials",
            "scope": "council.ask",
            "client_assertion_type": CLIENT_ASSERTION_TYPE,
            "client_assertion": jwt.encode({"alg": "ES256", "kid": self._key.thumbprint()}, claims, self._key),
        }
        url = f"{self._gateway}/oidc/token"
        status, body, _ = await ask(http, "POST", url, data=form)
        answer = json_object(body, url)
        if status != OK or not isinstance(answer.get("access_token"), str):
            raise PeerError(f"{url}: {status} {answer.get('error', '')}")
        return str(answer["access_token"])


def _good(status: int, body: bytes, url: str) -> dict[str, Any]:
    """What was answered. Raises `PeerError` for a refusal."""
    if status not in (OK, CREATED):
        raise PeerError(f"{url}: status {status}")
    return json_object(body, url)


def _result(told: Mapping[str, Any]) -> Result:
    """The sum of those answers that are numbers, if there are enough of them."""
    found = [each.get("json") for each in told["members"] if each["outcome"] == "answered"]
    numbers = [each["free"] for each in found if isinstance(each, dict) and type(each.get("free")) is int]
    open_now = int(told["open"])
    return Result(
        open=told["state"] == "open",
        asked=int(told["targets"]),
        answered=len(numbers),
        missing=int(told["targets"]) - len(numbers) - open_now,
        free=sum(numbers) if len(numbers) >= SMALLEST_GROUP and not open_now else None,
    )
