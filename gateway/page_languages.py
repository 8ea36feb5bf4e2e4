"""Templates in one language each: sentences without variables are translated when a template is compiled.

A page has dozens of them, and looking each one up anew costs more than all the rest of the page. So each language has
an environment of its own, which shares everything with the first one but its compiled templates. Sentences with
variables, and those that a page brings along, are translated when the page is made, as ever.
"""

from collections.abc import Iterable, Iterator

from jinja2 import Environment
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from markupsafe import Markup

from gateway.messages import Messages

_CALL = (("name", "_"), ("lparen", None), ("string", None), ("rparen", None))
_SENTENCE = 2
"""`_("…")` as the parser meets it, where None is whatever stands there, and the place of the sentence."""

_FIXED = (("lparen", "("), ("string", None), ("pipe", "|"), ("name", "safe"), ("rparen", ")"))
"""`("…" | safe)`, which the compiler knows to be constant: a catalogue's sentence is markup, as `_` has it."""


class FixedTexts(Extension):
    """Puts each sentence that `_` is called with into the template, where its environment has a language (`spoken`)."""

    def filter_stream(self, stream: TokenStream) -> TokenStream | Iterator[Token]:
        """The template's tokens with sentences in the place of calls."""
        spoken = getattr(self.environment, "spoken", None)
        return stream if spoken is None else _with_fixed(stream, *spoken)


def _with_fixed(stream: Iterable[Token], messages: Messages, language: str) -> Iterator[Token]:
    held: list[Token] = []  # the beginning of a call, as far as it was read
    for token in stream:
        if not _continues(token, len(held)):
            yield from held
            held = []
        if _continues(token, len(held)):
            held.append(token)
        else:
            yield token
        if len(held) == len(_CALL):
            yield from _fixed(held[_SENTENCE], messages, language)
            held = []
    yield from held


def _continues(token: Token, place: int) -> bool:
    kind, value = _CALL[place]
    return token.type == kind and value in (None, token.value)


def _fixed(sentence: Token, messages: Messages, language: str) -> Iterator[Token]:
    text = Markup(messages.for_language(language).gettext(sentence.value)) % {}  # noqa: S704 - a catalogue's sentence
    for kind, value in _FIXED:
        yield Token(sentence.lineno, kind, str(text) if value is None else value)


def in_language(environment: Environment, language: str) -> Environment:
    """The environment whose templates are in `language`, made once. `prepare` it before."""
    own = vars(environment)
    known: dict[str, Environment] = own["languages"]
    if language not in known:
        spoken = environment.overlay()
        spoken.extend(spoken=(own["messages"], language))
        known[language] = spoken
    return known[language]


def prepare(environment: Environment, messages: Messages) -> None:
    """Let an environment have others in languages. They go when it goes."""
    environment.add_extension(FixedTexts)
    environment.extend(messages=messages, languages={})
