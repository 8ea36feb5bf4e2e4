import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from jinja2.ext import babel_extract

from federation.refusal import BY_CODE
from observability import page
from observability.events import CallOutcome, LoginOutcome
from observability.health import ListState
from observability.overview import Overview, Severity, Window
from observability.series import minute_of
from observability.vocabulary import LIST_CODES
from tests.observability.builders import NAMES, NOW, facts, overview, traffic, troubled

HOSTILE = "<script>alert(1)</script>\"'&"
VOID = {"meta", "link", "br", "img", "path", "rect", "circle", "input"}


class Document(HTMLParser):
    """Every element with its attributes; complains of elements that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element without content."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """An element ends: the one that began last."""
        if tag not in VOID:
            assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        """A text: noted inside script and style."""
        if self.open and self.open[-1] in ("script", "style"):
            self.scripts.append(data)


def identity(text: str) -> str:
    """English: the message identifiers themselves."""
    return text


def hostile() -> Overview:
    """An overview whose names are all attacks."""
    return Overview.build(
        {minute_of(NOW): {"login:1:refused": 4, f"refusal:{HOSTILE}": 2, f"call:{HOSTILE}:ok": 2}},
        facts(lists=(ListState(name=HOSTILE, code=HOSTILE), ListState(name=HOSTILE, valid_until=NOW))),
        {"1": {"ja": HOSTILE, "en": HOSTILE}, "2": {"xx": HOSTILE}},
        version=HOSTILE,
    )


SAMPLES = {
    "calm": overview(),
    "day": overview(window=Window.DAY),
    "empty": overview(counts={}, lists=()),
    "troubled": troubled(),
    "hostile": hostile(),
    "nothing configured": Overview.build({}, facts(lists=()), {}),
}


@pytest.fixture(params=SAMPLES.values(), ids=SAMPLES)
def sample(request: pytest.FixtureRequest) -> Overview:
    """Each of the samples in turn."""
    built: Overview = request.param
    return built


def test_the_page_is_well_formed_and_has_nothing_inline(sample: Overview):
    """Elements close in order; nothing inline stands in the page, and nothing comes from elsewhere."""
    document = Document(page.render(sample, identity, "en"))
    assert document.scripts == []
    for tag, attributes in document.elements:
        assert tag != "style"
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("href", "src", "data-source", "action"):
            address = attributes.get(name) or ""
            assert not re.match(r"[a-z]+:|//", address), address
    ids = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert sorted(set(ids)) == sorted(ids)


def test_names_are_escaped():
    """Whatever a list, a municipality or a counter is called, it is text."""
    text = page.render(hostile(), identity, "en")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;" in text


def test_a_translation_cannot_bring_markup_of_a_parameter():
    """Parameters are escaped inside a translated sentence too."""
    text = page.render(hostile(), lambda text: f"«{text}»", "ja")
    assert "«The trust list &lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_sections_of_the_refresh_are_those_of_the_page(sample: Overview):
    """What JavaScript puts in place is what the server drew, so the two can never differ."""
    text = re.sub(r"\s+", "", page.render(sample, identity, "ja"))
    answer = json.loads(json.dumps(page.document(sample, identity, "ja")))
    assert list(page.SECTIONS) == list(answer["sections"])
    for section in answer["sections"].values():
        assert re.sub(r"\s+", "", section) in text
    assert sample.severity.value == answer["severity"]
    assert sample.to_json() == answer["overview"]


def test_the_first_words_say_whether_anything_is_wrong():
    """One line of words, and the title of the window, tell the state."""

    def headline(built: Overview) -> str:
        found = re.search(r'<p class="headline" role="status">(.*?)</p>', page.render(built, identity, "en"))
        assert found is not None
        return found[1]

    assert headline(SAMPLES["calm"]) == "Everything works."
    assert headline(troubled()) == "Trouble. The store does not answer: nobody can sign in."
    assert "<title>✖ Trouble. – Kakehashi operations</title>" in page.render(troubled(), identity, "en")


def test_charts_have_their_figures_as_a_table():
    """What the picture shows can be read without seeing it."""
    text = page.render(overview(counts={minute_of(NOW): {"login:102016:granted": 12}}), identity, "en")
    row = re.search(r"<tr><th scope=\"row\">02:13</th>(.*?)</tr>", text)
    assert row is not None
    assert re.findall(r"<td[^>]*>(\d+)</td>", row[1]) == ["12", "0", "0"]
    assert "Logins per minute: 12 in this period; at most 12 per bar." in text


def test_quiet_municipalities_of_a_large_region_are_only_counted():
    """With very many municipalities, those where something happened are shown."""
    names = {f"{number:06}": {"ja": f"市{number}"} for number in range(100)}
    counts = {minute_of(NOW): {"login:000007:granted": 1}}
    text = page.render(Overview.build(counts, facts(), names), identity, "ja")
    assert "市7" in text
    assert "市8" not in text
    assert "Municipalities where nothing happened: 99." in text


def test_languages():
    """The page says its language, offers the others, and marks a name that is in another one."""
    text = page.render(SAMPLES["calm"], identity, "en")
    assert '<html lang="en">' in text
    assert '<a href="?lang=ja&amp;window=hour" lang="ja" hreflang="ja">日本語</a>' in text
    built = Overview.build(traffic(), facts(), {"102016": {"ja": "前橋市"}})
    assert '<span lang="ja">前橋市</span>' in page.render(built, identity, "en")
    assert "Maebashi City" in text
    assert NAMES["102016"]["ja"] in page.render(SAMPLES["calm"], identity, "ja")


def test_everything_that_can_happen_has_words():
    """Each finding, outcome, code and refusal is explained; a refusal at least by its parent's line."""
    assert set(Severity) == set(page.HEADLINES)
    assert {*LoginOutcome, *CallOutcome} == set(page.OUTCOMES)
    assert set(page.LIST_CODES) == LIST_CODES
    assert set(page.HINTS) <= set(BY_CODE)
    without = [code for code in BY_CODE if None in page._reason(code)]
    assert without == [], "add a line to HINTS in observability/page.py"
    for what, advice in page.FINDINGS.values():
        assert what.endswith(".")
        assert advice.endswith(".")
    assert {finding.code for finding in troubled().findings} <= set(page.FINDINGS)


def extracted(path: Path) -> Iterator[Any]:
    """The messages of a template as Babel sees them."""
    options = {"silent": "false", "trimmed": "true", "newstyle_gettext": "true", "encoding": "utf-8"}
    with path.open("rb") as file:
        for _, message, _, _ in extract(babel_extract, file, DEFAULT_KEYWORDS, (), options):
            yield message


def test_every_word_of_the_templates_can_be_translated():
    """Between the tags of the templates stands nothing that the catalogue does not know."""
    for path in sorted(page.TEMPLATES.glob("*.html")):
        text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", " ", path.read_text(), flags=re.DOTALL)
        words = re.findall(r"[A-Za-z]{2,}", re.sub(r"<[^>]*>", " ", text))
        assert words == [], path.name
        assert path.name == "parts.html" or list(extracted(path)), path.name


def test_static_files_are_all_there_is():
    """Every file that the page names exists, and none of them loads anything from elsewhere."""
    text = page.render(SAMPLES["calm"], identity, "en")
    named = set(re.findall(r'"static/([^"?]+)\?v=[0-9a-f]{12}"', text))
    assert {path.name for path in page.STATIC.iterdir()} == named
    for path in page.STATIC.iterdir():
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(", path.read_text()), path.name


STAGED = page.Staged(
    name="region-saml",
    digest="ab" * 32,
    since=NOW,
    sequence=7,
    valid_until=NOW,
    lines=tuple(f"{HOSTILE} {number}" for number in range(page.MOST_LINES + 3)),
)


@pytest.mark.parametrize("language", ["ja", "en"])
def test_a_version_that_waits_is_shown_with_a_way_to_decide(language: str):
    """In words, the first of them on the page and all of them where it is decided; nothing in them becomes markup."""
    text = page.render(overview(), str, language, [STAGED])
    links = [
        attrs["href"] for name, attrs in Document(text).elements if name == "a" and "staged" in (attrs["href"] or "")
    ]
    assert links == [f"operations/staged/region-saml?lang={language}"]
    assert text.count("alert(1)") == page.MOST_LINES
    assert "More changes: 3." in text
    assert "alert(1)" in page.document(overview(), str, language, [STAGED])["sections"]["staged"]

    text = page.decision(STAGED, str, language, token=HOSTILE, failed="who")
    found = Document(text)
    assert found.scripts == []
    fields = {attrs["name"]: attrs.get("value") for name, attrs in found.elements if name == "input"}
    assert fields == {"who": None, "digest": STAGED.digest, "token": HOSTILE}
    assert [attrs["value"] for name, attrs in found.elements if name == "button"] == ["approved", "rejected"]
    assert page.PROBLEMS["who"] in text
    assert "<script>" not in text
