"""What pysaml2 makes of a Response that keeps all of our rules: both readers must agree.

pysaml2 gets verified bytes only, as its own message classes. Its signature engine is replaced by one that
verifies nothing and starts nothing; the clock that it would read is replaced by the time of the login. What
remains is what it is good at: the types and cardinalities of the schema, status, destination, audience, the
confirmation of the subject.
"""

from typing import Any

from saml2 import saml, validate
from saml2.response import AuthnResponse
from saml2.sigver import CryptoBackend
from saml2.validate import NotValid, valid_instance

from federation.saml.checks import CONFIRMATION_RULES, Expected, Received
from federation.saml.messages import instant


def _valid_instant(text: str) -> bool:
    """Stand in for pysaml2's own check of instants, which is laxer and takes ten times as long."""
    if instant(text) is None:
        raise NotValid("dateTime")
    return True


validate.VALIDATOR["dateTime"] = _valid_instant


class NothingLeftToVerify(CryptoBackend):  # type: ignore[misc]  # pysaml2 has no types
    """In the place of the program `xmlsec1`: whatever would still ask for cryptography here is refused.

    Signatures were verified, and assertions opened, in process (`trust_lists/xmldsig.py`, `xmlenc.py`).
    """

    def _refuse(self, *_: object, **__: object) -> Any:
        raise NotValid("everything is verified before")

    encrypt = encrypt_assertion = decrypt = sign_statement = validate_signature = _refuse


class _Security:
    """What pysaml2 expects of a security context."""

    def __init__(self) -> None:
        self.crypto = NothingLeftToVerify()
        self.correctly_signed_response = self.check_signature = self.crypto.validate_signature


class _Opinion(AuthnResponse):  # type: ignore[misc]
    """pysaml2's reading of a sign-in, at a time that is given."""

    def __init__(self, received: Received, expected: Expected) -> None:
        asked = {} if expected.request_id is None else {expected.request_id: expected.issuer}
        super().__init__(
            _Security(),
            attribute_converters=[],
            entity_id=expected.audience,
            return_addrs=[expected.recipient],
            outstanding_queries=asked,
            allow_unsolicited=expected.request_id is None,
            conv_info={"entity_id": expected.recipient},
        )
        self.expected = expected
        self.request_id = expected.request_id
        self.came_from = asked.get(expected.request_id or "")
        self.response = received.response
        self.in_response_to = received.response.in_response_to

    def issue_instant_ok(self) -> bool:
        """Leave instants to our own rules, which have been kept."""
        return True

    def authn_statement_ok(self, optional: bool = False) -> bool:  # noqa: FBT001, FBT002 - pysaml2's signature
        """Hold that there is one statement; its instants are left to our own rules."""
        return optional or len(self.assertion.authn_statement) == 1

    def condition_ok(self, lax: bool = False) -> bool:  # noqa: FBT001, FBT002
        """Let pysaml2 judge the conditions without their instants."""
        whole = self.assertion.conditions
        timeless = saml.Conditions(
            audience_restriction=whole.audience_restriction,
            condition=whole.condition,
            one_time_use=whole.one_time_use,
            proxy_restriction=whole.proxy_restriction,
        )
        try:
            self.assertion.conditions = timeless
            return bool(super().condition_ok(lax))
        finally:
            self.assertion.conditions = whole

    def _bearer_confirmed(self, data: saml.SubjectConfirmationData | None) -> bool:
        return data is not None and all(rule.kept(data, self.expected) for rule in CONFIRMATION_RULES)


def agrees(received: Received, expected: Expected) -> bool:
    """Tell whether pysaml2 would accept this sign-in too. `received` keeps our own rules already."""
    assert received.assertion is not None
    try:
        valid_instance(received.response)
        valid_instance(received.assertion)
        opinion = _Opinion(received, expected)
        return bool(opinion._verify() and opinion._assertion(received.assertion, True))  # noqa: SLF001
    except Exception:  # noqa: BLE001 - pysaml2 raises it bare, and dozens of others; none is a reason to believe
        return False
