"""The residents' pages: what they say, that they escape everything, and that everyone can use them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from jinja2 import UndefinedError

from federation.refusal import FlowUnknown
from federation.web import PostForm
from gateway import pages
from gateway.messages import Messages
from gateway.page_languages import in_language
from gateway.pages import ChoicePage, ConsentItem, ErrorPage, PostFormPage, ServiceLink, headers, render

from .pages_sample import CONSENT, OPTIONS, PAGES, PORTAL

HOSTILE = "\"'><script>alert(1)</script>%(service)s{{ 7 * 7 }}"
VOID = {"meta", "link", "input", "img", "br"}
REGION_NAME = {"ja": "共同利用地域", "en": "Shared region"}
CONTACT = {"ja": "窓口 027-000-0000", "en": "Desk 027-000-0000"}
ENVIRONMENT = pages.make_environment(Messages.load(), region_name=REGION_NAME, region_contact=CONTACT)

every_page = pytest.mark.parametrize("name", PAGES)
both_languages = pytest.mark.parametrize("language", ["ja", "en"])


@dataclass
class Element:
    """A start tag, with the text that follows until its end."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    parents: tuple[str, ...] = field(default=())


class Outline(HTMLParser):
    """All elements of a document, in order. Fails on tags that are not closed in their order."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.open: list[Element] = []
        self.feed(document)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs) -> None:
        """Note the element; an attribute given twice is an error."""
        assert len(dict(attrs)) == len(attrs)
        parents = tuple(element.tag for element in self.open)
        element = Element(tag, {name: value or "" for name, value in attrs}, parents=parents)
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag) -> None:
        """Close what was opened last."""
        assert self.open.pop().tag == tag

    def handle_data(self, data) -> None:
        """Give the text to every element around it."""
        for element in self.open:
            element.text += data

    def all(self, *tags: str) -> list[Element]:
        """List the elements with one of these tags."""
        return [element for element in self.elements if element.tag in tags]


def outline(name_or_page, language: str, here: str | None = "/login/h4ndle/choose") -> Outline:
    """Render a page, or the sample page of that name, and outline it."""
    page = PAGES[name_or_page] if isinstance(name_or_page, str) else name_or_page
    return Outline(render(ENVIRONMENT, page, language=language, here=here))


def texts(elements: list[Element]) -> list[str]:
    """List the texts of the elements, white space collapsed."""
    return [" ".join(element.text.split()) for element in elements]


# --- what every page keeps to


@every_page
@both_languages
def test_says_its_language(name: str, language: str) -> None:
    """`lang` stands on the document, and a title that names page and gateway in it."""
    found = outline(name, language)
    assert found.all("html")[0].attributes["lang"] == language
    title = found.all("title")[0].text
    assert title.endswith({"ja": " | かけはし", "en": " | Kakehashi"}[language])
    assert texts(found.all("h1")) == [title.rpartition(" | ")[0]]


@every_page
@both_languages
def test_has_no_inline_code(name: str, language: str) -> None:
    """No inline script, style or handler; everything loaded comes from /static/ and exists."""
    for element in outline(name, language).elements:
        assert element.tag != "style"
        assert not [a for a in element.attributes if a == "style" or a.startswith("on")]
        loaded = element.attributes.get("src") or (element.tag == "link" and element.attributes["href"])
        if element.tag == "script":
            assert element.text == ""
            assert loaded
        if loaded:
            address, _, digest = loaded.partition("?v=")
            assert address.startswith("/static/")
            assert (pages.STATIC / address.removeprefix("/static/")).is_file()
            assert re.fullmatch("[0-9a-f]{12}", digest)


@every_page
@both_languages
def test_has_a_structure_to_navigate(name: str, language: str) -> None:
    """Landmarks, a skip link to the main part, headings without gaps, unique ids that references find."""
    found = outline(name, language)
    assert [len(found.all(tag)) for tag in ("header", "main", "footer")] == [1, 1, 1]
    skip = found.all("a")[0].attributes["href"]
    assert skip == "#" + found.all("main")[0].attributes["id"]
    levels = [int(heading.tag[1]) for heading in found.all("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [element.attributes["id"] for element in found.elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for element in found.elements:
        for attribute in ("aria-labelledby", "aria-describedby", "for"):
            assert element.attributes.get(attribute, ids and ids[0]) in ids


@every_page
@both_languages
def test_everything_has_a_name(name: str, language: str) -> None:
    """Images have an alternative, visible fields a label, buttons and links a text."""
    found = outline(name, language)
    labelled = {label.attributes["for"] for label in found.all("label")}
    assert all("alt" in image.attributes for image in found.all("img"))
    assert all(text for text in texts(found.all("a", "button")))
    for control in found.all("input"):
        assert control.attributes["type"] == "hidden" or control.attributes["id"] in labelled


@every_page
@both_languages
def test_forms_work_without_javascript(name: str, language: str) -> None:
    """Each form posts by a visible button; nothing that a form needs is hidden until a script shows it."""
    found = outline(name, language)
    for form in found.all("form"):
        assert form.attributes["method"] == "post"
        assert form.attributes["action"]
        assert "hidden" not in form.attributes
    buttons = found.all("button")
    assert all(button.attributes["type"] == "submit" and "form" in button.parents for button in buttons)
    assert bool(found.all("form")) == bool(buttons)
    outside = [element for element in found.all("input") if "form" not in element.parents]
    assert [element.attributes["id"] for element in outside] == (["search"] if name == "choice" else [])
    assert not [element for element in outside if "name" in element.attributes]


@every_page
@both_languages
def test_offers_the_other_language(name: str, language: str) -> None:
    """The switch keeps the page's address and the rest of its query; a page that answers a POST has none."""
    other = {"ja": "en", "en": "ja"}[language]
    found = outline(name, language, here=f"//evil.example/x?a=1&lang={language}&b=%E5%B8%82")
    (link,) = [element for element in found.all("a") if "hreflang" in element.attributes]
    assert link.attributes == {"href": f"?a=1&b=%E5%B8%82&lang={other}", "lang": other, "hreflang": other}
    assert link.text == {"ja": "日本語", "en": "English"}[other]
    assert not [e for e in outline(name, language, here=None).all("a") if "hreflang" in e.attributes]


@every_page
def test_languages_do_not_mix(name: str) -> None:
    """An English page has no Japanese outside of elements that say so."""
    document = render(ENVIRONMENT, PAGES[name], language="en", here="/")
    foreign = re.compile(r'<(\w+)[^>]* lang="ja"[^>]*>.*?</\1>', re.DOTALL)
    attributes = re.compile(r'data-search="[^"]*"')
    assert not re.search(r"[\u3040-\u9fff]", attributes.sub("", foreign.sub("", document)))


@both_languages
def test_region_and_contact_stand_in_the_footer(language: str) -> None:
    """Who runs this, and whom to ask."""
    (footer,) = outline("index", language).all("footer")
    assert REGION_NAME[language] in footer.text
    assert CONTACT[language] in footer.text


def test_region_may_be_unknown() -> None:
    """Without a region's name and contact the pages still render."""
    environment = pages.make_environment(Messages.load())
    assert "None" not in render(environment, PAGES["index"], language="ja")


def test_an_unknown_variable_is_an_error() -> None:
    """A template that asks for what it was not given fails, rather than showing a gap."""
    with pytest.raises(UndefinedError):
        ENVIRONMENT.from_string("{{ nothing }}").render()


# --- hostile values


def hostile_pages() -> Iterator[pages.Page]:
    """Every page with hostile text in every place that takes text."""
    service = ServiceLink(name={"ja": HOSTILE}, address="https://x.example/" + HOSTILE, purpose={"ja": HOSTILE})
    option = replace(OPTIONS[0], id=HOSTILE, name={"ja": HOSTILE}, reading=HOSTILE, description={"ja": HOSTILE})
    yield pages.IndexPage(systems=(option,), services=(service,))
    options = (option, replace(option, last=True))
    yield ChoicePage(service=service, options=options, unusable=({"ja": HOSTILE},), action=HOSTILE, csrf=HOSTILE)
    yield replace(
        CONSENT,
        service=service,
        purpose={"ja": HOSTILE},
        items=(ConsentItem(label={"ja": HOSTILE}, values=(HOSTILE, "市" + HOSTILE)),),
        scopes=(
            pages.ConsentScope(
                label={"ja": HOSTILE}, told=(ConsentItem(label={"ja": HOSTILE}, values=(HOSTILE, "市" + HOSTILE)),)
            ),
        ),
        municipality={"ja": HOSTILE},
        csrf=HOSTILE,
    )
    yield ErrorPage(title=HOSTILE, advice=HOSTILE, reference=HOSTILE, service=service, another=HOSTILE)
    yield PostFormPage(action="https://x.example/" + HOSTILE, fields=((HOSTILE, HOSTILE),))


@pytest.mark.parametrize("page", list(hostile_pages()), ids=lambda page: type(page).__name__)
@both_languages
def test_hostile_values_are_only_text(page: pages.Page, language: str) -> None:
    """Markup, placeholders and template syntax in values are shown as they are."""
    document = render(ENVIRONMENT, page, language=language, here="/?x=" + HOSTILE)
    assert all("src" in script.attributes for script in Outline(document).all("script"))
    assert "<script>alert" not in document
    assert "{{ 7 * 7 }}" in document


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "", None, "//evil.example"])
def test_only_web_addresses_become_links(address: str | None) -> None:
    """A service's address that is no web address is not linked."""
    page = replace(CONSENT, service=replace(PORTAL, address=address))
    assert page.service.link is None
    assert page.service.host is None
    choice = ChoicePage(service=page.service, options=OPTIONS, action="/x", csrf="t")
    assert not [a for a in outline(choice, "ja").all("main") if "やめて" in a.text]


def test_forms_are_posted_to_web_addresses_only() -> None:
    """A form to another scheme is refused, whoever asked for it."""
    with pytest.raises(ValueError, match="http or https"):
        PostFormPage(action="javascript:alert(1)", fields=())


# --- the single pages


def test_choice_offers_the_last_choice_first() -> None:
    """The last choice stands first under its own heading; each button carries its ID system."""
    found = outline("choice", "ja")
    assert texts(found.all("h2")) == ["前回の選択", "ほかの自治体"]
    assert [(b.attributes["name"], b.attributes["value"]) for b in found.all("button")] == [
        ("system", "omura"),
        ("system", "maebashi"),
        ("system", "ebetsu"),
    ]
    assert texts(found.all("button"))[0] == "大村市 おおむらし 市民カードを使います"
    (form,) = found.all("form")
    assert form.attributes["action"] == "/login/h4ndle/choose"
    (token,) = [e for e in found.all("input") if e.attributes["type"] == "hidden"]
    assert (token.attributes["name"], token.attributes["value"]) == ("csrf", "t0ken")


def test_choice_without_a_last_one_is_one_list() -> None:
    """A first visit sees one list in the order given."""
    options = tuple(replace(option, last=False) for option in OPTIONS)
    found = outline(ChoicePage(service=PORTAL, options=options, action="/x", csrf="t"), "en")
    assert texts(found.all("h2")) == ["Municipalities"]
    assert texts(found.all("button"))[0] == "Maebashi City 前橋市 With Mebuku ID"


def test_search_looks_through_every_spelling() -> None:
    """Kanji, reading, Latin name and code are there for the search, in either language of the page."""
    for language in ("ja", "en"):
        items = [e.attributes.get("data-search") for e in outline("choice", language).all("li")]
        assert "前橋市 Maebashi City まえばしし 102016" in items


@pytest.mark.parametrize(
    ("language", "facts", "values"),
    [
        (
            "ja",
            ["群馬県ポータル portal.example", "意見を聞くため", "2027年11月22日まで"],
            ["髙橋 花子", "1949年3月15日", "山田 はな", "Hana Yamada", "はい"],
        ),
        (
            "en",
            ["Gunma Prefecture portal portal.example", "To hear opinions", "Until 22 November 2027"],
            ["髙橋 花子", "15 March 1949", "山田 はな", "Hana Yamada", "Yes"],
        ),
    ],
)
def test_consent_shows_what_leaves(language: str, facts: list[str], values: list[str]) -> None:
    """To whom, what for, until which day in Japan, and every value, those for shared services among them."""
    shown = texts(outline("consent", language).all("dd"))
    assert [text.startswith(fact) for text, fact in zip(shown, facts, strict=False)] == [True] * 3
    assert shown[3:] == values


def test_consent_offers_two_decisions() -> None:
    """The decisions "agree" and "not now", equally reachable, in one form with its token."""
    buttons = outline("consent", "ja").all("button")
    assert [(b.text, b.attributes["name"], b.attributes["value"]) for b in buttons] == [
        ("同意して進む", "decision", "agree"),
        ("今はしない", "decision", "not-now"),
    ]
    assert texts(outline("consent", "en").all("button")) == ["Agree and continue", "Not now"]


def test_consent_says_what_the_service_may_do() -> None:
    """API scopes stand under their own heading; without any there is no such heading."""
    heading = "This service may act for you"
    found = outline("consent", "en")
    assert heading in texts(found.all("h2"))
    items = texts(found.all("li"))
    assert "See polls" in items
    assert any(text.startswith("Vote") and "is then told: Whether 18 or older" in text for text in items)
    assert heading not in texts(outline(replace(CONSENT, scopes=()), "en").all("h2"))


def test_consent_to_scopes_alone() -> None:
    """If no attribute leaves, the page says so."""
    document = render(ENVIRONMENT, replace(CONSENT, items=()), language="ja")
    assert "名前や住所などの情報は送りません。" in document


def test_consent_needs_a_time_with_its_zone() -> None:
    """A time without zone names no day and is an error."""
    with pytest.raises(ValueError, match="zone"):
        render(ENVIRONMENT, replace(CONSENT, until=datetime(2027, 11, 22)), language="ja")  # noqa: DTZ001


@pytest.mark.parametrize("value", ["1949-02-30", "1949-03", "1949-03-15T00:00", "１９４９-０３-１５"])
def test_what_is_no_date_is_shown_as_it_is(value: str) -> None:
    """Only a complete, existing ISO date is put into words."""
    page = replace(CONSENT, items=(ConsentItem(label={"ja": "日付"}, values=(value,)),), scopes=())
    assert texts(outline(page, "ja").all("dd"))[-1] == value


def test_error_says_what_to_do_in_every_language() -> None:
    """Title, advice and reference in the page's language first, then in the other; the detail never."""
    document = render(ENVIRONMENT, PAGES["error"], language="ja")
    found = Outline(document)
    assert texts(found.all("h1")) == ["このサービスには、もっと確かな本人確認が必要です"]
    (other,) = [e for e in found.all("section") if e.attributes.get("lang") == "en"]
    assert "The service needs a stronger proof of identity" in other.text
    assert document.count("7F3K-92QD") == 2
    assert "inner detail" not in document
    assert "群馬県ポータルに戻る" in texts(found.all("a"))


def test_error_without_a_service_leads_to_all_services() -> None:
    """Where the service is unknown, no way back is made up: the list of services is offered."""
    page = ErrorPage.of(FlowUnknown(), reference="7F3K-92QD")
    assert [e.attributes["href"] for e in outline(page, "en", here=None).all("a")] == [
        "#main",
        "/?lang=en",
        "/?lang=en#your-data",
    ]


def test_post_form_carries_its_fields() -> None:
    """Fields go unchanged and in order, with a button for who has no JavaScript."""
    form = PostForm(action="https://x.example/acs?a=1&b=2", fields=(("SAMLResponse", "PHg+"), ("b", 'q"')))
    found = outline(PostFormPage.of(form), "ja", here=None)
    assert found.all("form")[0].attributes["action"] == form.action
    fields = [(e.attributes["name"], e.attributes["value"]) for e in found.all("input")]
    assert tuple(fields) == form.fields
    assert texts(found.all("button")) == ["進む"]


def test_texts_in_another_language_are_marked() -> None:
    """A name that is configured in Japanese only appears on the English page, marked as Japanese."""
    page = replace(CONSENT, municipality={"ja": "前橋市"})
    assert '<span lang="ja">前橋市</span>' in render(ENVIRONMENT, page, language="en")
    assert '<span lang="ja">髙橋 花子</span>' in render(ENVIRONMENT, CONSENT, language="en")
    assert 'lang="ja">' not in render(ENVIRONMENT, CONSENT, language="ja").partition("<body>")[2]


def test_until_is_the_day_in_japan() -> None:
    """16:00 UTC is already the next day in Japan."""
    page = replace(CONSENT, until=datetime(2027, 12, 31, 15, 0, tzinfo=UTC))
    assert "2028年1月1日まで" in render(ENVIRONMENT, page, language="ja")


# --- headers


@every_page
def test_headers_keep_others_out(name: str) -> None:
    """Nothing inline or from outside, no framing, no storing; `form-action` where no redirect leads away."""
    found = headers(PAGES[name])
    policy = dict(part.split(" ", 1) for part in found["Content-Security-Policy"].split("; "))
    leads_away = name in ("choice", "choice-none", "consent", "post") or name.startswith("signing")
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "script-src": "'self'",
        "img-src": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    } | ({} if leads_away else {"form-action": "'self'"})
    assert found["Cache-Control"] == "no-store"
    assert found["Referrer-Policy"] == "strict-origin"


# --- the demo's frame


@both_languages
def test_demo_frame_says_that_it_is_a_demo(language: str) -> None:
    """A demo system shows its own name and colour, and says that it is not the municipality's."""
    template = ENVIRONMENT.from_string(
        '{% extends "demo/base.html" %}{% block title %}Hi{% endblock %}{% block content %}<p>x</p>{% endblock %}'
    )
    document = template.render(system_name="前橋市", system_kind="ID", theme="theme-maebashi", language=language)
    found = Outline(document)
    assert found.all("body")[0].attributes["class"] == "theme-maebashi"
    assert {"ja": "本物の自治体のページではありません", "en": "not a real site"}[language] in document
    assert "前橋市" in found.all("header")[0].text


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize(
    "fields",
    [(), (("SAMLResponse", "PHNhbWxwOlJlc3BvbnNlPg=="), ("RelayState", "\"'><script>alert(1)</script>&amp;\n"))],
    ids=["none", "hostile"],
)
def test_the_page_that_hands_a_form_over_is_what_its_template_makes(
    language: str, fields: tuple[tuple[str, str], ...]
) -> None:
    """It is put together faster than the others, and is the same to the octet."""
    page = PostFormPage(action='https://service.example/acs?a=1&b="2"', fields=fields)
    made = ENVIRONMENT.get_template(page.template).render(pages.context(page, language=language))
    assert [render(ENVIRONMENT, page, language=language) for _ in range(2)] == [made, made]


@both_languages
@every_page
def test_a_page_is_the_same_however_its_sentences_were_translated(name: str, language: str) -> None:
    """Most stand in the compiled templates of their language, instead of being looked up for each page."""
    page = PAGES[name]
    made = ENVIRONMENT.get_template(page.template).render(pages.context(page, language=language, here="/x?a=1"))
    assert render(ENVIRONMENT, page, language=language, here="/x?a=1") == made


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ('{{ _("Choose") }}', "選ぶ"),
        ("{{ _('Choose') | upper }}{{ _('Choose') ~ '<' }}", "選ぶ選ぶ&lt;"),
        ('{{ [_("Choose"), _("100%%")] | join("&") }}', "選ぶ&amp;100%"),
        ('{% set word = "Choose" %}{{ _(word) }}', "選ぶ"),
        ('{{ _("Choose %(what)s", what="<") }}', "Choose &lt;"),
        ('_("Choose") {# _("Choose") #}', '_("Choose") '),
    ],
)
def test_a_sentence_stands_translated_wherever_it_is_used(template: str, said: str) -> None:
    """In an expression, beside others, as a variable; what is no call stays."""
    assert in_language(ENVIRONMENT, "ja").from_string(template).render(language="ja") == said


@pytest.mark.parametrize(("language", "said"), [("ja", ("はい", "いいえ")), ("en", ("Yes", "No"))])
def test_a_fact_is_told_as_yes_or_no(language: str, said: tuple[str, str]) -> None:
    """A service gets true or false; a person reads their own language."""
    label = {"ja": "18歳以上かどうか", "en": "Whether you are 18 or older"}
    for value, word in zip(("true", "false"), said, strict=True):
        page = replace(CONSENT, items=(ConsentItem(label=label, values=(value,), truth=True),))
        html = render(ENVIRONMENT, page, language=language)
        assert (f"<dd>{word}</dd>" in html, f">{value}<" in html) == (True, False)
