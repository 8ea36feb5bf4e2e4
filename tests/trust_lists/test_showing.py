"""What `trust show` prints: a list's content for machines, and in words for a town hall."""

import json
from datetime import timedelta

import pytest

from tests.trust_lists.builders import (
    NOW,
    UNTIL,
    aggregate,
    authority,
    identity_provider,
    public_jwks,
    service_provider,
)
from trust_lists import certificates, etsi, saml_metadata, words
from trust_lists.model import (
    Endpoint,
    Fault,
    ListRefusedError,
    Pointer,
    Role,
    Status,
    StatusChange,
    TrustedEntity,
    TrustList,
)
from trust_lists.showing import describe, format_of, lines, read_any

DAY = timedelta(days=1)
AUTHORITY = TrustedEntity(
    entity_id="urn:ca",
    roles=frozenset({Role.CERTIFICATE_AUTHORITY}),
    listed_in="certificates",
    valid_until=UNTIL - DAY,
    municipality="102016",
    names={"ja": "前橋認証局", "en": "Maebashi CA"},
    signing_certificates=(b"one",),
    endpoints=(Endpoint(Role.CERTIFICATE_AUTHORITY, "ServiceSupplyPoint", "", "https://ca.example/"),),
    maximum_identity=2,
    scopes=("maebashi.example",),
    status=Status.WITHDRAWN,
    status_since=NOW,
    history=(StatusChange(Status.GRANTED, NOW - 30 * DAY),),
    uses=frozenset({"civic", "mobility"}),
    service_type=etsi.CERTIFICATE_AUTHORITY_TYPES[0],
    information=("https://x.example/ial2",),
    registered_by="https://council.example",
)
LIST = TrustList(
    name="certificates",
    issued_at=NOW,
    valid_until=UNTIL,
    sequence=7,
    entities=(AUTHORITY,),
    faults=(Fault(where="urn:bad\x1b[2J", reason="is \u202ewrong"),),
    format="etsi-119612",
    pointers=(Pointer(location="https://other.example/list.xml", certificates=(b"key",), territory="JP"),),
    refresh_after=timedelta(hours=6),
    anchor="aa",
    digest="bb",
)


def test_describe():
    """Every field is there, as plain JSON values: who, as what, for what, with which keys, until when; faults."""
    assert json.loads(json.dumps(describe(LIST))) == {
        "list": "certificates",
        "format": "etsi-119612",
        "issued_at": "2026-04-01T09:00:00Z",
        "valid_until": "2026-05-01T09:00:00Z",
        "refresh_after_seconds": 21600,
        "sequence": 7,
        "anchor": "aa",
        "digest": "bb",
        "pointers": [
            {
                "location": "https://other.example/list.xml",
                "kind": None,
                "territory": "JP",
                "media_type": None,
                "keys": [certificates.fingerprint(b"key")],
            }
        ],
        "entities": [
            {
                "entity_id": "urn:ca",
                "roles": ["certificate-authority"],
                "municipality": "102016",
                "names": {"ja": "前橋認証局", "en": "Maebashi CA"},
                "status": "withdrawn",
                "status_since": "2026-04-01T09:00:00Z",
                "history": [{"status": "granted", "since": "2026-03-02T09:00:00Z"}],
                "uses": ["civic", "mobility"],
                "maximum_identity": 2,
                "scopes": ["maebashi.example"],
                "valid_until": "2026-04-30T09:00:00Z",
                "signing_keys": [certificates.fingerprint(b"one")],
                "encryption_keys": [],
                "addresses": ["https://ca.example/"],
                "service_type": "http://uri.etsi.org/TrstSvc/Svctype/CA/QC",
                "information": ["https://x.example/ial2"],
                "registered_by": "https://council.example",
            }
        ],
        "faults": [{"where": "urn:bad\x1b[2J", "reason": "is \u202ewrong"}],
    }


def test_an_openid_entity_shows_its_keys_and_addresses():
    """Keys of a JWK Set stand beside certificates, by use; a redirect address is an address."""
    entity = TrustedEntity(
        entity_id="https://rp.example",
        roles=frozenset({Role.OPENID_RELYING_PARTY}),
        listed_in="x",
        valid_until=UNTIL,
        metadata={
            "redirect_uris": ["https://rp.example/callback"],
            "jwks": {"keys": [{**public_jwks("a")["keys"][0], "use": "enc"}, public_jwks("b")["keys"][0]]},
        },
    )
    (told,) = describe(TrustList(name="x", issued_at=NOW, valid_until=UNTIL, sequence=1, entities=(entity,)))[
        "entities"
    ]
    assert (len(told["signing_keys"]), len(told["encryption_keys"])) == (1, 2)
    assert told["addresses"] == ["https://rp.example/callback"]


def test_japanese():
    """A town hall reads what the list says, with times as they are in Japan; nothing steers the terminal."""
    assert list(lines(LIST, "ja")) == [
        "一覧 certificates（形式 etsi-119612）",
        "通し番号 7、発行 2026年4月1日 18:00、期限 2026年5月1日 18:00",
        "署名を確かめた登録済みの鍵：aa",
        "相手 1 件、誤りのため使わない項目 1 件",
        "ほかの一覧への参照：https://other.example/list.xml（これだけでは何も信頼されません）",
        "",
        "前橋認証局",
        "  エンティティID：urn:ca",
        "  役割：認証局",
        "  自治体コード：102016",
        "  状態：取り消し（2026年4月1日 18:00 から）",
        "  以前の状態：有効（2026年3月2日 18:00 から）",
        "  用途：civic、mobility",
        "  本人確認の保証レベルの上限：2",
        "  使えるドメイン（@ の右側）：maebashi.example",
        f"  署名の鍵：{certificates.fingerprint(b'one')}",
        "  アドレス：https://ca.example/",
        "  種類：http://uri.etsi.org/TrstSvc/Svctype/CA/QC",
        "  追加の情報：https://x.example/ial2",
        "  登録者：https://council.example",
        "  期限：2026年4月30日 18:00",
        "",
        "使わない項目：urn:bad\ufffd[2J（is \ufffdwrong）",
    ]


def test_english():
    """The same in English."""
    told = list(lines(LIST, "en"))
    assert told[1] == "Number 7, issued 2026-04-01 18:00 (Japan), valid until 2026-05-01 18:00 (Japan)"
    assert "  Status: withdrawn (since 2026-04-01 18:00 (Japan))" in told
    assert "  Uses: civic, mobility" in told
    assert len(told) == len(list(lines(LIST, "ja")))


def test_every_role_and_status_has_words():
    """Nothing is shown by its name in the code."""
    assert set(words.ROLES) == set(Role)
    assert set(words.STATUSES) == set(Status)


def test_a_saml_list_is_called_by_its_own_name():
    """Read without a name, an aggregate is called by its `Name`, unless that could mislead a reader."""
    anchors = [authority().der]
    for stated, found in ((' Name="urn:x"', "urn:x"), ("", "(unnamed)"), (' Name="a\u202eb"', "(unnamed)")):
        document = aggregate(identity_provider(), service_provider(), attributes=stated)
        read = read_any(document, anchors=anchors, now=NOW)
        assert (read.name, read.entities[0].listed_in, read.format) == (found, found, "saml-metadata")
    assert saml_metadata.read(document, name="here", anchors=anchors, now=NOW).name == "here"


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (b"\xef\xbb\xbf <?xml version='1.0'?><md:EntitiesDescriptor/>", "saml-metadata"),
        (b'<TrustServiceStatusList xmlns="x">', "etsi-119612"),
        (b"<?xml version='1.0'?>\n<tsl:TrustServiceStatusList\n>", "etsi-119612"),
        (b'{"anchor": 1}', "openid-federation"),
        (b"abc.def.ghi", "etsi-119602"),
        (b"", "etsi-119602"),
    ],
)
def test_the_format_is_told_by_the_beginning(document, kind):
    """A guess only: whatever it says, the reader of that format decides, and refuses what is none."""
    assert format_of(document) == kind
    with pytest.raises(ListRefusedError):
        read_any(document, anchors=[authority().der], now=NOW)
