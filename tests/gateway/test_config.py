"""Mistakes in a configuration: each kind is found, at its place, and said in both languages."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config import (
    ConfigurationError,
    Mistake,
    check,
    format_mistakes,
    load,
    preferred_language,
    to_json,
)
from gateway.config_messages import MESSAGES

REFERENCE = Path(__file__).parents[2] / "configs" / "reference"
GATEWAY, TRUST, ROUTES = "gateway.yaml", "trust.yaml", "routes.yaml"
OIDC, SAML = "id-systems/example-oidc.yaml", "id-systems/example-saml.yaml"
CLIENT, PROVIDER = "services/example-oidc.yaml", "services/example-saml.yaml"

EXPIRED_NOTES = ["list-missing", "list-missing"]
"""What the reference itself has: its lists are not there."""

JARGON = re.compile(r"[Ii]nput should|pydantic|Traceback|Error|None\b(?! is)|dict|tuple|string_type")


@pytest.fixture
def region(tmp_path: Path) -> Path:
    """A configuration without mistakes, to be spoilt."""
    return Path(shutil.copytree(REFERENCE, tmp_path / "region"))


def edit(region: Path, file: str, old: str, new: str) -> None:
    """Replace `old`, which must be there, once."""
    text = (region / file).read_text(encoding="utf-8")
    assert old in text, f"{old!r} is not in {file}"
    (region / file).write_text(text.replace(old, new, 1), encoding="utf-8")


def line_of(region: Path, file: str, needle: str) -> int:
    """The line of the first place where `needle` stands."""
    return (region / file).read_text(encoding="utf-8").split(needle)[0].count("\n") + 1


# kind, file, what is replaced, by what, what stands on the line that must be named (default: the replacement)
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
    ("text", GATEWAY, "  host: localhost\n  # ポート", "  host: [localhost]\n  # ポート", "  host: [localhost]"),
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
    ("list", GATEWAY, "weaker: []", "weaker: unsigned-saml-requests", "weaker: unsigned"),
    ("mapping", GATEWAY, "  name:\n    ja: 例示地域\n    en: Example region\n", "  name: 例示地域\n", "  name: 例示"),
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
    ("sha256", CLIENT, "#client_secret_sha256: 0", "client_secret_sha256: xyz", "client_secret_sha256: xyz"),
    ("client-id", OIDC, "id: kakehashi", "id: 架け橋", "id: 架け橋"),
    ("route-path", ROUTES, "- path: /api/council", "- path: /oidc/council", "/oidc/council"),
    ("upstream-path", ROUTES, "upstream_path: /polls/{poll}", "upstream_path: polls/{poll}", "upstream_path: polls"),
    ("scope-name", OIDC, "[openid, profile]", '[openid, "a b"]', '"a b"'),
    ("scope-reserved", CLIENT, "[council.polls.read]", "[council.polls.read, email]", "email]"),
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
    ("url-fragment", CLIENT, "address: https://participation.example.jp/", "address: https://p.example.jp/#x", "#x"),
    ("url-query", OIDC, "https://id.maebashi.example.jp", "https://id.maebashi.example.jp?a=1", "?a=1"),
    ("url-path", GATEWAY, "https://gateway.example.jp", "https://gateway.example.jp/bridge", "/bridge"),
    ("entity-id", SAML, "entity_id: https://id.ebetsu.example.jp/saml/metadata", "entity_id: ebetsu", "entity_id: e"),
    ("store-url", GATEWAY, "url: embedded", "url: mysql://db", "url: mysql"),
    ("host", GATEWAY, "  host: localhost\n  # ポート", "  host: http://localhost\n  # ポート", "host: http:"),
    ("network", GATEWAY, '"192.0.2.10"', '"192.0.2.10/24"', '"192.0.2.10/24"'),
    ("network-all", GATEWAY, '"192.0.2.10"', '"0.0.0.0/0"', '"0.0.0.0/0"'),
    ("path", TRUST, "[lists/anchor.pem]", "[~/anchor.pem]", "~/anchor.pem"),
    ("path-state", TRUST, "[lists/anchor.pem]", '["state:../anchor.pem"]', "state:../"),
    # between keys and between files
    ("duplicate", SAML, "id: example-saml", "id: example-oidc", "id: example-oidc"),
    ("duplicate", PROVIDER, "https://portal.gunma.example.jp/saml/metadata", "https://participation.example.jp", "entity_id"),
    ("duplicate", TRUST, "name: region-openid", "name: region-saml", "name: region-saml\n    format: json"),
    ("duplicate", OIDC, "to: dateOfBirth", "to: familyName", "to: familyName\n    from: [birthdate]"),
    ("unknown-reference-near", CLIENT, "[example-oidc, example-saml]", "[example-oidc, example-smal]", "example-smal"),
    ("unknown-reference", CLIENT, "[example-oidc, example-saml]", "[xyz]", "[xyz]"),
    ("unknown-reference-near", CLIENT, "[council.polls.read]", "[council.poll.read]", "council.poll.read"),
    ("unknown-reference", ROUTES, "scope: council.polls.read", "scope: xyz", "scope: xyz"),
    ("unknown-reference-near", ROUTES, "service: council-poll", "service: council-pol", "service: council-pol\n"),
    ("route-template", ROUTES, "upstream_path: /polls/{poll}", "upstream_path: /polls/{pol}", "- path:"),
    ("rule-combine", SAML, "[strip, join-space]", "[strip]", '["urn:oid'),
    ("rule-join", OIDC, "transforms: [strip]", "transforms: [strip, join-space]", "[family_name]"),
    ("text-language", CLIENT, "  ja: みんなの参加サイト\n", "", "name:"),
    ("text-language-unknown", CLIENT, "  en: Participation site", "  en: x\n  jp: x", "jp: x"),
    ("default-language", GATEWAY, "languages: [ja, en]\n\n", "languages: [en]\n\n", "default_language: ja"),
    ("client-secret", OIDC, "authentication: private_key_jwt", "authentication: client_secret_basic", "client:"),
    ("openid-scope", OIDC, "[openid, profile]", "[profile]", "[profile]"),
    # listeners
    ("tls-public-url", GATEWAY, "public_url: https://gateway.example.jp", "tls: {}\npublic_url: http://localhost", "public_url: http:"),
    ("admin-open", GATEWAY, "  host: localhost\n  # 公開用と別", "  host: 0.0.0.0\n  # 公開用と別", "  host: 0.0.0.0"),
    ("same-port", GATEWAY, "port: 8081", "port: 8080", "  port: 8080\n\n# ゲートウェイ自身"),
    ("password-embedded", GATEWAY, "#password_file: secrets/store-password", "password_file: gateway.yaml", "password_file:"),
    # files
    ("material-missing", TRUST, "anchors: [lists/anchor.pem]\n\n  - name: region-o", "anchors: [lists/x.pem]\n\n  - name: region-o", "x.pem"),
    ("certificate", TRUST, "lists/anchor.pem", "gateway.yaml", "gateway.yaml]"),
    ("file-not-a-file", TRUST, "lists/region-saml.xml", "services", "file: services"),
)  # fmt: skip

ALSO: dict[str, set[str]] = {
    # mistakes that cannot come alone
    "slug": {"unknown-reference"},
    "duplicate": {"unknown-reference-near"},
    "path": {"material-missing"},
    "path-state": {"material-missing"},
    "tls-public-url": {"missing-key"},
    "password-embedded": {"material-open", "material-empty"},
}


@pytest.mark.parametrize(
    ("kind", "file", "old", "new", "needle"), CASES, ids=lambda v: v if v in MESSAGES else ""
)
def test_each_mistake_names_its_line_in_both_languages(
    region: Path, kind: str, file: str, old: str, new: str, needle: str
) -> None:
    """One slip in a good configuration is one mistake, with its file and line, free of jargon, in ja and en."""
    edit(region, file, old, new)

    mistakes, _ = check(region)

    of_kind = [mistake for mistake in mistakes if mistake.kind == kind]
    assert of_kind, format_mistakes(mistakes)
    assert {mistake.kind for mistake in mistakes} - ALSO.get(kind, set()) <= {kind}, format_mistakes(mistakes)
    assert {mistake.file for mistake in of_kind} == {str(region / file)}
    assert of_kind[0].line == line_of(region, file, needle or new)
    for mistake in mistakes:
        check_sentences(mistake)


def check_sentences(mistake: Mistake) -> None:
    """Both texts are whole sentences for people."""
    english, japanese = mistake.text("en"), mistake.text("ja")
    assert english.startswith(f"{mistake.path}: expected " if mistake.path else "expected ")
    assert english.endswith(tuple(".?"))
    assert japanese.endswith("。")
    assert re.search("[ぁ-ん]", japanese)
    assert not re.search("[ぁ-ん]", mistake.expected("en") + mistake.todo("en"))
    assert not JARGON.search(mistake.expected("en") + mistake.todo("en"))
    assert "hunter2" not in english + japanese


def write(region: Path, file: str, content: bytes) -> None:
    """Make or replace a file."""
    (region / file).parent.mkdir(exist_ok=True)
    (region / file).write_bytes(content)


FILES: tuple[tuple[str, str, Callable[[Path], object]], ...] = (
    ("file-missing", GATEWAY, lambda r: (r / GATEWAY).unlink()),
    ("file-missing", TRUST, lambda r: (r / TRUST).unlink()),
    ("file-not-a-file", ROUTES, lambda r: ((r / ROUTES).unlink(), (r / ROUTES).mkdir())),
    ("file-empty", SAML, lambda r: write(r, SAML, b"# nothing\n")),
    ("file-not-mapping", SAML, lambda r: write(r, SAML, b"- id: x\n")),
    ("file-wide-colon", SAML, lambda r: write(r, SAML, "id\uff1aebetsu\n".encode())),
    ("file-not-utf8", SAML, lambda r: write(r, SAML, "name: 江別市\n".encode("shift_jis"))),
    ("file-too-large", SAML, lambda r: write(r, SAML, b"#" * 1_048_577)),
    ("file-unknown", "gatway.yaml", lambda r: write(r, "gatway.yaml", b"a: 1\n")),
    ("file-suffix", "services/new.yml", lambda r: write(r, "services/new.yml", b"a: 1\n")),
)


@pytest.mark.parametrize(("kind", "file", "spoil"), FILES)
def test_a_file_that_cannot_be_used_is_named(
    region: Path, kind: str, file: str, spoil: Callable[[Path], object]
) -> None:
    """A missing, misnamed or unusable file is one mistake; what refers to its contents is not blamed for it."""
    spoil(region)

    mistakes, _ = check(region)

    assert [(mistake.kind, mistake.file, mistake.line) for mistake in mistakes] == [
        (kind, str(region / file), 1)
    ]
    check_sentences(mistakes[0])


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
def test_a_file_that_cannot_be_read_is_named(region: Path) -> None:
    """An unreadable configuration file, and an unreadable file that it names, are mistakes."""
    for name in (ROUTES, "lists/anchor.pem"):
        (region / name).unlink()
        (region / name).symlink_to("/proc/self/mem")

    mistakes, _ = check(region)

    assert {"file-unreadable", "material-unreadable"} == {mistake.kind for mistake in mistakes}


def test_a_directory_that_is_not_there_is_one_mistake(tmp_path: Path) -> None:
    """Without a directory there is one mistake, and not one for each file."""
    mistakes, notes = check(tmp_path / "nowhere")

    assert [mistake.kind for mistake in mistakes] == ["directory-missing"]
    assert notes == ()


def test_many_mistakes_are_reported_at_once(region: Path) -> None:
    """Mistakes of every file come together, by file and line, even where a file has several."""
    edit(region, GATEWAY, "workers: 1", "workers: many")
    edit(region, GATEWAY, "  host: localhost\n  # ポート", "  hots: localhost\n  # ポート")
    edit(region, OIDC, '"102016"', "102016")
    edit(region, OIDC, "  ja: 前橋市\n", "")
    edit(region, SAML, "kind: saml\n", "")
    edit(region, SAML, "reading: えべつし", "reading: 1")
    edit(region, CLIENT, "[example-oidc, example-saml]", "[example-oidc, nobody]")
    edit(region, CLIENT, "consent_days: 365", "consent_days: 0")
    edit(region, ROUTES, "scope: council.polls.read", "scope: council.polls.write")
    edit(region, TRUST, "[lists/anchor.pem]", "[lists/none.pem]")

    mistakes, _ = check(region)

    found = [(Path(m.file).relative_to(region).as_posix(), m.path, m.kind) for m in mistakes]
    assert found == [
        (GATEWAY, "listen.hots", "unknown-key-near"),
        (GATEWAY, "workers", "whole-number"),
        (OIDC, "municipality", "municipality-unquoted"),
        (OIDC, "name", "text-language"),
        (SAML, "", "missing-key"),
        (SAML, "reading", "text-unquoted"),
        (ROUTES, "routes[0].scope", "unknown-reference-near"),
        (CLIENT, "id_systems[1]", "unknown-reference"),
        (CLIENT, "consent_days", "range"),
        (TRUST, "sources[0].anchors[0]", "material-missing"),
    ]


def test_ambiguous_routes_name_each_other(region: Path) -> None:
    """Of two routes that match the same call, the later is the mistake and the earlier is named with its line."""
    with (region / ROUTES).open("a", encoding="utf-8") as routes:
        routes.write(
            "  - {path: /api/council/polls/first, methods: [GET, POST], service: council-poll, "
            "upstream_path: /first, scope: council.polls.read}\n"
        )
    earlier = line_of(region, ROUTES, "- path: /api/council/polls/{poll}")

    mistakes, _ = check(region)

    assert [mistake.kind for mistake in mistakes] == ["route-ambiguous"]
    assert mistakes[0].path == "routes[1].path"
    assert f"routes.yaml:{earlier} (routes[0].path)" in mistakes[0].text("en")
    check_sentences(mistakes[0])


@pytest.mark.parametrize(
    ("host", "proxies", "public", "expected"),
    [
        ("0.0.0.0", '["192.0.2.10"]', "https://gateway.example.jp", []),
        ("0.0.0.0", "[]", "https://gateway.example.jp", ["listen-plain"]),
        ("gateway.example.jp", "[]", "https://gateway.example.jp", ["listen-plain"]),
        ("0.0.0.0", '["192.0.2.10"]', "http://localhost:8080", ["listen-plain"]),
        ("127.0.0.1", "[]", "http://localhost:8080", []),
        ("::1", "[]", "http://[::1]:8080", []),
    ],
)
def test_plain_http_stays_on_loopback(
    region: Path, host: str, proxies: str, public: str, expected: list[str]
) -> None:
    """Without TLS the gateway listens to others only where its TLS proxies are named and its address is https."""
    edit(region, GATEWAY, "  host: localhost\n  # ポート", f'  host: "{host}"\n  # ポート')
    edit(region, GATEWAY, '["192.0.2.10", "2001:db8::/64"]', proxies)
    edit(region, GATEWAY, "https://gateway.example.jp", f'"{public}"')

    mistakes, _ = check(region)

    assert [mistake.kind for mistake in mistakes] == expected
    for mistake in mistakes:
        check_sentences(mistake)


def test_a_client_secret_beside_a_key_is_refused(region: Path) -> None:
    """A secret file that private_key_jwt would never read is a mistake, not silence."""
    edit(region, OIDC, "#client_secret_file: secrets/example-oidc", "client_secret_file: secret")
    write(region, "secret", b"hunter2\n")
    (region / "secret").chmod(0o600)

    mistakes, _ = check(region)

    assert [mistake.kind for mistake in mistakes] == ["client-secret-unused"]
    check_sentences(mistakes[0])


def test_a_reference_to_nothing_says_that_nothing_is_there(region: Path) -> None:
    """A scope in a region without routes.yaml says that none is configured yet."""
    (region / ROUTES).unlink()

    mistakes, _ = check(region)

    assert [mistake.kind for mistake in mistakes] == ["unknown-reference-none"]
    check_sentences(mistakes[0])


NOTES: tuple[tuple[str, Callable[[Path], object]], ...] = (
    ("list-missing", lambda _: None),
    (
        "no-id-systems",
        lambda r: (shutil.rmtree(r / "id-systems"), edit(r, CLIENT, "[example-oidc, example-saml]", "all")),
    ),
    ("no-services", lambda r: shutil.rmtree(r / "services")),
    ("text-language-absent", lambda r: edit(r, SAML, "  en: Ebetsu City\n", "")),
    ("state-unchecked", lambda r: edit(r, TRUST, "lists/anchor.pem", "'state:authority/certificate.pem'")),
    ("store-plain", lambda r: edit(r, GATEWAY, "url: embedded", "url: redis://store.example.jp:6379/0")),
    ("proxy-unnamed", lambda r: edit(r, GATEWAY, '["192.0.2.10", "2001:db8::/64"]', "[]")),
    ("weaker", lambda r: edit(r, GATEWAY, "weaker: []", "weaker: [unsigned-saml-requests]")),
)


@pytest.mark.parametrize(("kind", "change"), NOTES)
def test_a_note_is_no_mistake(region: Path, kind: str, change: Callable[[Path], object]) -> None:
    """What is worth knowing, but no reason not to start, is a note in both languages."""
    change(region)

    mistakes, notes = check(region)

    assert mistakes == ()
    assert kind in {note.kind for note in notes}
    for note in notes:
        check_sentences(note)


def test_the_printed_form_is_file_line_column(region: Path) -> None:
    """One line for each mistake, as editors read it; notes say that they are notes."""
    edit(region, OIDC, '"102016"', '"102017"')
    file, line = region / OIDC, line_of(region, OIDC, '"102017"')

    mistakes, notes = check(region)

    assert format_mistakes(mistakes, (), "en") == (
        f'{file}:{line}:15: municipality: expected six digits with a valid check digit, such as "102016", '
        'found "102017". The last digit does not fit; look the code up again.'
    )
    assert format_mistakes(mistakes, (), "ja") == (
        f'{file}:{line}:15: municipality: 検査数字の合う6桁の数字（例 "102016"）が必要です（現在の値："102017"）。'
        "最後の数字（検査数字）が合いません。コードを確認してください。"
    )
    assert [text.split(": ")[0] for text in format_mistakes((), notes, "en").splitlines()] == ["note", "note"]


def test_the_machine_form_has_every_part(region: Path) -> None:
    """JSON names file, line, column, path, kind, what was found, what is expected and what to do."""
    edit(region, GATEWAY, "level: info", "level: inf")

    mistakes, notes = check(region)
    said = json.loads(to_json(mistakes, notes, "en"))

    assert said["mistakes"] == [
        {
            "file": str(region / GATEWAY),
            "line": line_of(region, GATEWAY, "level: inf"),
            "column": 10,
            "path": "log.level",
            "kind": "one-of-near",
            "found": '"inf"',
            "expected": "one of debug, info, warning, error",
            "todo": "Did you mean `info`?",
        }
    ]
    assert [note["kind"] for note in said["notes"]] == EXPIRED_NOTES


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (CLIENT, "#client_secret_sha256: 0", "client_secret_sha256: hunter2hunter2 #"),
        (OIDC, "#client_secret_file: secrets/example-oidc", "client_secret_file: hunter2hunter2"),
        (GATEWAY, "url: embedded", "url: redis://user:hunter2hunter2@store.example.jp"),
        (GATEWAY, "workers: 1", "api_token: hunter2hunter2"),
        (OIDC, "id: kakehashi", "id: [0123456789abcdef0123456789hunter2hunter2]"),
        (OIDC, "reading: まえばしし", "reading: 123456789018"),
        (OIDC, '"102016"', "123456789018"),
        (OIDC, "municipality:", "0123456789abcdef0123456789hunter2hunter2: 1\nmunicipality:"),
        (SAML, "kind: saml", "kind: sk-HUNTER2hunter2hunter2hunter2"),
    ],
)
def test_what_could_be_a_secret_is_never_shown(region: Path, file: str, old: str, new: str) -> None:
    """A value under a secret's key, or one that looks like a secret or a My Number, is not in any output."""
    edit(region, file, old, new)

    mistakes, notes = check(region)

    said = to_json(mistakes, notes) + "".join(format_mistakes(mistakes, notes, each) for each in ("ja", "en"))
    assert mistakes
    assert "hunter2" not in said
    assert "123456789018" not in said


def test_control_characters_do_not_reach_the_terminal(region: Path) -> None:
    """An escape sequence in a value is shown, not obeyed."""
    edit(region, GATEWAY, "level: info", r'level: "\e[2J\u202e"')

    mistakes, _ = check(region)

    assert "\x1b" not in mistakes[0].text("en") + mistakes[0].text("ja")
    assert "\u202e" not in mistakes[0].text("en")


def test_load_raises_what_check_reports(region: Path) -> None:
    """`load` refuses with the same list, and its text is that list."""
    edit(region, GATEWAY, "workers: 1", "workers: 0")
    mistakes, notes = check(region)

    with pytest.raises(ConfigurationError) as caught:
        load(region, state=None)

    assert caught.value.mistakes == mistakes
    assert caught.value.notes == notes
    assert caught.value.format("en") == format_mistakes(mistakes, notes, "en")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "ja_JP.UTF-8"}, "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "ja_JP", "LANG": "C"}, "ja"),
    ],
)
def test_the_language_is_that_of_the_locale(environment: dict[str, str], expected: str) -> None:
    """LC_ALL goes before LC_MESSAGES before LANG."""
    assert preferred_language(environment) == expected


def test_every_row_of_the_table_has_both_languages() -> None:
    """No kind lacks a sentence, and both languages use the same facts."""
    for kind, row in MESSAGES.items():
        assert set(row) == {"ja", "en"}, kind
        facts = {each: set(re.findall(r"(?<!\{)\{(\w+)\}", " ".join(row[each]))) for each in ("ja", "en")}
        assert facts["ja"] == facts["en"] or facts["ja"] | facts["en"] <= {
            "language",
            "near",
            "options",
            "reference",
        }, kind


def test_every_kind_has_a_test() -> None:
    """A kind that no test provokes is a kind that nobody has seen."""
    here = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_config*.py"))
    assert [kind for kind in MESSAGES if f'"{kind}"' not in here] == []
