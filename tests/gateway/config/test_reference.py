"""`configs/reference/` is complete and true: every key is there, with the default that it really has."""

import datetime as dt
import re
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic.fields import FieldInfo

from gateway.config import check
from gateway.config.files import Document, read
from gateway.config.mistakes import Trail
from gateway.config.models import (
    CertificateIdSystem,
    GatewayFile,
    OidcIdSystem,
    OidcService,
    RecognitionFile,
    RoutesFile,
    SamlIdSystem,
    SamlService,
    Section,
    SystemsFile,
    TrustFile,
)

from .sample import REFERENCE

MODELS: Mapping[str, type[Section]] = {
    "gateway.yaml": GatewayFile,
    "trust.yaml": TrustFile,
    "recognition.yaml": RecognitionFile,
    "routes.yaml": RoutesFile,
    "systems.yaml": SystemsFile,
    "id-systems/example-certificate.yaml": CertificateIdSystem,
    "id-systems/example-oidc.yaml": OidcIdSystem,
    "id-systems/example-saml.yaml": SamlIdSystem,
    "services/example-oidc.yaml": OidcService,
    "services/example-saml.yaml": SamlService,
}

REQUIRED = "(必須 / required)"
BELOW = "(既定値は下記 / defaults as below)"
DEFAULT = re.compile(r"\(既定値 / default: (.*)\)$")
UNUSED = re.compile(r"^(\s*)#(?=[a-z0-9_]+:( |$))", re.MULTILINE)
"""A key that is not in use: `#key:`; prose begins with `# `."""


def test_the_reference_has_no_mistakes() -> None:
    """`check` finds nothing wrong; the lists, which are signed elsewhere, are noted as missing, and a signed table."""
    mistakes, notes = check(REFERENCE)

    assert mistakes == ()
    assert {note.kind for note in notes} == {"list-missing", "assurance-own"}


def test_every_file_of_the_reference_is_looked_at_here() -> None:
    """A new file of the reference belongs into this test."""
    assert {path.relative_to(REFERENCE).as_posix() for path in REFERENCE.rglob("*.yaml")} == set(MODELS)


def section_of(annotation: Any) -> type[Section] | None:
    """The model inside an annotation."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, Section) else None
    return next((found for part in typing.get_args(annotation) if (found := section_of(part))), None)


def fields(model: type[Section]) -> Iterator[tuple[str, FieldInfo]]:
    """The model's keys as they are written."""
    return ((info.alias or name, info) for name, info in model.model_fields.items())


def walk(model: type[Section], data: Any, trail: Trail) -> Iterator[tuple[type[Section], str, FieldInfo, Trail]]:
    """Every key of every section that the file holds."""
    if isinstance(data, tuple):
        for n, item in enumerate(data):
            yield from walk(model, item, (*trail, n))
        return
    assert isinstance(data, dict)
    if not data.keys() & dict(fields(model)).keys():
        for key, item in data.items():  # a mapping with free keys, such as `statements`
            yield from walk(model, item, (*trail, key))
        return
    for key, info in fields(model):
        if key not in data:
            continue
        yield model, key, info, (*trail, key)
        inner = section_of(info.annotation)
        if inner is not None and data[key]:
            yield from walk(inner, data[key], (*trail, key))


def comment_above(lines: list[str], document: Document, trail: Trail) -> str | None:
    """The last line of the comment that stands directly above the key, if there is one."""
    above = lines[document.place(trail).key_line - 2].strip()
    return above.removeprefix("#").strip() if above.startswith("#") else None


def sections(model: type[Section]) -> Iterator[type[Section]]:
    """The model and every model inside it."""
    yield model
    for _, info in fields(model):
        inner = section_of(info.annotation)
        if inner is not None:
            yield from sections(inner)


@pytest.fixture(params=MODELS)
def shown(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[type[Section], Document, list[str]]:
    """One file of the reference with the keys that are not in use put to use."""
    path = tmp_path / "shown.yaml"
    path.write_text(UNUSED.sub(r"\1", (REFERENCE / request.param).read_text(encoding="utf-8")), encoding="utf-8")
    document, mistakes = read(path, request.param)
    assert mistakes == []
    return MODELS[request.param], document, path.read_text(encoding="utf-8").splitlines()


def test_every_key_is_explained_with_its_true_default(
    shown: tuple[type[Section], Document, list[str]],
) -> None:
    """Every field of every model stands in the file, and the comment above it states the true default."""
    model, document, lines = shown
    explained: set[tuple[type[Section], str]] = set()

    for owner, key, info, trail in walk(model, document.data, ()):
        said = comment_above(lines, document, trail)
        if said is None:  # a second entry of a list need not be explained again
            continue
        marker = said[said.index("(") :] if "(" in said else said
        if marker == REQUIRED:
            assert info.is_required(), f"{document.file}: {key} has a default"
        elif marker == BELOW:
            assert isinstance(info.default, Section), f"{document.file}: {key}"
        else:
            stated = DEFAULT.search(said)
            assert stated, f"{document.file}: {key}: {said}"
            assert not info.is_required(), f"{document.file}: {key} is required"
            assert normal(stated[1]) == plain(info.default), f"{document.file}: {key}"
        explained.add((owner, key))

    every = {(section, key) for section in sections(model) for key, _ in fields(section)}
    assert every - explained == set()


def normal(stated: str) -> Any:
    """A default as the comment states it: YAML, with the words `none` and `all`."""
    return None if stated in {"none", "all"} else yaml.safe_load(stated)


def plain(default: Any) -> Any:
    """A default as YAML has it."""
    if isinstance(default, dt.time):
        return default.isoformat("minutes")
    return list(default) if isinstance(default, tuple) else default


def test_sections_with_defaults_below_show_those_defaults() -> None:
    """Where the reference says "as below", what stands below is what the model would fill in."""
    for file, model in MODELS.items():
        path = REFERENCE / file
        lines = path.read_text(encoding="utf-8").splitlines()
        document, _ = read(path, file)
        value = model.model_validate(document.data)
        for _, key, info, trail in walk(model, document.data, ()):
            if comment_above(lines, document, trail) == BELOW:
                found: Any = value
                for step in trail:
                    found = getattr(found, str(step))
                assert found == info.default, f"{file}: {key}"


def test_the_unused_keys_of_the_reference_are_well_formed(tmp_path: Path) -> None:
    """Putting an unused key to use is refused only for the files it names or the key it excludes."""
    allowed = {
        *{"material-missing", "client-secret-unused", "password-embedded"},
        *{"source-place", "source-entity-unused", "private-addresses-unused", "recognition-target"},
        "follow-unused",
        "client-certificates-way",  # one or the other
        "unknown-reference-none",  # a map of another one, where there is no other
    }
    for file in MODELS:
        target = tmp_path / file
        target.parent.mkdir(exist_ok=True, parents=True)
        target.write_text(UNUSED.sub(r"\1", (REFERENCE / file).read_text(encoding="utf-8")), encoding="utf-8")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/anchor.pem").write_bytes((REFERENCE / "lists/anchor.pem").read_bytes())

    mistakes, _ = check(tmp_path)

    assert {mistake.kind for mistake in mistakes} <= allowed


def test_every_comment_speaks_both_languages() -> None:
    """Each explained key has Japanese and English before its default."""
    for file in MODELS:
        block: list[str] = []
        for line in (REFERENCE / file).read_text(encoding="utf-8").splitlines():
            if not line.lstrip().startswith("# "):
                block = []
                continue
            block.append(line)
            if line.strip() in {f"# {REQUIRED}", f"# {BELOW}"} or DEFAULT.search(line):
                words = " ".join(block[:-1])
                assert re.search("[ぁ-んァ-ヶ一-龠]", words), f"{file}: {block}"
                assert re.search("[a-z]{2,} [a-z]{2,}|[A-Z][a-z]+ ", words), f"{file}: {block}"


def test_the_demo_has_no_mistakes() -> None:
    """The demo's configuration, before it is started, has nothing but notes."""
    mistakes, _ = check(REFERENCE.parent / "demo")

    assert mistakes == ()
