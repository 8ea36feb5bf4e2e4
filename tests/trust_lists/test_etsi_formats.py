"""The two ETSI formats say the same: the same members, published in XML and in JSON, are the same entities."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_lists.builders import NOW, UNTIL, authority, private_jwks, provider, relying_party
from tests.trust_lists.test_etsi_json import hosts, members
from trust_lists import etsi_json, etsi_xml
from trust_lists.rules import UnpublishableError

FORMATS = [etsi_json, etsi_xml]


def published(form, *stated):
    """Publish with the region's key."""
    by = authority()
    return form.publish(
        stated,
        name="region-openid",
        key_pem=by.key_pem,
        certificate_pem=by.certificate_pem,
        issued_at=NOW,
        valid_until=UNTIL,
        sequence=7,
    )


def read(form, document):
    """Read with the region's anchor."""
    return form.read(document, name="region-openid", anchors=[authority().der], now=NOW)


def for_both(member):
    """A member that both formats can state: since when its status holds, and one key at most."""
    member = {"since": "2026-01-01", **member}
    if "certificates" in member:
        member["certificates"] = member["certificates"][:1]
    return member


@settings(max_examples=25)
@given(st.lists(hosts, max_size=4, unique=True).flatmap(lambda found: st.tuples(*(members(host) for host in found))))
def test_both_formats_say_the_same(stated):
    """Entity by entity, field by field; so that two lists of one authority never dispute each other by their form."""
    stated = [for_both(member) for member in stated]
    in_json, in_xml = (read(form, published(form, *stated)) for form in FORMATS)
    assert in_json.faults == in_xml.faults == ()
    assert in_json.entities == in_xml.entities
    assert (in_json.sequence, in_json.issued_at, in_json.valid_until) == (7, NOW, UNTIL)
    assert (in_xml.sequence, in_xml.issued_at, in_xml.valid_until) == (7, NOW, UNTIL)


@pytest.mark.parametrize("form", FORMATS, ids=["json", "xml"])
@pytest.mark.parametrize(
    "member",
    [
        {**relying_party(jwks=private_jwks()), "since": "2026-01-01"},
        {**provider(), "since": "2026-01-01", "role": "saml-identity-provider"},
        {**provider(), "since": "2026-01-01", "uses": ["Civic"]},
        {**provider(), "since": "2026-01-01", "municipality": "102017"},
    ],
)
def test_neither_format_takes_what_no_reader_would(form, member):
    """A private key, a SAML member, a misspelt use, a code that is none: refused at signing, at the member's place."""
    good = {**provider("https://good.example"), "since": "2026-01-01"}
    with pytest.raises(UnpublishableError) as refused:
        published(form, good, member)
    assert refused.value.position == 1
