"""One sign-in for tests: an authority, a person's certificate, the two requests, and what an answer is held against."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from federation.certificate import answer
from federation.certificate.model import (
    Accepted,
    Asked,
    Asking,
    CertificateRefusedError,
    Proved,
    RevocationPolicy,
    Standing,
    Status,
    StatusQuestion,
    Wanted,
)
from federation.certificate.request import new_requests
from federation.oidc.jose import SigningKey
from tests.federation.certificate.authorities import AT, OTHER_POLICY, POLICY, Authority, Issued, other_name
from tests.federation.certificate.phone import Form
from tests.federation.oidc.peers import service

GATEWAY = "https://gateway.example"
NUMBER = "R-2026-0042"
NAME = f"CN=山田 花子,2.5.4.5={NUMBER},C=JP"
JPKI = "1.2.392.200149.8.5.5"
FIELDS = (other_name(f"{JPKI}.1", "山田　花子"), other_name(f"{JPKI}.4", "319850315"))

ROOT = Authority.root("Root")
ISSUING = ROOT.subordinate("Issuing", path_length=0)
PERSON = ISSUING.issue(NAME, san=FIELDS)
RSA_PERSON = ISSUING.issue(NAME, key="rsa", san=FIELDS)
SIGNER = ISSUING.issue("Attributes", policies=(OTHER_POLICY,), key_usage=("digital_signature",))
"""Who signs attribute certificates: under a policy of its own."""

KEY = SigningKey.generate()
SERVICE = service("https://service.example", name={"ja": "電子申請", "en": "Applications"}, use="civic")
GOOD = Status(standing=Standing.GOOD, source="ocsp", this_update=AT, next_update=AT + timedelta(hours=1))


def requests(**changes: Any) -> tuple[Asked, Asked]:
    """The two requests of a sign-in, begun at `AT`."""
    values = {
        "system": "maebashi",
        "handle": "handle",
        "public_url": GATEWAY,
        "service": SERVICE,
        "attributes": ({"name": "fullName", "label": {"ja": "氏名", "en": "Name"}, "disclosures": []},),
        "key": KEY,
        "now": AT,
        "lifetime": timedelta(minutes=5),
    }
    return new_requests(**values | changes)


ASKED, SAME_DEVICE = requests()

ACCEPTED = Accepted(
    anchors=(ROOT.certificate,),
    permitted=None,
    wanted=Wanted(policies=frozenset({POLICY})),
    revocation=RevocationPolicy(),
    subject="subject.serialNumber",
    attribute_policies=frozenset({OTHER_POLICY}),
)
SOFT = replace(ACCEPTED, revocation=RevocationPolicy(hard=False, cap=1, stale=timedelta(hours=2)))

Knows = Callable[[StatusQuestion], Status]


def all_good(_: StatusQuestion) -> Status:
    """Nothing was ever revoked."""
    return GOOD


def only(issued: Issued, **changes: Any) -> Knows:
    """Everything is good, but what is known of one certificate is different."""
    changes.setdefault("standing", None)
    return lambda question: replace(GOOD, **changes) if question.certificate == issued.certificate else GOOD


def drive(asking: Asking[Any], knows: Knows = all_good) -> Any:
    """Run a check to its end, answering its questions."""
    try:
        question = next(asking)
        while True:
            question = asking.send(knows(question))
    except StopIteration as end:
        return end.value


def proved(
    form: Sequence[tuple[str, str]],
    *,
    asked: Asked = ASKED,
    accepted: Accepted = ACCEPTED,
    at: Any = AT,
    knows: Knows = all_good,
) -> Proved:
    """What an answer proves. Raises `CertificateRefusedError`."""
    found = drive(answer.verify_answer(answer.read(form), asked, accepted, at), knows)
    assert isinstance(found, Proved)
    return found


def refused(form: Form, **held_against: Any) -> CertificateRefusedError:
    """Why an answer is refused; fails if it is not."""
    try:
        proved(form, **held_against)
    except CertificateRefusedError as why:
        return why
    raise AssertionError("the answer was believed")
