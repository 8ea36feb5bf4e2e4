"""What an authority writes of a member by hand, beside the OpenID metadata: each rule, and what it says."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest

from tests.trust_lists.builders import UNTIL, authority, provider, public_jwks
from trust_lists.entries import MAXIMUM_HISTORY, Entry, check_history, read_entry, supply_point
from trust_lists.model import Role, Status, StatusChange, TrustedEntity
from trust_lists.rules import EntryError

GRANTED = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/granted"


def read(entry):
    """Read one entry."""
    return read_entry(entry, listed_in="list", valid_until=UNTIL)


def ca(**changed):
    """A certificate authority's entry."""
    stated = {
        "entity_id": "https://ca.example",
        "role": "certificate-authority",
        "certificates": [authority("ca").base64],
        **changed,
    }
    return {name: value for name, value in stated.items() if value is not None}


def of(role, **changed):
    """An entry without keys."""
    return {"entity_id": "urn:x:y", "role": role, **changed}


def test_everything_that_may_be_stated():
    """Every name that an entry knows, in its place."""
    assert read(
        of(
            "regional-service",
            municipality="102016",
            name={"ja": "乗合", "en": "Rides"},
            certificates=[authority("ca").base64, authority("other").base64],
            addresses=["https://rides.example/api", "https://rides.example/api2"],
            uses=["mobility", "civic"],
            maximum_identity=0,
            status="recognised",
            since="2026-04-01",
            history=[{"status": "granted", "since": "2026-03-31T14:59:59.5Z"}],
            postal_address={"ja": "大手町"},
            contact="mailto:a.b+c@city.example.jp",
            information="https://city.example.jp/rides",
        )
    ) == Entry(
        entity=TrustedEntity(
            entity_id="urn:x:y",
            roles=frozenset({Role.REGIONAL_SERVICE}),
            listed_in="list",
            valid_until=UNTIL,
            municipality="102016",
            names={"ja": "乗合", "en": "Rides"},
            signing_certificates=(authority("ca").der, authority("other").der),
            endpoints=(
                supply_point(Role.REGIONAL_SERVICE, "https://rides.example/api"),
                supply_point(Role.REGIONAL_SERVICE, "https://rides.example/api2"),
            ),
            uses=frozenset({"civic", "mobility"}),
            maximum_identity=0,
            status=Status.RECOGNISED,
            status_since=datetime(2026, 3, 31, 15, tzinfo=UTC),
            history=(StatusChange(Status.GRANTED, datetime(2026, 3, 31, 14, 59, 59, tzinfo=UTC), GRANTED),),
        ),
        postal_address={"ja": "大手町"},
        contact="mailto:a.b+c@city.example.jp",
        information="https://city.example.jp/rides",
    )


def test_what_is_not_stated():
    """The entity ID stands for a name; nothing else is made up."""
    assert read(of("regional-service")).entity == TrustedEntity(
        entity_id="urn:x:y",
        roles=frozenset({Role.REGIONAL_SERVICE}),
        listed_in="list",
        valid_until=UNTIL,
        names={"en": "urn:x:y"},
    )
    assert read(of("regional-service", entity_id="x" * 1000)).entity.names == {"en": "x" * 500}


def test_the_kinds_of_certificate_authority():
    """One that is not said to be qualified is not."""
    assert read(ca()).entity.service_type == "http://uri.etsi.org/TrstSvc/Svctype/CA/PKC"
    qualified = "http://uri.etsi.org/TrstSvc/Svctype/CA/QC"
    assert read(ca(service_type=qualified)).entity.service_type == qualified


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (7, "an entry with entity_id, role and metadata"),
        ({}, "entity_id: an identifier"),
        (of("mayor"), "role: one of openid-provider"),
        (of(None), "role: one of"),
        (of(["openid-provider"]), "role: one of"),
        (of("saml-service-provider"), "role: a SAML member .* saml-metadata list"),
        (ca(metadata={}), "metadata: unknown; known for certificate-authority are addresses, certificates, contact"),
        (ca(scopes=["a.example"]), "scopes: unknown"),
        ({**provider(), "certificates": []}, "certificates: unknown; known for openid-provider"),
        ({**provider(), "addresses": []}, "addresses: unknown"),
        (of("regional-service", service_type="x"), "service_type: unknown"),
        (ca(certificates=None), "certificates: is missing; a certificate authority"),
        (ca(certificates=[]), "certificates: a list of 1 to 64"),
        (ca(certificates=["x"] * 65), "certificates: a list of 1 to 64"),
        (ca(certificates="MIIC"), "certificates: a list"),
        (ca(certificates=["MIIC"]), r"certificates\[0\]: a certificate in base64"),
        (ca(certificates=[1]), r"certificates\[0\]: a certificate in base64"),
        (ca(certificates=[authority("ca").base64] * 2), "certificates: the same certificate occurs twice"),
        (ca(certificates=[authority("short", bits=1024).base64]), r"certificates\[0\]: an RSA key of 1024 bits"),
        (ca(addresses=["ldap://ca.example"]), r"addresses\[0\]: "),
        (ca(addresses=["http://ca.example/"]), r"addresses\[0\]: .*not https"),
        (ca(addresses=["https://ca.example/"] * 2), "addresses: the same address occurs twice"),
        (ca(addresses=[]), "addresses: a list"),
        (ca(service_type="urn:x:y"), "service_type: one of http://uri.etsi.org/TrstSvc/Svctype/CA/QC"),
        (of("council-member"), "municipality: is missing; a council member is a municipality"),
        (ca(uses=[]), "uses: a list"),
        (ca(uses="civic"), "uses: a list"),
        (ca(uses=["Civic"]), r"uses\[0\]: 'Civic' is not the name of a use"),
        (ca(uses=[1]), r"uses\[0\]: '1' is not"),
        (ca(maximum_identity=4), "maximum_identity: a level from 0 to 3"),
        (ca(maximum_identity=-1), "maximum_identity: a level"),
        (ca(maximum_identity=True), "maximum_identity: a level"),
        (ca(maximum_identity="2"), "maximum_identity: a level"),
        (ca(status="revoked"), "status: one of granted, recognised, withdrawn"),
        (ca(status=["granted"]), "status: one of"),
        (ca(since=20260401), 'since: a day in quotes is expected, as "2026-04-01"'),
        (ca(since="2026-02-30"), "since: '2026-02-30' is not a day of the calendar"),
        (ca(since="0001-01-01"), "since: '0001-01-01' is not a day"),
        (ca(since="April"), "since: 'April' is not a day"),
        (ca(since="2026-04-01T00:00:00"), "since: .* is not a day"),
        (ca(since="9999-12-31T23:59:59-23:00"), "since: .* is not a day"),
        (ca(history=[{"status": "granted", "since": "2025-04-01"}]), "history: of a status with a history"),
        (ca(since="2025-04-01", history=[{"status": "granted", "since": "2025-04-01"}]), r"history\[0\]: is not earl"),
        (
            ca(since="2026-04-01", history=[{"status": "granted", "since": f"202{n}-04-01"} for n in (4, 5)]),
            r"history\[1\]: is not earlier",
        ),
        (ca(since="2026-04-01", history=[{"status": "granted"}]), r"history\[0\]: a former status"),
        (ca(since="2026-04-01", history=[{"status": "x", "since": "2025-04-01"}]), r"history\[0\].status: one of"),
        (ca(since="2026-04-01", history=[]), "history: a list"),
        (ca(name={"ja": "\u202e"}), "name.ja: "),
        (ca(postal_address="Maebashi"), "postal_address: names by language"),
        (ca(contact="id@city.example.jp"), "contact: an e-mail address is expected, as mailto:"),
        (ca(contact="mailto:"), "contact: an e-mail address"),
        (ca(contact="mailto:a@b"), "contact: an e-mail address"),
        (ca(contact="mailto:a@b.example?subject=x"), "contact: an e-mail address"),
        (ca(contact="javascript:alert(1)"), "contact: an e-mail address"),
        (ca(contact=1), "contact: an e-mail address"),
        (ca(information="mailto:a@b.example"), "information: "),
        ({**provider(), "metadata": {"jwks": {**public_jwks(), "x": 1}}}, "metadata.jwks: a JWK Set"),
    ],
)
def test_mistakes(entry, text):
    """Each names its place and what is expected."""
    with pytest.raises(EntryError, match=text):
        read(entry)


def test_a_certificate_of_no_known_version_drops_the_entry():
    """X.509 knows versions 1 to 3 (RFC 5280 §4.1.2.1); whatever else is there, the entry alone is at fault."""
    odd = authority("ca").der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1)
    with pytest.raises(EntryError, match="a certificate in base64 is expected"):
        read(ca(certificates=[b64encode(odd).decode()]))


def test_a_history_is_not_endless():
    """In any format: every look-up would go through it."""
    former = [StatusChange(Status.GRANTED, UNTIL - timedelta(seconds=n)) for n in range(1, MAXIMUM_HISTORY + 2)]
    assert len(check_history(UNTIL, former[1:], ())) == MAXIMUM_HISTORY
    with pytest.raises(EntryError, match="more than 200 former statuses"):
        check_history(UNTIL, former, ())
