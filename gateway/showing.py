"""From a page to a response: which language, which status, which headers."""

import secrets
from collections.abc import Iterable
from datetime import datetime

from aiohttp import web

from federation.flow import Conclusion
from federation.login import OWN_LABELS
from federation.model import IdSystem, Service
from federation.refusal import Refusal
from federation.web import PostForm
from gateway import pages
from gateway.context import GATEWAY, REQUEST_ID, digest, set_cookie
from gateway.messages import LANGUAGE_COOKIE, LANGUAGE_PARAMETER
from gateway.region import Region

LANGUAGE_DAYS = 365


def language_of(request: web.Request, requested: Iterable[str] = ()) -> str:
    """The language for this browser; `requested` is what the relying service asked for (`ui_locales`)."""
    return request.app[GATEWAY].messages.negotiate(
        explicit=request.query.get(LANGUAGE_PARAMETER),
        cookie=request.cookies.get(LANGUAGE_COOKIE),
        requested=requested,
        accept_language=request.headers.get("Accept-Language"),
    )


def show(
    request: web.Request,
    page: pages.Page,
    *,
    status: int = 200,
    requested: Iterable[str] = (),
    switch: bool = True,
) -> web.Response:
    """The page in the person's language; a language chosen by the switch is remembered."""
    region = request.app[GATEWAY].region
    language = language_of(request, requested)
    here = request.path_qs if switch and request.method == "GET" else None
    response = web.Response(
        text=pages.render(region.templates, page, language=language, here=here),
        status=status,
        content_type="text/html",
        headers=pages.headers(page),
    )
    if request.query.get(LANGUAGE_PARAMETER) == language:
        set_cookie(response, region, LANGUAGE_COOKIE, language, days=LANGUAGE_DAYS)
    return response


def csrf_token(cookie: str, handle: str) -> str:
    """Proves that a form was shown to the browser that holds `cookie`; another site can neither read nor guess it."""
    return digest(f"form {cookie} {handle}")


def same_token(expected: str, given: str) -> bool:
    """Compare two tokens in constant time."""
    return secrets.compare_digest(expected.encode(), given.encode())


def index(request: web.Request, region: Region) -> web.Response:
    """What this gateway is, and who belongs to it."""
    return show(
        request,
        pages.IndexPage(
            systems=tuple(pages.ChoiceOption.of(system) for system in _by_reading(region.systems.values())),
            services=tuple(pages.ServiceLink.of(service) for service in region.services.values()),
        ),
    )


def choice(
    request: web.Request,
    *,
    service: Service,
    systems: Iterable[IdSystem],
    unusable: Iterable[IdSystem],
    last: str | None,
    csrf: str,
    requested: Iterable[str],
) -> web.Response:
    """The page that asks which municipality's ID the person uses."""
    page = pages.ChoicePage(
        service=pages.ServiceLink.of(service),
        options=tuple(pages.ChoiceOption.of(system, last=system.id == last) for system in _by_reading(systems)),
        unusable=tuple(system.name for system in _by_reading(unusable)),
        action=request.path,
        csrf=csrf,
    )
    return show(request, page, requested=requested)


def consent(
    request: web.Request,
    *,
    region: Region,
    service: Service,
    system: IdSystem,
    conclusion: Conclusion,
    scopes: Iterable[str],
    until: datetime,
    csrf: str,
    requested: Iterable[str],
) -> web.Response:
    """The page that asks whether this may leave."""
    labels, truths = {**service.outward.labels(), **OWN_LABELS}, service.outward.truths()
    page = pages.ConsentPage(
        service=pages.ServiceLink.of(service),
        purpose=service.purpose,
        items=tuple(
            pages.ConsentItem(label=labels[name], values=values, truth=name in truths)
            for name, values in conclusion.attributes.items()
        ),
        scopes=tuple(_scope(region, service, scope, conclusion) for scope in scopes),
        municipality=system.name,
        until=until,
        action=request.path,
        csrf=csrf,
    )
    return show(request, page, requested=requested)


def _scope(region: Region, service: Service, scope: str, conclusion: Conclusion) -> pages.ConsentScope:
    """What the service may do, with what shared services then learn of this person."""
    told, behind = conclusion.told.get(scope, {}), service.told.get(scope)
    if behind is None:
        return pages.ConsentScope(label=region.scope_labels[scope])
    labels, truths = behind.labels(), behind.truths()
    return pages.ConsentScope(
        label=region.scope_labels[scope],
        told=tuple(
            pages.ConsentItem(label=labels[name], values=values, truth=name in truths)
            for name, values in told.items()
            if name in labels
        ),
    )


def refused(
    request: web.Request,
    why: Refusal,
    *,
    service: Service | None = None,
    back: str | None = None,
    another: str | None = None,
    requested: Iterable[str] = (),
) -> web.Response:
    """What happened and what to do. `back` is where the service gets its denial, else the service's own address.

    `another` is where the person can choose another way to sign in.
    """
    region = request.app[GATEWAY].region
    link = None
    if service is not None:
        link = pages.ServiceLink(name=service.name, address=region.public_url + back if back else service.address)
    page = pages.ErrorPage.of(why, reference=request[REQUEST_ID], service=link, another=another)
    return show(request, page, status=why.status, requested=requested, switch=False)


def post_form(request: web.Request, form: PostForm) -> web.Response:
    """Let the browser carry a form to where it belongs."""
    return show(request, pages.PostFormPage.of(form), switch=False)


def _by_reading(systems: Iterable[IdSystem]) -> list[IdSystem]:
    """In the order of the Japanese syllabary, in which people look for a name."""
    return sorted(systems, key=lambda system: system.reading)
