"""A good configuration and the ways to spoil it: the reference, edited one place at a time."""

from pathlib import Path

REFERENCE = Path(__file__).parents[3] / "configs" / "reference"
GATEWAY, TRUST, ROUTES = "gateway.yaml", "trust.yaml", "routes.yaml"
OIDC, SAML = "id-systems/example-oidc.yaml", "id-systems/example-saml.yaml"
PHONES = "id-systems/example-certificate.yaml"
CLIENT, PROVIDER = "services/example-oidc.yaml", "services/example-saml.yaml"


def edit(region: Path, file: str, old: str, new: str) -> None:
    """Replace `old`, which must be there, once."""
    text = (region / file).read_text(encoding="utf-8")
    assert old in text, f"{old!r} is not in {file}"
    (region / file).write_text(text.replace(old, new, 1), encoding="utf-8")


def line_of(region: Path, file: str, needle: str) -> int:
    """The line of the first place where `needle` stands."""
    return (region / file).read_text(encoding="utf-8").split(needle)[0].count("\n") + 1


def write(region: Path, file: str, content: bytes) -> None:
    """Make or replace a file."""
    (region / file).parent.mkdir(exist_ok=True)
    (region / file).write_bytes(content)


# Rows: kind, file, what is replaced, by what, what stands on the line that must be named
CASES: tuple[tuple[str, str, str, str, str], ...] = (
    # keys and shapes
    ("missing-key", OIDC, "reading: まえばしし\n", "", "id: example-oidc"),
    ("missing-key", OIDC, "  id: kakehashi\n", "", "client:"),
    ("unknown-key", GATEWAY, "workers: 1", "zzz: 1", "zzz"),
    ("unknown-key-near", GATEWAY, "workers: 1", "wokers: 1", "wokers"),
    ("unknown-key-near", GATEWAY, "flow_minutes: 15", "flow_minute: 15", "flow_minute:"),
    ("unknown-key-near", PROVIDER, "friendly_name: sn", "friendlyname: sn", "friendlyname"),
    ("other-kind-key", SAML, "subject: NameID", "client: {id: x}", "client:"),
    ("other-kind-key", PROVIDER, "consent_days: 365", "scopes: [council.polls.read]", "scopes:"),
    ("other-kind-key", CLIENT, "    required: true", "    friendly_name: sn", "friendly_name"),
    ("empty", GATEWAY, "  flow_minutes: 15", "  flow_minutes:", "  flow_minutes:"),
    (
        "text",
        GATEWAY,
        "  host: localhost\n  # ポート",
        "  host: [localhost]\n  # ポート",
        "  host: [localhost]",
    ),
    ("text-unquoted", OIDC, "reading: まえばしし", "reading: 12", "reading: 12"),
    ("text-unquoted", OIDC, "reading: まえばしし", "reading: true", "reading: true"),
    ("municipality-unquoted", OIDC, '"102016"', "102016", "municipality: 102016"),
    ("municipality-unquoted", OIDC, '"102016"', "042056", "municipality: 042056"),
    ("municipality-unquoted", PROVIDER, '"100005"', "080004", "municipality: 080004"),
    ("whole-number", GATEWAY, "workers: 1", 'workers: "1"', 'workers: "1"'),
    ("whole-number", GATEWAY, "workers: 1", "workers: 1.5", "workers: 1.5"),
    ("whole-number", GATEWAY, "workers: 1", "workers: two", "workers: two"),
    ("whole-number-odd", GATEWAY, "  port: 8080", "  port: 08080", "  port: 08080"),
    ("true-false", CLIENT, "required: true", "required: yes", "required: yes"),
    ("true-false", CLIENT, "required: true", 'required: "true"', 'required: "true"'),
    ("list", GATEWAY, "weaker: []", "weaker: store-not-durable", "weaker: store"),
    (
        "mapping",
        GATEWAY,
        "  name:\n    ja: 例示地域\n    en: Example region\n",
        "  name: 例示地域\n",
        "  name: 例示",
    ),
    ("one-of", GATEWAY, "format: json", "format: xyz", "format: xyz"),
    ("one-of-near", GATEWAY, "level: info", "level: inf", "level: inf"),
    ("one-of-near", SAML, "kind: saml", "kind: SAML2", "kind: SAML2"),
    ("one-of", SAML, "kind: saml", "kind: x", "kind: x"),
    ("missing-key", SAML, "kind: saml\n", "", "id: example-saml"),
    ("key-unquoted", OIDC, '"urn:example:password":', "3:", "3: {"),
    # values
    ("text-empty", OIDC, "reading: まえばしし", 'reading: " "', "reading:"),
    ("text-long", OIDC, "reading: まえばしし", "reading: " + "あ" * 1001, "reading:"),
    ("text-control", OIDC, "reading: まえばしし", r'reading: "\x07"', "reading:"),
    ("slug", OIDC, "id: example-oidc", "id: 前橋", "id: 前橋"),
    ("municipality", OIDC, '"102016"', '"10201"', '"10201"'),
    ("municipality-digit", OIDC, '"102016"', '"102017"', '"102017"'),
    ("municipality-digit", OIDC, '"102016"', '"990000"', '"990000"'),
    (
        "sha256",
        CLIENT,
        '#client_secret_sha256: "0',
        "client_secret_sha256: xyz #",
        "client_secret_sha256: xyz",
    ),
    ("client-id", OIDC, "id: kakehashi", "id: 架け橋", "id: 架け橋"),
    ("route-path", ROUTES, "- path: /api/council", "- path: /oidc/council", "/oidc/council"),
    ("media-type", ROUTES, "unlooked: [image/png]", "unlooked: [images]", "unlooked: [images]"),
    ("clock", ROUTES, 'from: "08:30"', 'from: "8:30"', 'from: "8:30"'),
    ("council-or-list", ROUTES, "members: council", "members: all", "members: all"),
    ("municipality-digit", ROUTES, "members: council", 'members: ["102017"]', "102017"),
    ("days-reversed", ROUTES, "until: 2027-03-31", "until: 2026-03-31", "until: 2026-03-31"),
    ("quota-person", ROUTES, "callers: [people]", "callers: [systems]", "person:"),
    (
        "upstream-path",
        ROUTES,
        "upstream_path: /polls/{poll}",
        "upstream_path: polls/{poll}",
        "upstream_path: polls",
    ),
    ("scope-name", OIDC, "[openid, profile]", '[openid, "a b"]', '"a b"'),
    ("scope-reserved", CLIENT, "[council.polls.read]", "[council.polls.read, email]", "email]"),
    ("claim-reserved", CLIENT, "to: name", "to: sub", "to: sub"),
    ("claim-is-scope", CLIENT, "to: name", "to: council.polls.read", "to: council.polls.read"),
    ("domain", GATEWAY, "scope: region.example.jp", "scope: Region.example.jp", "scope: Region"),
    ("domain", GATEWAY, "scope: region.example.jp", "scope: .example.jp", "scope: ."),
    (
        "subject-identifier",
        PROVIDER,
        'to: "urn:oid:2.5.4.4"',
        'to: "urn:oasis:names:tc:SAML:attribute:pairwise-id"',
        'to: "urn:oasis:names:tc:SAML:attribute:pairwise-id"',
    ),
    (
        "subject-id-common",
        PROVIDER,
        "#subject_identifier: pairwise-id",
        "subject_identifier: subject-id",
        "subject_identifier: subject-id",
    ),
    ("other-kind-key", CLIENT, "consent_days: 365", "subject_identifier: pairwise-id", "subject_identifier:"),
    ("list-duplicate", SAML, "weaker: []", "weaker: [cbc-encryption, cbc-encryption]", "weaker: [cbc"),
    ("one-of-near", SAML, "weaker: []", "weaker: [unsolicited-response]", "weaker: [unsolicited"),
    ("host", GATEWAY, "  host: localhost\n  # ポート", '  host: "[::1]"\n  # ポート', '"[::1]"'),
    ("uri", PROVIDER, '"urn:oasis:names:tc:SAML:2.0:attrname-format:uri"', "basic", "format: basic"),
    ("attribute-name", OIDC, "from: [family_name]", 'from: [" x"]', '" x"'),
    ("near-name", OIDC, "to: familyName", "to: familyname", "to: familyname"),
    ("near-name", OIDC, "[strip]", "[stripp]", "[stripp]"),
    ("canonical-name", OIDC, "to: familyName", "to: 苗字", "to: 苗字"),
    ("transform", OIDC, "[strip]", "[xyzzy]", "[xyzzy]"),
    ("range", GATEWAY, "  port: 8080", "  port: 80800", "  port: 80800"),
    ("range", CLIENT, "minimum_identity: 1", "minimum_identity: 4", "minimum_identity: 4"),
    ("list-empty", OIDC, "from: [birthdate]", "from: []", "from: []"),
    ("list-duplicate", ROUTES, "methods: [GET]", "methods: [GET, GET]", "methods: [GET, GET]"),
    ("all-or-list", PROVIDER, "id_systems: all", "id_systems: example-oidc", "id_systems: example-oidc"),
    ("url", GATEWAY, "https://gateway.example.jp", "gateway.example.jp", "public_url: gateway"),
    ("url", GATEWAY, "https://gateway.example.jp", "https://ゲートウェイ.jp", "public_url: https"),
    ("url", GATEWAY, "https://gateway.example.jp", "https://gateway.example.jp:99999", "99999"),
    ("url-credentials", GATEWAY, "https://gateway", "https://admin:hunter2@gateway", "hunter2"),
    ("url-plain", OIDC, "https://id.maebashi", "http://id.maebashi", "http://id.maebashi"),
    ("url-plain", ROUTES, "https://poll", "http://poll", "http://poll"),
    (
        "url-fragment",
        CLIENT,
        "address: https://participation.example.jp/",
        "address: https://p.example.jp/#x",
        "#x",
    ),
    ("url-query", OIDC, "https://id.maebashi.example.jp", "https://id.maebashi.example.jp?a=1", "?a=1"),
    ("url-path", GATEWAY, "https://gateway.example.jp", "https://gateway.example.jp/bridge", "/bridge"),
    (
        "entity-id",
        SAML,
        "entity_id: https://id.ebetsu.example.jp/saml/metadata",
        "entity_id: ebetsu",
        "entity_id: e",
    ),
    ("store-url", GATEWAY, "url: embedded", "url: mysql://db", "url: mysql"),
    ("host", GATEWAY, "  host: localhost\n  # ポート", "  host: http://localhost\n  # ポート", "host: http:"),
    ("network", GATEWAY, '"192.0.2.10"', '"192.0.2.10/24"', '"192.0.2.10/24"'),
    ("network-all", GATEWAY, '"192.0.2.10"', '"0.0.0.0/0"', '"0.0.0.0/0"'),
    ("path", TRUST, "[lists/anchor.pem]", "[~/anchor.pem]", "~/anchor.pem"),
    ("path-state", TRUST, "[lists/anchor.pem]", '["state:../anchor.pem"]', "state:../"),
    (
        "list-long",
        GATEWAY,
        "workers: 1",
        "federation: {authority_hints: [" + ", ".join(f'"https://a{n}.example.jp"' for n in range(33)) + "]}",
        "federation:",
    ),
    (
        "authority-hint-self",
        GATEWAY,
        "workers: 1",
        "federation:\n  authority_hints: [https://gateway.example.jp/]",
        "  authority_hints",
    ),
    ("range", GATEWAY, "workers: 1", "metadata_query: {valid_days: 15}", "metadata_query"),
    # between keys and between files
    ("duplicate", SAML, "id: example-saml", "id: example-oidc", "id: example-oidc"),
    (
        "duplicate",
        PROVIDER,
        "https://portal.gunma.example.jp/saml/metadata",
        "https://participation.example.jp",
        "entity_id",
    ),
    ("duplicate", TRUST, "name: region-openid", "name: region-saml", "name: region-saml\n    format: etsi-119602"),
    ("duplicate", OIDC, "to: dateOfBirth", "to: familyName", "to: familyName\n    from: [birthdate]"),
    (
        "unknown-reference-near",
        CLIENT,
        "[example-oidc, example-saml]",
        "[example-oidc, example-smal]",
        "example-smal",
    ),
    ("unknown-reference", CLIENT, "[example-oidc, example-saml]", "[xyz]", "[xyz]"),
    ("unknown-reference-near", CLIENT, "[council.polls.read]", "[council.poll.read]", "council.poll.read"),
    ("unknown-reference", ROUTES, "scope: council.polls.read", "scope: xyz", "scope: xyz"),
    (
        "unknown-reference-near",
        ROUTES,
        "service: council-poll",
        "service: council-pol",
        "service: council-pol\n",
    ),
    ("route-template", ROUTES, "upstream_path: /polls/{poll}", "upstream_path: /polls/{pol}", "- path:"),
    ("route-context", ROUTES, "subject: context", "subject: none", "context: poll-"),
    ("route-context", ROUTES, "context: poll-{poll}", "context: poll-{pol}", "context: poll-"),
    ("route-context", ROUTES, "    context: poll-{poll}\n", "", "subject: context"),
    ("object-identifier", PHONES, '["1.2.392.200149.8.5.1.1.10"]', '["3.2"]', 'policies: ["3.2"]'),
    ("policies-absent", PHONES, 'policies: ["1.2.392.200149.8.5.1.1.10"]', "policies: []", "attribute_policies:"),
    ("attribute-policy-own", PHONES, '"2.999.1.9"', '"1.2.392.200149.8.5.1.1.10"', "attribute_policies:"),
    ("card-readers-absent", PHONES, "card_readers: refused", "card_readers: accepted", "card_readers: accepted"),
    ("subject-field", PHONES, "subject: subject.serialNumber", "subject: serialNumber", "subject: serialNumber"),
    ("one-of", PHONES, "mode: hard", "mode: medium", "mode: medium"),
    ("url", PHONES, "phone_url: https://app.example.jp/authorize", "phone_url: app", "phone_url: app"),
    ("rule-combine", SAML, "[strip, join-space]", "[strip]", '["urn:oid'),
    ("evidence", OIDC, "evidence: register", "evidence: xyzzy", "evidence: xyzzy"),
    ("rule-order", OIDC, "transforms: [strip]", "transforms: [strip, join-space]", "[family_name]"),
    ("transform", OIDC, "transforms: [strip]", "transforms: [xyzzy]", "[xyzzy]"),
    ("transform", OIDC, "transforms: [strip]", "transforms: [{xyzzy: 1}]", "[{xyzzy"),
    ("near-name", OIDC, "transforms: [strip]", "transforms: [stripp]", "[stripp]"),
    ("transform-shape", OIDC, "transforms: [strip]", "transforms: [{strip: 1, first: 2}]", "[{strip"),
    ("transform-shape", OIDC, "transforms: [strip]", "transforms: [18]", "[18]"),
    ("transform-argument", CLIENT, "transforms: []", "transforms: [over]", "[over]"),
    ("transform-argument", CLIENT, "transforms: []", "transforms: [{over: grown up}]", "[{over"),
    ("transform-argument-unused", OIDC, "transforms: [strip]", "transforms: [{strip: left}]", "[{strip"),
    ("unknown-reference-none", OIDC, "#attributes_like: other-oidc", "attributes_like: other-oidc", "attributes_like:"),
    ("attributes-like-kind", OIDC, "#attributes_like: other-oidc", "attributes_like: example-saml", "attributes_like:"),
    (
        "attributes-like-itself",
        SAML,
        "#attributes_like: other-saml",
        "attributes_like: example-saml",
        "attributes_like:",
    ),
    ("attributes-without-like", OIDC, "attributes_without: []", "attributes_without: [email]", "attributes_without:"),
    ("text-language", CLIENT, "  ja: みんなの参加サイト\n", "", "name:"),
    ("text-language-unknown", CLIENT, "  en: Participation site", "  en: x\n  jp: x", "jp: x"),
    ("default-language", GATEWAY, "languages: [ja, en]\n\n", "languages: [en]\n\n", "default_language: ja"),
    (
        "client-secret",
        OIDC,
        "authentication: private_key_jwt",
        "authentication: client_secret_basic",
        "client:",
    ),
    ("openid-scope", OIDC, "[openid, profile]", "[profile]", "[profile]"),
    # lists
    ("list-format", TRUST, "format: etsi-119602", "format: pgp", "format: pgp"),
    ("source-place", TRUST, "    #url:", "    url:", "- name: region-saml"),
    ("source-place", TRUST, "    file: lists/region-openid.jwt\n", "", "- name: region-openid"),
    ("source-entity-unused", TRUST, "    #entity:", "    entity:", "    entity:"),
    ("private-addresses-unused", TRUST, "    #private_addresses:", "    private_addresses:", "private_addresses:"),
    ("anchor-twice", TRUST, "next_anchors: []", "next_anchors: [lists/anchor.pem]", "next_anchors:"),
    ("one-of", TRUST, "#approval: required", "approval: often", "approval: often"),
    ("url-plain", TRUST, "    file: lists/region-openid.jwt", "    url: http://lists.example.jp/x", "url: http:"),
    ("municipality-digit", TRUST, '#municipality: "100005"', 'municipality: "100006"', 'municipality: "100006"'),
    # listeners
    (
        "tls-public-url",
        GATEWAY,
        "public_url: https://gateway.example.jp",
        "tls: {}\npublic_url: http://localhost",
        "public_url: http:",
    ),
    (
        "admin-open",
        GATEWAY,
        "  host: localhost\n  # 公開用と別",
        "  host: 0.0.0.0\n  # 公開用と別",
        "  host: 0.0.0.0",
    ),
    ("same-port", GATEWAY, "port: 8081", "port: 8080", "  port: 8080\n\n# ゲートウェイ自身"),
    (
        "password-embedded",
        GATEWAY,
        "#password_file: secrets/store-password",
        "password_file: gateway.yaml",
        "password_file:",
    ),
    # files
    (
        "material-missing",
        TRUST,
        "anchors: [lists/anchor.pem]\n    # 鍵",
        "anchors: [lists/x.pem]\n    # 鍵",
        "x.pem",
    ),
    ("certificate", TRUST, "lists/anchor.pem", "gateway.yaml", "gateway.yaml]"),
    ("file-not-a-file", TRUST, "lists/region-saml.xml", "services", "file: services"),
)

ALSO: dict[str, set[str]] = {
    # mistakes that cannot come alone
    "slug": {"unknown-reference-near"},
    "duplicate": {"unknown-reference-near"},
    "path": {"material-missing"},
    "path-state": {"material-missing"},
    "tls-public-url": {"missing-key"},
    "password-embedded": {"material-open", "material-empty"},
}
