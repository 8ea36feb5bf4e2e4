"""What residents agreed to, shown to them, and taken back: /consents.

Who signs in there does so as at any service (`federation/own.py`); after it this one browser may see that person's
consents for ten minutes. Taking one back needs no script and one more question. What it ends, ends everywhere: the next
login asks again, tokens are refused by every process within a second (`revocations.py`), the service hears that the
sessions are over (`ending.py`).
"""

from collections.abc import Mapping

import structlog
from aiohttp import web

from federation import consent, own
from federation.consent import ConsentRecord
from federation.identifiers import PersonRef
from federation.login import OWN_LABELS
from federation.model import OWN, Service, Texts
from federation.refusal import OtherBrowser
from gateway import login, showing
from gateway.context import GATEWAY, REQUEST_ID, Gateway, as_data, browser, browser_cookie
from gateway.pages import CSRF_FIELD, Agreement, AgreementsPage, ServiceLink, WithdrawalPage
from gateway.region import Region
from observability.events import ConsentChange, ConsentEvent

log = structlog.get_logger("gateway.consents")

NO_LONGER_ASKED: Texts = {"ja": "いまは使われていない項目", "en": "An item that is no longer in use"}
"""What was agreed to under a name that the configuration does not know any more."""

LEAVE = f"{own.PAGE}/leave"


async def sign_in(request: web.Request) -> web.StreamResponse:
    """GET /consents/sign-in: off to the person's ID system."""
    return await login.begin(request, OWN)


async def page(request: web.Request) -> web.StreamResponse:
    """GET /consents: what it is, or what the person who signed in here agreed to."""
    gateway = request.app[GATEWAY]
    region, now = gateway.region, gateway.clock()
    person = await _person(request, gateway, region)
    if person is None:
        return showing.show(request, AgreementsPage(sign_in=own.SIGN_IN))
    records = await gateway.store.consents(person, region.services)
    shown = [each for each in records if consent.in_force(each, region.services.get(each.service), now)]
    shown.sort(key=lambda each: each.granted_at, reverse=True)
    agreements = tuple(_agreement(region, each) for each in shown)
    leave = _token(request, region, LEAVE)
    return showing.show(request, AgreementsPage(sign_in=own.SIGN_IN, agreements=agreements, leave=LEAVE, csrf=leave))


async def question(request: web.Request) -> web.StreamResponse:
    """GET /consents/{id}: take it back? Or, once it is: what that means."""
    gateway = request.app[GATEWAY]
    region = gateway.region
    record = await _own_record(request, gateway, region)
    if record is None:
        return login.see_other(own.PAGE)
    return showing.show(
        request,
        WithdrawalPage(
            agreement=_agreement(region, record),
            withdrawn=record.withdrawn_at is not None,
            action=request.path,
            back=own.PAGE,
            csrf=_token(request, region, request.path),
        ),
    )


async def withdraw(request: web.Request) -> web.StreamResponse:
    """POST /consents/{id}: the person takes it back. Again, if what follows from it did not come about."""
    gateway = request.app[GATEWAY]
    region = gateway.region
    await _check_form(request, region)
    record = await _own_record(request, gateway, region)
    if record is None:
        return login.see_other(own.PAGE)
    withdrawn = consent.withdraw(record, gateway.clock())
    if withdrawn != record:
        await gateway.store.save_consent(withdrawn)
        gateway.recorder.record(
            ConsentEvent.of(withdrawn, ConsentChange.WITHDRAWN, at=gateway.clock(), request_id=request[REQUEST_ID])
        )
    service = region.services.get(record.service)
    client = service.entity_id if service is not None and service.kind == "oidc" else None
    ended = await gateway.ending.end_consent(record.person, record.service, client)
    log.info("consent-withdrawn", relying_service=record.service, detail=f"consent {record.id}", count=ended)
    return login.see_other(request.path)


async def leave(request: web.Request) -> web.StreamResponse:
    """POST /consents/leave: this browser shows nobody's consents any more."""
    gateway = request.app[GATEWAY]
    await _check_form(request, gateway.region)
    known = browser(request, gateway.region)
    if known is not None:
        await gateway.store.forget(own.SEEN, known)
    return login.see_other(own.PAGE)


async def _person(request: web.Request, gateway: Gateway, region: Region) -> PersonRef | None:
    """Whose consents this browser may see."""
    known = browser(request, region)
    kept = None if known is None else await gateway.store.read(own.SEEN, known)
    return None if kept is None else own.person_of(kept)


async def _own_record(request: web.Request, gateway: Gateway, region: Region) -> ConsentRecord | None:
    """The consent that the address names, if it is that person's, and in force or withdrawn."""
    person = await _person(request, gateway, region)
    if person is None:
        return None
    records = await gateway.store.consents(person, region.services)
    found = next((each for each in records if each.id == request.match_info["id"]), None)
    if found is None or found.withdrawn_at is not None:
        return found
    return found if consent.in_force(found, region.services.get(found.service), gateway.clock()) else None


def _token(request: web.Request, region: Region, path: str) -> str:
    return showing.csrf_token(request.cookies.get(browser_cookie(region), ""), path)


async def _check_form(request: web.Request, region: Region) -> None:
    """Raises `OtherBrowser` if the form that was posted was not shown to this browser."""
    fields = dict((await as_data(request)).form)
    if not showing.same_token(_token(request, region, request.path), fields.get(CSRF_FIELD, "")):
        raise OtherBrowser("the form was not shown to this browser")


def _agreement(region: Region, record: ConsentRecord) -> Agreement:
    """A consent in the words that the person was asked with; of a service that left the region only its id is known."""
    service = region.services.get(record.service)
    same = service is not None and consent.purpose_digest(service) == record.purpose_digest
    labels = {} if service is None else {**service.outward.labels(), **OWN_LABELS}
    return Agreement(
        address=f"{own.PAGE}/{record.id}",
        service=ServiceLink(name={"en": record.service}) if service is None else ServiceLink.of(service),
        municipality=None if service is None else _municipality(region, service),
        purpose=service.purpose if service is not None and same else None,
        left=service is None,
        attributes=_labels(record.attributes, labels),
        scopes=_labels(frozenset(scope for scope in record.scopes if " " not in scope), region.scope_labels),
        told=() if service is None else _told(record, service),
        since=record.granted_at,
        until=consent.ends(record, service),
    )


def _told(record: ConsentRecord, service: Service) -> tuple[Texts, ...]:
    """What shared services may be told, each label once."""
    agreed = consent.told_by(record)
    found = {
        rule.to: rule.shown_as()
        for scope, behind in service.told.items()
        for rule in behind.rules
        if (scope, rule.to) in agreed
    }
    return tuple(found.values())


def _labels(names: frozenset[str], labels: Mapping[str, Texts]) -> tuple[Texts, ...]:
    """What the names are called, in the order of the consent page; those that nobody knows any more come last, once."""
    known = [label for name, label in labels.items() if name in names]
    return (*known, *([] if names <= labels.keys() else [NO_LONGER_ASKED]))


def _municipality(region: Region, service: Service) -> Texts | None:
    """The name of the service's municipality, as far as an ID system of it says it."""
    systems = region.systems.values()
    return next((each.name for each in systems if each.municipality == service.municipality), None)


ROUTES = (
    web.get(own.PAGE, page),
    web.get(own.SIGN_IN, sign_in),
    web.post(LEAVE, leave),
    web.get(own.PAGE + "/{id}", question),
    web.post(own.PAGE + "/{id}", withdraw),
)
