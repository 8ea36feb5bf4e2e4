"""The languages that residents read: catalogues, which language to use, and keeping the catalogues complete.

English is the source language: its sentences are the message identifiers. Every other language has a file
`locale/LANGUAGE/LC_MESSAGES/messages.po`, compiled in memory when it is loaded, so that no compiled file can
be older than its source. `python -m gateway.messages check` says everything that is wrong with a catalogue;
`update` brings it in line with the source.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po, write_po

SOURCE_LANGUAGE = "en"
DEFAULT_LANGUAGE = "ja"
LANGUAGE_NAMES: Mapping[str, str] = {"ja": "日本語", "en": "English"}
"""Every language that the pages speak, under its own name, in the order in which the pages offer them."""

LANGUAGE_COOKIE = "kakehashi_lang"
LANGUAGE_PARAMETER = "lang"

ROOT = Path(__file__).resolve().parent.parent
LOCALE = Path(__file__).resolve().parent / "locale"
MARKED_ROOMS = ("federation", "observability", "gateway")
"""The packages whose Python files and templates hold marked sentences."""
EXTRACTORS: Mapping[str, str] = {".py": "python", ".html": "jinja2.ext:babel_extract"}
"""Which of Babel's extractors reads which files, by suffix."""

_PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|\{\w*\}")
_LONGEST_HEADER = 500
_LINE_WIDTH = 110


@dataclass(frozen=True, slots=True)
class Messages:
    """The catalogues of all languages, loaded once and shared; nothing in them changes afterwards."""

    catalogues: Mapping[str, NullTranslations]
    default: str = DEFAULT_LANGUAGE

    @classmethod
    def load(cls, *, default: str = DEFAULT_LANGUAGE, locale: Path = LOCALE) -> "Messages":
        """Read and compile every catalogue. Raises OSError or `PoFileError` if one cannot be read."""
        if default not in LANGUAGE_NAMES:
            raise ValueError(f"default language {default!r}: expected one of {', '.join(LANGUAGE_NAMES)}")
        catalogues: dict[str, NullTranslations] = {SOURCE_LANGUAGE: NullTranslations()}
        for language in LANGUAGE_NAMES:
            if language != SOURCE_LANGUAGE:
                catalogues[language] = compiled(read_catalogue(language, locale))
        return cls(catalogues, default)

    def for_language(self, language: str) -> NullTranslations:
        """The catalogue of `language`, or of the default language if the pages do not speak it."""
        return self.catalogues.get(language) or self.catalogues[self.default]

    def negotiate(
        self,
        *,
        explicit: str | None = None,
        cookie: str | None = None,
        requested: Iterable[str] = (),
        accept_language: str | None = None,
    ) -> str:
        """The language of a page: the first wish that the pages speak, else the default.

        Wishes in this order: `explicit` (the `lang` parameter: the person pressed the switch), `cookie` (they
        pressed it earlier), `requested` (`ui_locales` of the relying service, in its order),
        `accept_language` (the browser's header, RFC 9110 §12.5.4). Matching is look-up of RFC 4647 §3.4:
        `en-GB` finds `en`. Anything malformed is passed over.
        """
        wishes = [explicit, cookie, *requested, *accepted_languages(accept_language or "")]
        for wish in wishes:
            primary = (wish or "").strip().lower().replace("_", "-").partition("-")[0]
            if primary in self.catalogues:
                return primary
        return self.default


def accepted_languages(header: str) -> list[str]:
    """The language ranges of an Accept-Language header, dearest first (RFC 9110 §12.5.4).

    `*`, a range of weight 0 and anything malformed are left out; only the header's first 500 characters are
    read.
    """
    weighted: list[tuple[float, str]] = []
    for part in header[:_LONGEST_HEADER].split(","):
        tag, _, parameter = part.partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            weight = float(value) if name.strip().lower() == "q" else 1.0
        except ValueError:
            continue
        if tag.strip() not in ("", "*") and 0 < weight <= 1:
            weighted.append((weight, tag.strip()))
    return [tag for _, tag in sorted(weighted, key=lambda pair: -pair[0])]


def catalogue_path(language: str, locale: Path = LOCALE) -> Path:
    """Where the catalogue of `language` stands."""
    return locale / language / "LC_MESSAGES" / "messages.po"


def read_catalogue(language: str, locale: Path = LOCALE) -> Catalog:
    """The catalogue as its file says it. Raises OSError, `PoFileError`."""
    with catalogue_path(language, locale).open("rb") as file:
        return read_po(file, locale=language, charset="utf-8", abort_invalid=True)


def compiled(catalogue: Catalog) -> GNUTranslations:
    """The catalogue in the form that answers fast; fuzzy messages are left out."""
    buffer = BytesIO()
    write_mo(buffer, catalogue)
    buffer.seek(0)
    return GNUTranslations(buffer)


# --- keeping the catalogues complete


def source_catalogue(root: Path = ROOT) -> Catalog:
    """Every sentence marked in the source: `_()`, `N_()`, `ngettext()`, and `{% trans %}` in templates.

    Raises jinja2.TemplateSyntaxError for a template that cannot be read.
    """
    catalogue = Catalog(project="kakehashi-gateway", charset="utf-8", fuzzy=False)
    for room in MARKED_ROOMS:
        for path in sorted((root / room).rglob("*")):
            if path.suffix not in EXTRACTORS:
                continue
            for line, identifier, comments, _ in _extracted(path):
                location = (path.relative_to(root).as_posix(), line)
                catalogue.add(identifier, locations=[location], auto_comments=comments)
    return catalogue


def _extracted(path: Path) -> Iterable[tuple[int, str | tuple[str, ...], list[str], str | None]]:
    options = {"silent": "false", "trimmed": "true", "newstyle_gettext": "true", "encoding": "utf-8"}
    content = BytesIO(path.read_bytes())
    return extract(EXTRACTORS[path.suffix], content, DEFAULT_KEYWORDS, ("Translators:",), options)


def faults(source: Catalog, translated: Catalog) -> list[str]:
    """Everything that is wrong with `translated`, one sentence each; empty if it is complete."""
    found = []
    for message in source:
        if not message.id:
            continue
        there = translated.get(message.id)
        found += [f"missing: {_first(message)!r}"] if there is None else _faults_of(there)
    found += [f"obsolete: {_first(m)!r}" for m in translated if m.id and source.get(m.id) is None]
    found += [f"obsolete: {_first(m)!r}" for m in translated.obsolete.values()]
    return found


def _faults_of(message: Message) -> list[str]:
    found = []
    if message.fuzzy:
        found.append(f"fuzzy: {_first(message)!r}")
    strings = (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
    if not strings or not all(strings):
        return [*found, f"not translated: {_first(message)!r}"]
    expected = _placeholders(message.id if isinstance(message.id, str) else message.id[-1])
    found += [
        f"placeholders differ: {_first(message)!r}: {string!r}"
        for string in strings
        if _placeholders(string) != expected
    ]
    return found


def _first(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def _placeholders(text: str) -> frozenset[str]:
    return frozenset(_PLACEHOLDER.findall(text))


def check(root: Path = ROOT, locale: Path = LOCALE) -> list[str]:
    """Every fault of every catalogue, with its file; empty if all are complete and compile."""
    source = source_catalogue(root)
    found = []
    for language in LANGUAGE_NAMES:
        if language == SOURCE_LANGUAGE:
            continue
        path = catalogue_path(language, locale)
        try:
            translated = read_catalogue(language, locale)
        except (OSError, PoFileError) as error:
            found.append(f"{path}: cannot be read: {error}")
            continue
        found += [f"{path}: {fault}" for fault in faults(source, translated)]
        compiled(translated)
    return found


def update(root: Path = ROOT, locale: Path = LOCALE) -> None:
    """Bring every catalogue in line with the source: new sentences come in empty, those no longer used go."""
    source = source_catalogue(root)
    for language in LANGUAGE_NAMES:
        if language == SOURCE_LANGUAGE:
            continue
        path = catalogue_path(language, locale)
        if path.exists():
            catalogue = read_catalogue(language, locale)
        else:
            path.parent.mkdir(parents=True)
            catalogue = Catalog(locale=language, project="kakehashi-gateway", charset="utf-8", fuzzy=False)
        source.creation_date = catalogue.creation_date
        catalogue.update(source, no_fuzzy_matching=True)
        with path.open("wb") as file:
            write_po(file, catalogue, width=_LINE_WIDTH, include_lineno=False, ignore_obsolete=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """`check` (exit status 1 if anything is wrong) or `update`."""
    parser = argparse.ArgumentParser(prog="python -m gateway.messages", description="Message catalogues")
    parser.add_argument("command", choices=["check", "update"])
    if parser.parse_args(arguments).command == "update":
        update()
        return 0
    found = check()
    sys.stdout.write("\n".join(found) + "\n" if found else "Message catalogues are complete.\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
