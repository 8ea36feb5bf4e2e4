"""Languages: which one a page speaks, and that the catalogues are complete."""

import shutil
from pathlib import Path

import pytest
from babel.messages.pofile import PoFileError
from hypothesis import given
from hypothesis import strategies as st

from gateway import messages as subject
from gateway.messages import Messages, accepted_languages, check, main, update

SOURCE = """from federation.refusal import N_
TITLE = N_("Nothing was sent")
"""
TEMPLATE = "<p>{% trans service=page.service %}Go back to {{ service }}{% endtrans %}</p>"
PO_HEADER = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n"Language: ja\\n"\n\n'
COMPLETE = PO_HEADER + (
    'msgid "Nothing was sent"\nmsgstr "何も送っていません"\n\n'
    'msgid "Go back to %(service)s"\nmsgstr "%(service)sに戻る"\n'
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one marked Python file, one template and room for a catalogue."""
    (tmp_path / "federation").mkdir()
    (tmp_path / "federation" / "refusal.py").write_text(SOURCE)
    (tmp_path / "gateway" / "pages").mkdir(parents=True)
    (tmp_path / "gateway" / "pages" / "page.html").write_text(TEMPLATE)
    (tmp_path / "locale" / "ja" / "LC_MESSAGES").mkdir(parents=True)
    return tmp_path


def checked(project: Path, catalogue: str) -> list[str]:
    """The faults of `catalogue` in `project`, without the file's name."""
    path = subject.catalogue_path("ja", project / "locale")
    path.write_text(catalogue)
    return [fault.removeprefix(f"{path}: ") for fault in check(project, project / "locale")]


def test_catalogues_of_the_project_are_complete() -> None:
    """Every sentence that the gateway shows has its Japanese."""
    assert check() == []


def test_check_command_says_so(capsys) -> None:
    """`python -m gateway.messages check` exits 0 on complete catalogues."""
    assert main(["check"]) == 0
    assert capsys.readouterr().out == "Message catalogues are complete.\n"


def test_check_command_fails(monkeypatch, capsys) -> None:
    """It exits 1 and lists every fault otherwise."""
    monkeypatch.setattr(subject, "check", lambda: ["one", "two"])
    assert main(["check"]) == 1
    assert capsys.readouterr().out == "one\ntwo\n"


def test_complete_catalogue_has_no_faults(project) -> None:
    """Marks in Python and in templates are found, and both are translated."""
    assert checked(project, COMPLETE) == []


@pytest.mark.parametrize(
    ("catalogue", "faults"),
    [
        (PO_HEADER, ["missing: 'Nothing was sent'", "missing: 'Go back to %(service)s'"]),
        (COMPLETE.replace('msgid "N', '#, fuzzy\nmsgid "N'), ["fuzzy: 'Nothing was sent'"]),
        (COMPLETE.replace("何も送っていません", ""), ["not translated: 'Nothing was sent'"]),
        (COMPLETE + '\nmsgid "Old"\nmsgstr "古い"\n', ["obsolete: 'Old'"]),
        (COMPLETE + '\n#~ msgid "Old"\n#~ msgstr "古い"\n', ["obsolete: 'Old'"]),
        (
            COMPLETE.replace("%(service)sに", "%(services)sに"),
            ["placeholders differ: 'Go back to %(service)s': '%(services)sに戻る'"],
        ),
    ],
)
def test_faults_are_named(project, catalogue: str, faults: list[str]) -> None:
    """Missing, fuzzy, empty, obsolete, and placeholders that differ: each is said."""
    assert checked(project, catalogue) == faults


def test_unreadable_catalogue_is_a_fault(project) -> None:
    """A broken or absent file is a fault with its path, not a traceback."""
    (fault,) = checked(project, 'msgid "x\n')
    assert fault.startswith("cannot be read: ")
    shutil.rmtree(project / "locale" / "ja")
    (fault,) = check(project, project / "locale")
    assert "cannot be read: " in fault


def test_update_adds_and_drops(project) -> None:
    """`update` keeps translations, adds new sentences empty and drops those that are gone."""
    old = COMPLETE.replace("Go back to %(service)s", "Old").replace("%(service)sに戻る", "古い")
    assert checked(project, old) == ["missing: 'Go back to %(service)s'", "obsolete: 'Old'"]
    update(project, project / "locale")
    assert check(project, project / "locale") == [
        f"{subject.catalogue_path('ja', project / 'locale')}: not translated: 'Go back to %(service)s'"
    ]
    assert "何も送っていません" in subject.catalogue_path("ja", project / "locale").read_text()


def test_update_begins_a_catalogue_and_is_stable(project) -> None:
    """`update` makes a missing catalogue, and a second one changes no byte."""
    shutil.rmtree(project / "locale" / "ja")
    path = subject.catalogue_path("ja", project / "locale")
    update(project, project / "locale")
    first = path.read_bytes()
    update(project, project / "locale")
    assert path.read_bytes() == first


def test_source_language_needs_no_catalogue() -> None:
    """English sentences are their own identifiers; Japanese come from the catalogue."""
    messages = Messages.load()
    assert messages.for_language("en").gettext("Not now") == "Not now"
    assert messages.for_language("ja").gettext("Not now") == "今はしない"
    assert messages.for_language("xx").gettext("Not now") == "今はしない"


def test_load_refuses_what_it_cannot_use(tmp_path) -> None:
    """An unknown default language and a missing or broken catalogue stop the start."""
    with pytest.raises(ValueError, match="expected one of ja, en"):
        Messages.load(default="fr")
    with pytest.raises(FileNotFoundError):
        Messages.load(locale=tmp_path)
    subject.catalogue_path("ja", tmp_path).parent.mkdir(parents=True)
    subject.catalogue_path("ja", tmp_path).write_text('msgid "x\n')
    with pytest.raises(PoFileError):
        Messages.load(locale=tmp_path)


@pytest.mark.parametrize(
    ("wishes", "language"),
    [
        ({}, "ja"),
        ({"explicit": "en", "cookie": "ja", "requested": ["ja"], "accept_language": "ja"}, "en"),
        ({"cookie": "en", "requested": ["ja"], "accept_language": "ja"}, "en"),
        ({"requested": ["pt-BR", "en-GB"], "accept_language": "ja"}, "en"),
        ({"accept_language": "fr, ja;q=0.2, en-US;q=0.7"}, "en"),
        ({"explicit": "xx", "cookie": "", "requested": ["", "?"], "accept_language": "en"}, "en"),
        ({"explicit": "EN_us"}, "en"),
        ({"accept_language": "*"}, "ja"),
        ({"accept_language": "en;q=0, fr"}, "ja"),
    ],
)
def test_the_first_wish_that_can_be_met_wins(wishes, language: str) -> None:
    """Switch, cookie, the service's request, the browser's header, default: in this order."""
    assert Messages.load().negotiate(**wishes) == language


def test_weights_order_the_header() -> None:
    """Equal weights keep their order; weight 0, `*` and nonsense are passed over (RFC 9110 §12.5.4)."""
    assert accepted_languages("de;q=0.5, en, ja;q=1.0, *;q=0.1, fr;q=0, it;q=x, ,;q=1") == ["en", "ja", "de"]


@given(st.text(max_size=600), st.text(max_size=20), st.lists(st.text(max_size=20), max_size=3))
def test_negotiation_takes_anything(header: str, cookie: str, requested: list[str]) -> None:
    """Whatever a browser sends, the answer is a language that the pages speak."""
    messages = Messages({"ja": subject.NullTranslations(), "en": subject.NullTranslations()})
    assert messages.negotiate(cookie=cookie, requested=requested, accept_language=header) in ("ja", "en")
