"""YAML as the configuration reads it: every place kept, every trap named, and no bytes that break it."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import config
from gateway.config import ConfigurationError, check, load
from gateway.config.files import OddNumber, read

from .sample import REFERENCE


def kinds(path: Path, content: bytes) -> list[tuple[str, int]]:
    """Kind and line of every mistake in a file of this content."""
    path.write_bytes(content)
    _, mistakes = read(path, path.name)
    assert all(mistake.text("ja") and mistake.text("en") for mistake in mistakes)
    return [(mistake.kind, mistake.line) for mistake in mistakes]


def test_every_value_keeps_its_place(tmp_path: Path) -> None:
    """Keys and values, nested and in lists, are found again by line and column."""
    path = tmp_path / "a.yaml"
    path.write_bytes("a: 1\nb:\n  - c: 前橋\n    d: {e: true}\n".encode())

    document, mistakes = read(path, "a.yaml")

    assert mistakes == []
    assert document.data == {"a": 1, "b": ({"c": "前橋", "d": {"e": True}},)}
    places = {
        trail: ((place.key_line, place.key_column), (place.line, place.column), place.raw)
        for trail, place in document.places.items()
    }
    assert places == {
        (): ((1, 1), (1, 1), None),
        ("a",): ((1, 1), (1, 4), "1"),
        ("b",): ((2, 1), (3, 3), None),
        ("b", 0): ((3, 5), (3, 5), None),
        ("b", 0, "c"): ((3, 5), (3, 8), "前橋"),
        ("b", 0, "d"): ((4, 5), (4, 8), None),
        ("b", 0, "d", "e"): ((4, 9), (4, 12), "true"),
    }


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-5", -5),
        ("042056", OddNumber("042056")),
        ("082015", OddNumber("082015")),
        ("1_000", OddNumber("1_000")),
        ("+1", OddNumber("+1")),
        ("9" * 40, OddNumber("9" * 40)),
        ("0x1F", "0x1F"),
        ("12:30:45", "12:30:45"),
        ("2026-01-01", "2026-01-01"),
        ("1.5", 1.5),
        ("01.50", OddNumber("01.50")),
        (".inf", ".inf"),
        ("1e3", "1e3"),
        ('"042056"', "042056"),
        ("!!str 042056", "042056"),
        ("=", "="),
    ],
)
def test_scalars_are_what_their_writer_meant(tmp_path: Path, written: str, value: object) -> None:
    """Nothing is read as octal, as base 60, as a date or as yes; surprising numbers are set apart."""
    path = tmp_path / "a.yaml"
    path.write_text(f"a: {written}\n")

    document, mistakes = read(path, "a.yaml")

    assert mistakes == []
    assert document.data == {"a": value}
    assert type(document.data["a"]) is type(value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: 1\nb:\n\tc: 2\n", [("yaml-tab", 3)]),
        (b"a: 1\nb: x: y\n", [("yaml-colon", 2)]),
        (b"a: 1\nb\nc: 1\n", [("yaml-no-colon", 2)]),
        ("a: 1\nb:\u3000x\nc: 1\n".encode(), [("yaml-no-colon", 2)]),
        (b'a: "x\nb: 1\n', [("yaml-quote", 1)]),
        ("# c\nid：x\nname:\n  ja: x\n".encode(), [("file-wide-colon", 2)]),
        ("name: {ja： 例、 en： x}\n".encode(), [("file-wide-colon", 1)]),
        (b"public_url:https://a\nlisten:\n  host: x\n", [("yaml-no-colon", 1)]),
        (b"a: 1\npublic_url:https://a\nb: 2\n", [("yaml-no-colon", 2)]),
        ("listen:\n　　host: a\n  port: 1\n".encode(), [("yaml-wide-space", 2)]),
        ("listen:\n  host: a\n　　port: 1\n".encode(), [("yaml-wide-space", 3)]),
        (b"a:\n  -{to: x}\n", [("yaml-dash", 2)]),
        (b"a:\n  - x: 1\n  -y: 1\n", [("yaml-dash", 3)]),
        (b'a: 1\nb: "x\nc: 1\nd: "y"\ne: 2\n', [("yaml-quote", 2)]),
        (b"a: 'x\nb: 1 # it's\nc: 2\n", [("yaml-quote", 1)]),
        (b'a: "x\n  y"\nb\nc: 1\n', [("yaml-no-colon", 3)]),
        (b'a: "\\q"\n', [("yaml-escape", 1)]),
        (b"a: *b\n", [("yaml-alias", 1)]),
        (b"a: [1, 2\nb: 3\n", [("yaml-bracket", 2)]),
        (b"a: {b: 1\n", [("yaml-bracket", 2)]),
        (b"a:\n  b: 1\n c: 2\n", [("yaml-indent", 3)]),
        (b"a:\n - 1\n  - 2\n- 3\n", [("yaml-indent", 4)]),
        (b"a: 1\n---\nb: 2\n", [("yaml-documents", 2)]),
        (b"a: @b\n", [("yaml-character", 1)]),
        (b"a: %b\n", [("yaml-character", 1)]),
        (b"a: 1\nb: \x00\n", [("yaml-control", 2)]),
        (b"a: 1\nb: \xe3\x81\n", [("file-not-utf8", 2)]),
        (b"%YAML 3.0\n---\na: 1\n", [("yaml-other", 1)]),
        (b"a: " + b"[" * 40 + b"]" * 40, [("yaml-deep", 1)]),
        (b"[" * 100_000, [("yaml-deep", 1)]),
        (b"a: &a [*a]\n", [("yaml-loop", 1)]),
        (b"a: !!python/object/apply:os.system [id]\n", [("yaml-tag", 1)]),
        (b"a: !secret x\n", [("yaml-tag", 1)]),
        (b"a: !!binary aGk=\n", [("yaml-tag", 1)]),
        (b"a: !!set {b}\n", [("yaml-tag", 1)]),
        (b"a: !!int x\n", [("yaml-tag", 1)]),
        (b"a: &b {c: 1}\nd:\n  <<: *b\n", [("yaml-merge", 3)]),
        (b"? [a, b]\n: 1\n", [("key-not-text", 1)]),
        (b"1: a\ntrue: b\n", [("key-unquoted", 1), ("key-unquoted", 2)]),
        (b"a: 1\nb:\n  c: 1\n  c: 2\na: 2\n", [("duplicate-key", 4), ("duplicate-key", 5)]),
        (b"\xef\xbb\xbfa: 1\n", []),
        (b"a: &a {b: 1}\nc: *a\nd: [*a, *a]\n", []),
        (b"a: 1\r\nb: 2\r\n", []),
    ],
)
def test_what_is_wrong_with_yaml_is_said_in_plain_words(
    tmp_path: Path, content: bytes, expected: list[tuple[str, int]]
) -> None:
    """Each trap has a kind of its own and the line where it stands."""
    assert kinds(tmp_path / "a.yaml", content) == expected


def test_aliases_cannot_multiply_without_end(tmp_path: Path) -> None:
    """A billion laughs end at the bound, as one mistake."""
    laughs = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    laughs += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20)]

    found = kinds(tmp_path / "a.yaml", "\n".join(laughs).encode())

    assert [kind for kind, _ in found] == ["yaml-many"]


def test_a_text_that_yaml_would_change_keeps_its_words(tmp_path: Path) -> None:
    """An anchored text used twice is the same text in both places."""
    path = tmp_path / "a.yaml"
    path.write_text("a: &x '102016'\nb: *x\n")

    document, _ = read(path, "a.yaml")

    assert document.data == {"a": "102016", "b": "102016"}


def test_too_many_files_are_one_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that cannot be a configuration is not read to its end."""
    region = Path(shutil.copytree(REFERENCE, tmp_path / "region"))
    monkeypatch.setattr(config, "MOST_FILES", 1)

    mistakes, _ = check(region)

    assert [(mistake.kind, Path(mistake.file).name) for mistake in mistakes] == [
        ("too-many-files", "id-systems"),
        ("too-many-files", "services"),
    ]


# --- whatever stands in the files, the answer is a list of mistakes

KEYS = [
    "id",
    "kind",
    "attributes",
    "from",
    "to",
    "client",
    "assurance",
    "routes",
    "services",
    "languages",
    "tls",
]
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.sampled_from(["oidc", "saml", "all", "042056", *KEYS]) | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=4),
    max_leaves=12,
)
FILES = st.sampled_from(
    [
        "gateway.yaml",
        "trust.yaml",
        "routes.yaml",
        "id-systems/example-oidc.yaml",
        "services/example-saml.yaml",
    ]
)


def put_and_check(directory: Path, file: str, content: bytes) -> None:
    """Overwrite one file of a good configuration; whatever it is, only mistakes may come of it."""
    original = (directory / file).read_bytes()
    try:
        (directory / file).write_bytes(content)
        mistakes, notes = check(directory)
        for mistake in (*mistakes, *notes):
            assert mistake.text("ja").isprintable()
            assert mistake.text("en").isprintable()
        if mistakes:
            with pytest.raises(ConfigurationError):
                load(directory, state=None)
        elif all(note.kind != "state-unchecked" for note in notes):
            assert load(directory, state=None).notes == notes
    finally:
        (directory / file).write_bytes(original)


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One configuration for all examples; each puts back what it changes."""
    return Path(shutil.copytree(REFERENCE, tmp_path_factory.mktemp("config") / "region"))


@given(file=FILES, content=st.binary(max_size=200))
@settings(max_examples=40)
def test_any_bytes_are_mistakes_and_never_a_crash(region: Path, file: str, content: bytes) -> None:
    """A file of arbitrary bytes yields mistakes, printable ones."""
    put_and_check(region, file, content)


@given(file=FILES, content=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
@settings(max_examples=40)
def test_any_yaml_is_mistakes_and_never_a_crash(region: Path, file: str, content: dict[str, object]) -> None:
    """A file of arbitrary well-formed YAML yields mistakes, printable ones."""
    import yaml  # noqa: PLC0415 - only to write what the reader under test reads

    put_and_check(region, file, yaml.safe_dump(content, allow_unicode=True).encode("utf-8", "surrogatepass"))


@given(file=FILES, at=st.integers(min_value=0, max_value=200), value=VALUES)
@settings(max_examples=40)
def test_any_value_in_place_of_a_good_one_never_crashes(region: Path, file: str, at: int, value: object) -> None:
    """A good file with one value replaced by anything yields mistakes, or is still good; it never crashes."""
    import json  # noqa: PLC0415 - JSON is YAML's flow style

    lines = (region / file).read_text(encoding="utf-8").splitlines()
    places = [n for n, line in enumerate(lines) if ": " in line and not line.lstrip().startswith("#")]
    chosen = places[at % len(places)]
    lines[chosen] = lines[chosen].split(": ")[0] + ": " + json.dumps(value, ensure_ascii=True)
    put_and_check(region, file, "\n".join(lines).encode())
