"""What must hold of a Response before anybody is believed to have signed in (SAML Profiles §4.1.4.2–4.1.4.5).

The signatures are verified before (`service_provider.py`). Here are the tables of everything else, in the
order in which they are asked; the first broken rule refuses the answer under its code.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from saml2 import saml, samlp

from federation.saml.messages import instant, text_of

LEEWAY = timedelta(minutes=3)
"""How far two clocks may differ: the one tolerance of every comparison of times in SAML messages (SAML2int G01)."""

_ENTITY_FORMAT = saml.NAMEID_FORMAT_ENTITY


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What was asked, of whom, and when. `authenticated_after`: an older authentication is not accepted.

    `request_id` None: nothing was asked, and the answer must not say that it was (SAML Profiles §4.1.5).
    """

    issuer: str
    audience: str
    recipient: str
    request_id: str | None
    now: datetime
    authenticated_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A Response, its assertion, and the texts of its attributes by Name.

    `enveloped` tells whether the Response itself was signed, `encrypted` whether the assertion came so.

    If it was not, the rules of the envelope can still refuse, but nothing else is ever read from it.
    """

    response: samlp.Response
    assertion: saml.Assertion | None
    attributes: Mapping[str, tuple[str, ...]] = field(repr=False)
    enveloped: bool
    encrypted: bool = False


def _past(text: str | None, expected: Expected) -> bool:
    """Tell whether it is an instant that is not in the future."""
    moment = instant(text)
    return moment is not None and moment <= expected.now + LEEWAY


def _future(text: str | None, expected: Expected) -> bool:
    """Tell whether it is an instant that has not come yet."""
    moment = instant(text)
    return moment is not None and moment > expected.now - LEEWAY


def _issued_by(issuer: saml.Issuer | None, expected: Expected) -> bool:
    return issuer is not None and issuer.text == expected.issuer and issuer.format in (None, _ENTITY_FORMAT)


@dataclass(frozen=True, slots=True)
class EnvelopeRule:
    """A rule of the Response element; `kept` answers whether it is kept."""

    code: str
    kept: Callable[[samlp.Response, bool, Expected], object]


ENVELOPE_RULES = (
    EnvelopeRule("version", lambda r, _, __: r.version == "2.0"),
    EnvelopeRule("destination", lambda r, signed, e: r.destination == e.recipient or not (signed or r.destination)),
    EnvelopeRule("in-response-to", lambda r, _, e: (r.in_response_to or None) == e.request_id),
    EnvelopeRule("issuer", lambda r, signed, e: _issued_by(r.issuer, e) or not (signed or r.issuer)),
    EnvelopeRule("issued-in-future", lambda r, _, e: _past(r.issue_instant, e)),
)
"""SAML Core §3.2.2, SAML Profiles §4.1.4.2: a signed Response says where it goes and who speaks."""


@dataclass(frozen=True, slots=True)
class AssertionRule:
    """A rule of the assertion; `kept` answers whether it is kept."""

    code: str
    kept: Callable[[saml.Assertion, Expected], object]


ASSERTION_RULES = (
    AssertionRule("version", lambda a, _: a.version == "2.0"),
    AssertionRule("assertion-issuer", lambda a, e: _issued_by(a.issuer, e)),
    AssertionRule("issued-in-future", lambda a, e: _past(a.issue_instant, e)),
    AssertionRule("subject-missing", lambda a, _: a.subject is not None),
    AssertionRule("subject-encrypted", lambda a, _: a.subject.encrypted_id is None),
    AssertionRule("conditions-missing", lambda a, _: a.conditions is not None),
    AssertionRule("condition-unknown", lambda a, _: not _unknown_conditions(a.conditions)),
    AssertionRule("not-yet-valid", lambda a, e: not a.conditions.not_before or _past(a.conditions.not_before, e)),
    AssertionRule("expired", lambda a, e: not _end(a.conditions) or _future(_end(a.conditions), e)),
    AssertionRule("audience", lambda a, e: _for_audience(a.conditions.audience_restriction, e.audience)),
    AssertionRule("authentication-missing", lambda a, _: len(a.authn_statement or ()) == 1),
    AssertionRule("authentication-in-future", lambda a, e: _past(a.authn_statement[0].authn_instant, e)),
    AssertionRule("authentication-too-old", lambda a, e: _fresh(a.authn_statement[0].authn_instant, e)),
    AssertionRule("session-over", lambda a, e: not _session_end(a) or _future(_session_end(a), e)),
)


def _end(conditions: saml.Conditions) -> str | None:
    return conditions.not_on_or_after or None


def _session_end(assertion: saml.Assertion) -> str | None:
    return assertion.authn_statement[0].session_not_on_or_after or None


def _unknown_conditions(conditions: saml.Conditions) -> bool:
    """Tell of conditions not understood: they make the validity unknown (SAML Core §2.5.1.1)."""
    return bool(conditions.condition or conditions.extension_elements)


def _for_audience(restrictions: Iterable[saml.AudienceRestriction] | None, audience: str) -> bool:
    """Several restrictions must all hold, of the audiences of one any (SAML Core §2.5.1.4)."""
    named = [{text_of(a) for a in restriction.audience or ()} for restriction in restrictions or ()]
    return bool(named) and all(audience in names for names in named)


def _fresh(authn_instant: str | None, expected: Expected) -> bool:
    moment = instant(authn_instant)
    return moment is not None and moment >= expected.authenticated_after - LEEWAY


@dataclass(frozen=True, slots=True)
class ConfirmationRule:
    """A rule of bearer SubjectConfirmations (SAML Profiles §4.1.4.3); one must keep them all."""

    code: str
    kept: Callable[[saml.SubjectConfirmationData, Expected], object]


CONFIRMATION_RULES = (
    ConfirmationRule("recipient", lambda d, e: d.recipient == e.recipient),
    ConfirmationRule("confirmation-in-response-to", lambda d, e: (d.in_response_to or None) == e.request_id),
    ConfirmationRule("confirmation-expired", lambda d, e: _future(d.not_on_or_after, e)),
    ConfirmationRule("confirmation-not-before", lambda d, _: d.not_before is None),
)


def check_envelope(received: Received, expected: Expected) -> str | None:
    """Find the first broken rule of the envelope; its code, or None."""
    for rule in ENVELOPE_RULES:
        if not rule.kept(received.response, received.enveloped, expected):
            return rule.code
    return None


def check_assertion(assertion: saml.Assertion, expected: Expected) -> str | None:
    """Find the first broken rule of the assertion and of its bearer confirmation; its code, or None."""
    for rule in ASSERTION_RULES:
        if not rule.kept(assertion, expected):
            return rule.code
    bearers = [
        confirmation.subject_confirmation_data
        for confirmation in assertion.subject.subject_confirmation or ()
        if confirmation.method == saml.SCM_BEARER and confirmation.subject_confirmation_data is not None
    ]
    broken = [_broken_confirmation(data, expected) for data in bearers]
    if not broken:
        return "no-bearer-confirmation"
    return None if None in broken else broken[0]


def _broken_confirmation(data: saml.SubjectConfirmationData, expected: Expected) -> str | None:
    for rule in CONFIRMATION_RULES:
        if not rule.kept(data, expected):
            return rule.code
    return None
