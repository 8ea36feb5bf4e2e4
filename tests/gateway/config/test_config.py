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
from gateway.config.files import Document
from gateway.config.messages import MESSAGES
from gateway.config.models import GatewayFile
from gateway.config.shapes import _mistake

from .sample import (
    ALSO,
    CASES,
    CLIENT,
    GATEWAY,
    OIDC,
    REFERENCE,
    ROUTES,
    SAML,
    TRUST,
    edit,
    line_of,
    write,
)

EXPIRED_NOTES = ["assurance-own", "list-missing", "list-missing"]
"""What the reference itself has: its lists are not there."""

JARGON = re.compile(r"[Ii]nput should|pydantic|Traceback|Error|None\b(?! is)|dict|tuple|string_type")


@pytest.fixture
def region(tmp_path: Path) -> Path:
    """A configuration without mistakes, to be spoilt."""
    return Path(shutil.copytree(REFERENCE, tmp_path / "region"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_each_mistake_names_its_line_in_both_languages(region: Path, case: tuple[str, str, str, str, str]) -> None:
    """One slip is one mistake, with its file and line, free of jargon, in Japanese and English."""
    kind, file, old, new, needle = case
    edit(region, file, old, new)

    mistakes, _ = check(region)

    of_kind = [mistake for mistake in mistakes if mistake.kind == kind]
    assert of_kind, format_mistakes(mistakes)
    assert {mistake.kind for mistake in mistakes} - ALSO.get(kind, set()) == {kind}, format_mistakes(mistakes)
    assert {mistake.file for mistake in of_kind} == {str(region / file)}
    assert of_kind[0].line == line_of(region, file, needle)
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


FILES: tuple[tuple[str, str, Callable[[Path], object]], ...] = (
    ("file-missing", GATEWAY, lambda r: (r / GATEWAY).unlink()),
    ("file-missing", TRUST, lambda r: (r / TRUST).unlink()),
    ("file-not-a-file", ROUTES, lambda r: ((r / ROUTES).unlink(), (r / ROUTES).mkdir())),
    ("file-empty", SAML, lambda r: write(r, SAML, b"# nothing\n")),
    ("file-not-mapping", SAML, lambda r: write(r, SAML, b"- id: x\n")),
    ("file-wide-colon", SAML, lambda r: write(r, SAML, "id\uff1aebetsu\n".encode())),
    ("file-not-utf8", SAML, lambda r: write(r, SAML, "name: 江別市\n".encode("shift_jis"))),
    ("file-too-large", SAML, lambda r: write(r, SAML, b"#" * 1_048_577)),
    (
        "directory-unreadable",
        "services",
        lambda r: (shutil.rmtree(r / "services"), write(r, "services", b"")),
    ),
    ("file-unknown", "id_systems", lambda r: (r / "id_systems").mkdir()),
    ("file-missing", ROUTES, lambda r: ((r / ROUTES).unlink(), (r / ROUTES).symlink_to("nowhere"))),
    ("file-unknown", "gatway.yaml", lambda r: write(r, "gatway.yaml", b"a: 1\n")),
    ("file-suffix", "services/new.yml", lambda r: write(r, "services/new.yml", b"a: 1\n")),
)


@pytest.mark.parametrize(("kind", "file", "spoil"), FILES)
def test_a_file_that_cannot_be_used_is_named(
    region: Path, kind: str, file: str, spoil: Callable[[Path], object]
) -> None:
    """A missing or unusable file is one mistake; what refers to its contents is not blamed for it."""
    spoil(region)

    mistakes, _ = check(region)

    assert [(mistake.kind, mistake.file, mistake.line) for mistake in mistakes] == [(kind, str(region / file), 1)]
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
    """Of two routes that match the same call, the later is the mistake; it names the other and its line."""
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
def test_plain_http_stays_on_loopback(region: Path, host: str, proxies: str, public: str, expected: list[str]) -> None:
    """Without TLS the gateway listens to others only behind TLS proxies that are named."""
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
    (region / "systems.yaml").unlink()

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
    ("weaker", lambda r: edit(r, GATEWAY, "weaker: []", "weaker: [store-not-durable]")),
    ("assurance-own", lambda _: None),
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
        f"{file}:{line}:15: municipality: "
        '検査数字の合う6桁の数字（例 "102016"）が必要です（現在の値："102017"）。'
        "最後の数字（検査数字）が合いません。コードを確認してください。"
    )
    assert [text.split(": ")[0] for text in format_mistakes((), notes, "en").splitlines()] == ["note"] * 3


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
        (CLIENT, '#client_secret_sha256: "0', "client_secret_sha256: hunter2hunter2 #"),
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


def test_an_odd_file_name_is_shown_and_not_obeyed(region: Path) -> None:
    """A file whose name holds an escape sequence cannot reach the terminal with it."""
    write(region, "services/\x1b[2J\n.yaml", b"id: 1\n")

    mistakes, notes = check(region)

    said = to_json(mistakes, notes) + format_mistakes(mistakes, notes, "ja")
    assert mistakes
    assert "\x1b" not in said
    assert len(format_mistakes(mistakes, (), "en").splitlines()) == len(mistakes)


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
        facts = {each: set(re.findall(r"(?<!\{)\{(\w+)\}", " ".join(row[each]))) - {each} for each in ("ja", "en")}
        assert facts["ja"] == facts["en"] or facts["ja"] | facts["en"] <= {
            "language",
            "near",
            "options",
            "reference",
        }, kind


def test_a_fault_that_nobody_foresaw_is_still_said_in_plain_words() -> None:
    """An error of pydantic's without a kind of its own becomes the kind "other" (internal: none is known)."""
    error = {"type": "made_up", "loc": ("workers",), "msg": "Input should be", "input": 1.5}

    mistake = _mistake(Document(file="gateway.yaml"), error, GatewayFile, "configs/reference/gateway.yaml")

    assert mistake.kind == "other"
    check_sentences(mistake)


def test_every_kind_has_a_test() -> None:
    """A kind that no test provokes is a kind that nobody has seen."""
    here = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.py"))
    assert [kind for kind in MESSAGES if f'"{kind}"' not in here] == []
