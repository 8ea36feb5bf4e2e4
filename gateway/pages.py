"""The pages that residents see: what each one is told, and how it becomes HTML.

A page is a frozen dataclass with everything it shows; `render` turns it into a document in one language,
`headers` says which response headers it needs. Nothing here reads a request or a store. Every page works
without JavaScript, and everything that came from elsewhere is escaped.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit
from weakref import WeakKeyDictionary

from babel.dates import format_date
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from federation.model import IdSystem, Service, Texts
from federation.refusal import N_, AssuranceTooLow, Refusal
from federation.web import PostForm
from gateway.messages import LANGUAGE_NAMES, LANGUAGE_PARAMETER, Messages
from gateway.page_languages import in_language, prepare
from trust_lists.words import JAPAN

TEMPLATES = Path(__file__).resolve().parent / "pages"
STATIC = Path(__file__).resolve().parent / "static"
"""Served under `/static/`; every address carries a digest of the content, so the files may be cached long."""

CSRF_FIELD = "csrf"
SYSTEM_FIELD = "system"
"""Choice page: the id of the chosen ID system."""
DECISION_FIELD = "decision"
"""Consent page: `AGREE` or `NOT_NOW`."""
AGREE = "agree"
NOT_NOW = "not-now"
FIRST = "first"
RENEWED = "renewed"
LOST = "lost"
STOP = "stop"
"""Decisions about a certificate that is new here: nothing was before it, a former one is at hand, or none any more."""
CODE_FIELD = "code"
"""Page of a phone that has answered: the code that it shows."""

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_COMMON_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "strict-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
_JAPANESE = re.compile(r"[々〆\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_LONG_DATE = {"ja": "y年M月d日", "en": "d MMMM y"}


# --- what the pages are told


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLink:
    """A service as a person knows it: its name, and where to go back to, if it has a web address."""

    name: Texts
    address: str | None = None
    purpose: Texts | None = None

    @classmethod
    def of(cls, service: Service) -> "ServiceLink":
        """The configured service."""
        return cls(name=service.name, address=service.address, purpose=service.purpose)

    @property
    def link(self) -> str | None:
        """The address if a browser may safely be sent there."""
        return self.address if self.address and _is_web(self.address) else None

    @property
    def host(self) -> str | None:
        """The host of the address: what a careful person compares with the address bar."""
        return urlsplit(self.link).netloc if self.link else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceOption:
    """One ID system to choose; `reading` is hiragana, `municipality` a six-digit code, both searchable."""

    id: str
    name: Texts
    reading: str
    municipality: str
    description: Texts
    last: bool = False

    @classmethod
    def of(cls, system: IdSystem, *, last: bool = False) -> "ChoiceOption":
        """The configured ID system; `last` if this browser chose it the last time."""
        return cls(
            id=system.id,
            name=system.name,
            reading=system.reading,
            municipality=system.municipality,
            description=system.description,
            last=last,
        )

    @property
    def search_text(self) -> str:
        """Everything that the search looks through."""
        return " ".join([*self.name.values(), self.reading, self.municipality])


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentItem:
    """One attribute that would leave: what it is called, and its values exactly as they would be sent.

    `truth`: a fact, of which the value is `true` or `false`; people read yes or no.
    """

    label: Texts
    values: tuple[str, ...]
    truth: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPage:
    """What this gateway is, and who belongs to it."""

    template: ClassVar[str] = "index.html"
    sends_elsewhere: ClassVar[bool] = False

    systems: tuple[ChoiceOption, ...]
    services: tuple[ServiceLink, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoicePage:
    """Which municipality's ID? Posts `SYSTEM_FIELD` and `CSRF_FIELD` to `action`, which names the flow."""

    template: ClassVar[str] = "choice.html"
    sends_elsewhere: ClassVar[bool] = True

    service: ServiceLink
    options: tuple[ChoiceOption, ...]
    action: str
    csrf: str
    unusable: tuple[Texts, ...] = ()
    """Names of the municipalities whose ID does not count at this service now."""

    @property
    def last(self) -> tuple[ChoiceOption, ...]:
        """The option of the last time, if there is one."""
        return tuple(option for option in self.options if option.last)

    @property
    def others(self) -> tuple[ChoiceOption, ...]:
        """All other options."""
        return tuple(option for option in self.options if not option.last)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentScope:
    """Something that the service may do, and what of the person shared services then learn."""

    label: Texts
    told: tuple[ConsentItem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentPage:
    """May this leave? Posts `DECISION_FIELD` and `CSRF_FIELD` to `action`.

    `municipality` is the name of the ID's municipality; `scopes` what the service may do in the person's name;
    `until` (aware) when the consent would end.
    """

    template: ClassVar[str] = "consent.html"
    sends_elsewhere: ClassVar[bool] = True

    service: ServiceLink
    purpose: Texts
    items: tuple[ConsentItem, ...]
    scopes: tuple[ConsentScope, ...]
    municipality: Texts
    until: datetime
    action: str
    csrf: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One consent in force: which labels of attributes and scopes, never a value. Times are aware.

    `told` are those that shared services learn, which the service calls in the person's name.

    `purpose` None: the service says another one since, so that it asks again. `left`: it is not of the region any more.
    """

    address: str
    service: ServiceLink
    municipality: Texts | None
    purpose: Texts | None
    left: bool
    attributes: tuple[Texts, ...]
    scopes: tuple[Texts, ...]
    told: tuple[Texts, ...]
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementsPage:
    """What the person agreed to; `agreements` None: nobody signed in, which `sign_in` leads to.

    Posts `CSRF_FIELD` to `leave`, after which the page shows nobody's.
    """

    template: ClassVar[str] = "agreements.html"
    sends_elsewhere: ClassVar[bool] = False

    sign_in: str
    agreements: tuple[Agreement, ...] | None = None
    leave: str = ""
    csrf: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalPage:
    """Take this back? Posts `CSRF_FIELD` to `action`; or it is `withdrawn`, and the page says what that means."""

    template: ClassVar[str] = "withdrawal.html"
    sends_elsewhere: ClassVar[bool] = False

    agreement: Agreement
    withdrawn: bool
    action: str
    back: str
    csrf: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPage:
    """What happened and what to do, in every language, since nothing may be known of the reader.

    `title` and `advice` are message identifiers; `reference` finds the details in the log. `needed` and `came` are
    levels of identity and authentication, of a sign-in that was worth too little. `another` is where another way to
    sign in is chosen.
    """

    LEVELS: ClassVar[tuple[str, str]] = (N_("Level of identity proofing"), N_("Level of sign-in"))
    NEEDED_AND_CAME: ClassVar[str] = N_("%(needed)s needed, %(came)s this time")

    template: ClassVar[str] = "error.html"
    sends_elsewhere: ClassVar[bool] = False

    title: str
    advice: str
    reference: str
    service: ServiceLink | None = None
    needed: tuple[int, int] | None = None
    came: tuple[int, int] | None = None
    another: str | None = None

    @property
    def levels(self) -> tuple[tuple[str, int, int], ...]:
        """What it is called (a message identifier), needed, came: of what was needed at all."""
        if self.needed is None or self.came is None:
            return ()
        return tuple(each for each in zip(self.LEVELS, self.needed, self.came, strict=True) if each[1])

    @classmethod
    def of(
        cls, refusal: Refusal, *, reference: str, service: ServiceLink | None = None, another: str | None = None
    ) -> "ErrorPage":
        """The public part of a refusal; its detail stays in the log."""
        low = refusal if isinstance(refusal, AssuranceTooLow) else None
        return cls(
            title=refusal.title,
            advice=refusal.advice,
            reference=reference,
            service=service,
            needed=None if low is None else low.needed,
            came=None if low is None else low.came,
            another=another,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PostFormPage:
    """The browser is to post `fields` to `action` (SAML Bindings §3.5.4).

    Raises ValueError unless `action` is a web address.
    """

    template: ClassVar[str] = "post.html"
    sends_elsewhere: ClassVar[bool] = True

    action: str
    fields: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        if not _is_web(self.action):
            raise ValueError("a form is posted to an http or https address only")

    @classmethod
    def of(cls, form: PostForm) -> "PostFormPage":
        """The form that a connector or frontend answered with."""
        return cls(action=form.action, fields=form.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoOnPage:
    """Goes on to `location` by itself: a page in between, since browsers follow no more than some twenty redirects.

    Raises ValueError unless `location` is a web address.
    """

    template: ClassVar[str] = "go_on.html"
    sends_elsewhere: ClassVar[bool] = False

    location: str

    def __post_init__(self) -> None:
        if not _is_web(self.location):
            raise ValueError("a browser is sent to an http or https address only")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOutPage:
    """Where a sign-out ended that nobody else can show the end of.

    `done` and `left` are the names of services and ID systems: who confirmed it, and who may not have heard of it.
    """

    template: ClassVar[str] = "signed_out.html"
    sends_elsewhere: ClassVar[bool] = False

    done: tuple[Texts, ...]
    left: tuple[Texts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhonePage:
    """Waits for a phone's answer: `qr` (of `address`) for another device, `link` for this one. Refreshes itself.

    `code` is shown on the phone, too. `notice` are title and advice (message identifiers) of the last answer that did
    not count. `action` is the page's own address, below which its forms are posted; `another` leads back to the choice.
    `card` is where a certificate in a card reader signs in. `paused`: without JavaScript, it refreshes itself no more
    (WCAG 2.2.2).
    """

    template: ClassVar[str] = "certificate.html"
    sends_elsewhere: ClassVar[bool] = True
    listens: ClassVar[bool] = True

    service: ServiceLink
    municipality: Texts
    qr: Markup
    address: str
    link: str
    code: str
    minutes: int
    state: str
    status: str
    action: str
    another: str
    csrf: str
    card: str | None = None
    notice: tuple[str, str] | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerPhonePage(PhonePage):
    """The same, for the former certificate of a person whose present one is new here. Posts `LOST`, too."""

    template: ClassVar[str] = "certificate_former.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCertificatePage:
    """A certificate that is new here: whose is it? Posts `DECISION_FIELD` (`FIRST`, `RENEWED`, `STOP`).

    `lost`: the person has said that the former certificate is not at hand any more.
    """

    template: ClassVar[str] = "certificate_new.html"
    sends_elsewhere: ClassVar[bool] = True

    service: ServiceLink
    municipality: Texts
    action: str
    csrf: str
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneCodePage:
    """The phone answered and shows a code: posts `CODE_FIELD` and `CSRF_FIELD`. `left`: tries, once one was wrong."""

    template: ClassVar[str] = "certificate_code.html"
    sends_elsewhere: ClassVar[bool] = True

    service: ServiceLink
    minutes: int
    action: str
    csrf: str
    left: int | None = None
    malformed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneGoesOnPage:
    """The phone's app answered on this device, and opens a window in which the sign-in goes on."""

    template: ClassVar[str] = "certificate_goes_on.html"
    sends_elsewhere: ClassVar[bool] = True
    listens: ClassVar[bool] = True

    service: ServiceLink
    state: str
    action: str
    csrf: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedText:
    """What a person is asked to sign, as the service wrote it."""

    title: str
    text: str

    @property
    def language(self) -> str:
        """What screen readers are told of the text: services write it in one language."""
        return "ja" if _JAPANESE.search(self.title + self.text) else ""

    @property
    def marked(self) -> Markup:
        """The title, with its language."""
        return Markup('<span lang="{}">{}</span>').format(self.language, self.title)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningPage:
    """Will you sign this? The whole text, and that the certificate goes to the service. Posts `DECISION_FIELD`.

    `over`: a round with the phone came to nothing before. `notice` are title and advice (message identifiers) of why.
    """

    template: ClassVar[str] = "signing.html"
    sends_elsewhere: ClassVar[bool] = True

    service: ServiceLink
    about: SignedText
    municipality: Texts
    action: str
    csrf: str
    over: bool = False
    notice: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningPhonePage:
    """Waits for a phone's signature, and refreshes itself: `qr` for another device, `link` for this one.

    `paused`: without JavaScript, it refreshes itself no more (WCAG 2.2 §2.2.2).
    """

    template: ClassVar[str] = "signing_phone.html"
    sends_elsewhere: ClassVar[bool] = True
    listens: ClassVar[bool] = True

    service: ServiceLink
    about: SignedText
    qr: Markup
    link: str
    code: str
    minutes: int
    action: str
    csrf: str
    paused: bool = False
    notice: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningCodePage:
    """The phone signed: on another device (`across`) it shows a code, which `CODE_FIELD` takes."""

    template: ClassVar[str] = "signing_code.html"
    sends_elsewhere: ClassVar[bool] = True

    service: ServiceLink
    about: SignedText
    across: bool
    minutes: int
    action: str
    csrf: str
    left: int | None = None
    malformed: bool = False


Page = (
    GoOnPage
    | SignedOutPage
    | IndexPage
    | ChoicePage
    | ConsentPage
    | AgreementsPage
    | WithdrawalPage
    | ErrorPage
    | PostFormPage
    | PhonePage
    | NewCertificatePage
    | PhoneCodePage
    | PhoneGoesOnPage
    | SigningPage
    | SigningPhonePage
    | SigningCodePage
)


# --- from page to response


def render(environment: Environment, page: Page, *, language: str, here: str | None = None) -> str:
    """The page as an HTML document in `language`.

    `here` is the address at which a GET shows this same page: the language switch leads there with `lang`
    set. Without it the page has no switch (it answers a POST).
    """
    if isinstance(page, PostFormPage) and here is None:
        return _handover(environment, page, language)
    return (
        in_language(environment, language)
        .get_template(page.template)
        .render(context(page, language=language, here=here))
    )


_ACTION = "https://action.invalid/"
_FRAMES: WeakKeyDictionary[Environment, dict[str, tuple[str, str]]] = WeakKeyDictionary()
"""The page that hands a form over, by language, cut where its address stands. Every sign-in ends with it, and nothing
else of it differs from one to the next."""


def _handover(environment: Environment, page: PostFormPage, language: str) -> str:
    """The same document that the template makes, at a fraction of its time."""
    frames = _FRAMES.setdefault(environment, {})
    if language not in frames:
        blank = PostFormPage(action=_ACTION, fields=())
        whole = in_language(environment, language).get_template(page.template).render(context(blank, language=language))
        head, _, tail = whole.partition(f'{_ACTION}">\n')
        frames[language] = (head, tail)
    head, tail = frames[language]
    fields = "".join(
        f'    <input type="hidden" name="{escape(name)}" value="{escape(text)}">\n' for name, text in page.fields
    )
    return f'{head}{escape(page.action)}">\n{fields}{tail}'


def context(page: Page, *, language: str, here: str | None = None) -> dict[str, Any]:
    """The variables of the page's template, for who renders it by other means than `render`."""
    return {
        "page": page,
        "language": language,
        "switch": [] if here is None else _switch(here),
        "fields": {
            "csrf": CSRF_FIELD,
            "system": SYSTEM_FIELD,
            "decision": DECISION_FIELD,
            "agree": AGREE,
            "not_now": NOT_NOW,
            "code": CODE_FIELD,
            "first": FIRST,
            "renewed": RENEWED,
            "lost": LOST,
            "stop": STOP,
        },
    }


def headers(page: Page) -> dict[str, str]:
    """Response headers of the page, Content-Security-Policy among them.

    Browsers hold every redirect that follows a form against `form-action`. The forms of choice, consent and
    hand-over lead on to ID systems and services, which redirect again to addresses of their own, even to an
    app's private scheme (RFC 8252 §7.1): no list could name them, so these pages have no `form-action`. All
    others may post only to the gateway. `Referrer-Policy` keeps the flow's address from other sites, but lets
    them and us see the `Origin` of a post.
    """
    policy = _POLICY if page.sends_elsewhere else f"{_POLICY}; form-action 'self'"
    if getattr(page, "listens", False):  # to its own server-sent events
        policy = f"{policy}; connect-src 'self'"
    return {**_COMMON_HEADERS, "Content-Security-Policy": policy}


def _switch(here: str) -> list[dict[str, str]]:
    """The page's own query with each language: relative, so that no path can lead to another host."""
    query = [pair for pair in parse_qsl(urlsplit(here).query, keep_blank_values=True) if pair[0] != LANGUAGE_PARAMETER]
    return [
        {"code": code, "name": name, "address": "?" + urlencode([*query, (LANGUAGE_PARAMETER, code)])}
        for code, name in LANGUAGE_NAMES.items()
    ]


def _is_web(address: str) -> bool:
    return urlsplit(address).scheme in ("http", "https")


# --- the template environment


def make_environment(
    messages: Messages,
    *,
    region_name: Texts | None = None,
    region_contact: Texts | None = None,
    folders: Sequence[Path] = (),
) -> Environment:
    """An environment for these templates, and for those in `folders` that extend one of them.

    `region_name` and `region_contact` stand in the footer. Templates are escaped always, and an unknown
    variable is an error. The language is the template variable `language` (the default language where there
    is none).
    """
    environment = Environment(
        loader=FileSystemLoader([TEMPLATES, *folders]),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.policies["ext.i18n.trimmed"] = True
    prepare(environment, messages)

    def language_of(context: Context) -> str:
        return str(context.get("language", messages.default))

    @pass_context
    def translate(context: Context, text: str) -> str:
        return messages.for_language(language_of(context)).gettext(text)

    @pass_context
    def translate_number(context: Context, one: str, many: str, number: int) -> str:
        return messages.for_language(language_of(context)).ngettext(one, many, number)

    @pass_context
    def localized(context: Context, texts: Texts) -> str | Markup:
        return _localized(texts, language_of(context), messages.default)

    @pass_context
    def value(context: Context, text: str) -> str | Markup:
        return _value(text, language_of(context))

    @pass_context
    def long_date(context: Context, moment: date) -> str:
        return _long_date(moment, language_of(context))

    # Added by the i18n extension, whose functions Jinja2 does not declare.
    install = environment.install_gettext_callables  # type: ignore[attr-defined]
    install(translate, translate_number, newstyle=True)
    environment.filters.update(
        fixed_text=lambda text, language: messages.for_language(language).gettext(text),
        localized=localized,
        long_date=long_date,
        value=value,
    )
    environment.globals.update(
        languages=tuple(LANGUAGE_NAMES),
        region_contact=region_contact,
        region_name=region_name,
        static=_static_address,
    )
    return environment


@cache
def _static_address(name: str) -> str:
    digest = sha256((STATIC / name).read_bytes()).hexdigest()
    return f"/static/{name}?v={digest[:12]}"


def _localized(texts: Texts, language: str, default: str) -> str | Markup:
    """The text in `language`; or in another one, and then marked as such for screen readers and fonts."""
    if language in texts:
        return texts[language]
    found = next((code for code in (default, *texts) if code in texts), None)
    if found is None:
        return ""
    return Markup('<span lang="{}">{}</span>').format(found, texts[found])


def _value(text: str, language: str) -> str | Markup:
    """A value as people write it: dates in words, Japanese marked as such on a page in another language."""
    if _ISO_DATE.fullmatch(text):
        try:
            return _long_date(date.fromisoformat(text), language)
        except ValueError:
            return text
    if language != "ja" and _JAPANESE.search(text):
        return Markup('<span lang="ja">{}</span>').format(text)
    return text


def _long_date(moment: date, language: str) -> str:
    """2027年11月22日 or 22 November 2027; of a time, the day it is in Japan.

    Raises ValueError for a time without zone.
    """
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError("a time without its zone names no day")
        moment = moment.astimezone(JAPAN).date()
    return format_date(moment, _LONG_DATE.get(language, "long"), locale=language)
