"""The operations page: an `Overview` in words and pictures, for whoever is on duty at night.

The page is complete without JavaScript; with it, `static/operations.js` asks `/operations.json` for the same
sections every few seconds and puts them in place, so that there is one drawing of everything. No part of it
comes from elsewhere.

Words are English message identifiers; `translate` (a catalogue's `gettext`) turns them into the reader's
language.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from federation.model import Texts
from federation.refusal import BY_CODE, N_, Refusal
from observability.addresses import AddressState
from observability.charts import outline, stacked
from observability.overview import CALLS, LOGINS, Finding, MunicipalityRow, Overview, Severity, Window
from observability.vocabulary import NONE, OTHER

Translate = Callable[[str], str]

TEMPLATES = Path(__file__).resolve().parent / "pages"
STATIC = Path(__file__).resolve().parent / "static"
"""Served under `/static/` of the admin listener; addresses carry a digest of the content, so the files may be
cached."""

LANGUAGES: Mapping[str, str] = {"ja": "日本語", "en": "English"}

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page needs, and nothing else."""

DECISION_POLICY = CONTENT_SECURITY_POLICY.replace("form-action 'none'", "form-action 'self'")
"""The same for the one page with a form."""

SECTIONS = ("status", "staged", "states", "charts", "municipalities", "lists", "services", "refusals")
"""The parts of the page, each a template; JavaScript replaces them one by one."""

POLL_SECONDS = 3
RELOAD_SECONDS = 30
"""How often the page asks for news with JavaScript, and without."""

MOST_LINES = 12
"""How many changes of a version that waits stand on the operations page; the page of the decision has all of them."""

MOST_QUIET_ROWS = 40
"""With more municipalities than this, those without a login or call are only counted."""

LONGEST_WHO = 100
"""Characters of the name of whoever decides (`gateway/approval.py`)."""

EXPIRY_DAYS = 30
"""What a full bar of a list's remaining time stands for; more is a full bar too."""

JAPAN = timezone(timedelta(hours=9), "JST")
"""Japan's civil time; it has no summer time."""

HEADLINES: Mapping[Severity, str] = {
    Severity.GOOD: N_("Everything works."),
    Severity.ATTENTION: N_("Something needs attention."),
    Severity.TROUBLE: N_("Trouble."),
}

FINDINGS: Mapping[str, tuple[str, str]] = {
    "calls-failing": (
        N_("%(percent)s%% of the calls of the last ten minutes failed."),
        N_("Look at the services behind the routes."),
    ),
    "configuration-missing": (
        N_("No configuration is in force."),
        N_("Run “kakehashi check-config” on its directory and start again."),
    ),
    "configuration-refused": (
        N_("The new configuration was refused (mistakes: %(mistakes)s)."),
        N_("The one before it stays in force. Run “kakehashi check-config” on its directory."),
    ),
    "internal-faults": (
        N_("Faults of the gateway itself in the last ten minutes: %(count)s."),
        N_("Search the log for “internal-fault”."),
    ),
    "list-expired": (
        N_("The trust list %(list)s has expired."),
        N_("Its members are not trusted any more. Have it signed anew."),
    ),
    "list-expires": (
        N_("The trust list %(list)s expires soon (days left: %(days)s)."),
        N_("Have it signed anew."),
    ),
    "list-missing": (
        N_("No version of the trust list %(list)s was ever accepted."),
        N_("Its members are not trusted. The log says what is wrong with it."),
    ),
    "list-pointers-left": (
        N_("The trust list %(list)s leads to lists that cannot be followed."),
        N_("Their members are not trusted. Search the log for “list-pointer-left”."),
    ),
    "list-refused": (
        N_("A new version of the trust list %(list)s was refused."),
        N_("The one before it stays in force until it expires. The log says what is wrong with the new one."),
    ),
    "list-successor": (
        N_("The trust list %(list)s is signed with its authority's new key."),
        N_("The old pin can go: in trust.yaml, put the file under “next_anchors” in the place of “anchors”."),
    ),
    "list-unfetched": (
        N_("The trust list %(list)s could not be fetched."),
        N_("The one before it stays in force until it expires; it is tried again by itself. The log says why."),
    ),
    "list-waiting": (
        N_("A new version of the trust list %(list)s waits for approval."),
        N_("It adds or widens something. Read what would change below, then approve or reject it."),
    ),
    "logins-failing": (
        N_("Nobody from %(name)s could sign in during the last ten minutes (refused: %(count)s)."),
        N_("See the reasons below, then ask the operator of its ID system."),
    ),
    "service-addresses-out": (
        N_("Calls to the service %(service)s fail at %(count)s of %(all)s addresses, which get none for now."),
        N_("The others take its calls. Tell who runs it in the morning; each address is tried again by itself."),
    ),
    "service-addresses-unwell": (
        N_("Health checks of the service %(service)s fail at %(count)s of %(all)s addresses."),
        N_("Those that pass take its calls. If none does, all are asked: then look at the address of the check first."),
    ),
    "service-circuit-open": (
        N_("The service %(service)s does not answer: calls to it are refused at once."),
        N_("Call who runs it. Nothing needs to be done here: it is tried again by itself, after five minutes at most."),
    ),
    "sessions-ended": (
        N_(
            "Sessions ended in the last ten minutes because their ID system does not count any more: %(count)s "
            "(services not told: %(untold)s)."
        ),
        N_("If nobody meant this, look at the trust lists and agreements. See “sessions-ended” in the log."),
    ),
    "store-down": (
        N_("The store does not answer: nobody can sign in."),
        N_("Look at its server and disk. Until it is back, the figures below may be missing."),
    ),
    "store-restarted": (
        N_("The store was started again at %(at)s."),
        N_("Consents are kept. If it happens again, look at its log."),
    ),
}
"""What each finding is in words, and what to do about it."""

HINTS: Mapping[str, str] = {
    "answer-forbidden-content": N_("The service behind the route answers with what must not pass: tell who runs it."),
    "answer-not-inspectable": N_("The service's type or coding of content; the route may list types that pass unseen."),
    "answer-signature-invalid": N_(
        "A service's answer is unsigned, or signed otherwise: the log names the rule (docs/calls.md)."
    ),
    "assurance-too-low": N_(
        "Expected now and then. If often, compare the service's minimum with the ID system's table."
    ),
    "attribute-missing": N_("Compare the service's required attributes with the ID system's attribute map."),
    "bad-request": N_("The service's own settings: its metadata, keys or redirect address. The log names the rule."),
    "body-too-large": N_("The app sends too much at once; the limit stands in the configuration."),
    "fact-missing": N_("The route's `requires` says for whom it is; if it fits, see what the ID system says of them."),
    "call-assurance-too-low": N_("The app must send the person to sign in again with the level of the route."),
    "call-forbidden-content": N_(
        "The app sends what must not pass. Its own numbers that collide: the route's allowances."
    ),
    "call-not-inspectable": N_("The app's type or coding of content; the route may list types that pass unseen."),
    "call-unavailable": N_("The store: see its state above."),
    "evidence-not-kept": N_(
        "The disk of the state directory: make room, and see “evidence-lost” in the log. Calls go on by themselves."
    ),
    "caller-not-allowed": N_("The app calls a route of the other kind; `callers` of the route says which."),
    "card-missing": N_('No card in the reader, or the browser remembers an earlier "no" until it is closed.'),
    "certificate-app": N_("The phone's app, or the card's software: ask whoever makes it. The log names the check."),
    "certificate-answers": N_("An app that is out of date, or somebody who posts to requests whose QR code they saw."),
    "certificate-codes": N_("Mistyped, or somebody who tries codes of others: THREAT_MODEL.md, relayed QR codes."),
    "certificate-declined": N_("The person's choice on the phone. If often, read the service's purpose text anew."),
    "certificate-expired": N_("Expected now and then. If often: clocks, or how the authority reminds people to renew."),
    "certificate-former-other": N_("A family's phones, or a changed name. The log names the rule."),
    "certificate-former-refused": N_("Renewed too late, or revoked. The log names the check."),
    "certificate-former-unknown": N_("Mixed up by the person, or the store lost whose certificates they are."),
    "certificate-not-yet-valid": N_("Expected seldom. If often: this machine's clock, or when the authority issues."),
    "certificate-other-browser": N_("The phone opens links in another browser, or a link was passed on."),
    "certificate-refused": N_("Signature, nonce or form of the phone's answer. The log names the check."),
    "certificate-revoked": N_("The authority's own word. If many at once, ask it."),
    "certificate-status-unavailable": N_("The authority's OCSP service and revocation lists, and the path to them."),
    "certificate-time-over": N_("Expected now and then. If often, does the phone's app reach this gateway?"),
    "certificate-use": N_("The list, or the certificate itself, is for other uses. The log names the check."),
    "certificate-weak": N_("Keys or signatures of a kind that is not believed any more: ask the authority."),
    "certificate-wrong": N_("Another authority, or none of the configured policies. The log names the check."),
    "consent-denied": N_("The person's choice. If often, read the service's purpose text with fresh eyes."),
    "consent-needed": N_("Harmless: the service asked silently, and the person has not agreed to its purpose yet."),
    "consent-withdrawn": N_("Expected now and then: the person took their consent back, and is asked again."),
    "content-digest-wrong": N_("A caller sends a Content-Digest that is not that of its content."),
    "content-type-not-allowed": N_("The app sends a type of content that the route does not list in `content_types`."),
    "council-request-malformed": N_("The asking system's program: its answer names the place."),
    "council-request-open": N_("The asking system repeats what is still under way."),
    "council-request-unknown": N_("Kept for `keep_days`, for the municipality that asked; or a mistyped address."),
    "council-requests-too-many": N_("A member asks faster than its requests end; `open_requests` says how many may."),
    "flow-unknown": N_("Expected now and then (back button, an old tab). If often, look at the store and at clocks."),
    "forbidden-content": N_(
        "The ID system hands out what must not pass: tell its operator. The log names the rule and the attribute."
    ),
    "id-system-answer-refused": N_(
        "Signature, audience, time or reply address of the ID system's answer. The log names the check."
    ),
    "id-system-denied": N_("The ID system's own decision, or the person cancelled there."),
    "id-system-not-allowed": N_("The service's list of ID systems in its configuration."),
    "id-system-not-recognised": N_("recognition.yaml; `kakehashi trust explain` says which link is missing."),
    "id-system-not-trusted": N_("The trust list that should vouch for the ID system: expired, refused, or without it?"),
    "id-system-unreachable": N_("The network path to the ID system, its certificate, its operator's notices."),
    "idempotency-in-flight": N_("A caller repeats a request that is under way; it should wait as Retry-After says."),
    "idempotency-key-invalid": N_("A caller sends an Idempotency-Key that is no string, or several."),
    "idempotency-key-missing": N_("A caller leaves out the Idempotency-Key that the route wants."),
    "idempotency-key-reused": N_(
        "A caller uses one Idempotency-Key for different requests; it must make a new one for each."
    ),
    "idempotency-unknown": N_(
        "A worker or a connection ended before the service's answer came, and the service knows no keys: "
        "somebody must look there whether the request took effect."
    ),
    "interaction-needed": N_("Harmless: the service asked silently whether somebody is signed in."),
    "internal-fault": N_("A fault of the gateway: the log has type and place under the reference number."),
    "logout-refused": N_("A logout message that is unsigned, old or of nobody listed. The log names the rule."),
    "logout-unknown": N_("Harmless: the back button or an old tab in the middle of a sign-out."),
    "method-not-allowed": N_("The app's own code; the answer names the methods that are allowed."),
    "no-route": N_("The app's own code, a route missing in the configuration, or somebody trying doors."),
    "not-a-member": N_(
        "No list names the caller's municipality as a member of the council, or the route's `members` leave it out."
    ),
    "other-browser": N_("Expected now and then (links opened in another app). If often from one service, ask it."),
    "quota-exceeded": N_(
        "An app calls more often than the route's `quotas` allow: too eager, or the quota is too small."
    ),
    "proof-invalid": N_("The app's own code or its clock. Proofs that were used before may be somebody's who listens."),
    "route-closed": N_("The route's hours stand in the configuration."),
    "scope-missing": N_("The app asks for too few scopes, or the service is not allowed more."),
    "token-bound": N_("Somebody uses a token without its key or certificate: ask its owner whether it was stolen."),
    "token-invalid": N_("Expired tokens are expected. If often, look at clocks and at the app's renewal."),
    "token-missing": N_("The app's own code, or somebody trying doors."),
    "unavailable": N_("The store: see its state above."),
    "unknown-page": N_("Wrong links, or somebody trying doors."),
    "unknown-service": N_("A service that is not configured, or no longer on a trust list in force."),
    "unsolicited-nowhere": N_("The ID system sends people here unasked: its RelayState must name the service."),
    "upstream-busy": N_(
        "More calls wait for the service than its connections can carry: it is slow, or it needs more addresses."
    ),
    "upstream-too-slow": N_("The service behind the route is slow; its time limit stands in the configuration."),
    "upstream-unreachable": N_("The service behind the route is down, or its address is wrong."),
}
"""Where to look when a refusal is frequent; a refusal without a line of its own takes its parent's."""

OUTCOMES: Mapping[str, str] = {
    "granted": N_("signed in"),
    "denied": N_("declined"),
    "refused": N_("refused"),
    "ok": N_("answered"),
    "failed": N_("failed"),
    "abandoned": N_("given up"),
}

ADDRESS_STATES: Mapping[AddressState, tuple[Severity, str]] = {
    AddressState.IN_TURN: (Severity.GOOD, N_("gets calls")),
    AddressState.TRIAL: (Severity.ATTENTION, N_("the next call tries it")),
    AddressState.UNWELL: (Severity.ATTENTION, N_("health checks fail")),
    AddressState.OUT: (Severity.ATTENTION, N_("gets none for now: calls failed")),
}
"""How a state of an address is marked and called."""

LIST_CODES: Mapping[str, str] = {
    "awaited": N_("no version was fetched or approved yet"),
    "closed": N_("its authority has closed it"),
    "critical-extension": N_("it hangs on an extension that is not known here"),
    "critical-header": N_("its signature hangs on a header that is not known here"),
    "expired": N_("it has expired"),
    "format": N_("it cannot be read"),
    "future": N_("it is dated in the future"),
    "other-list": N_("it is another list"),
    "rejected": N_("somebody here rejected it"),
    "rollback": N_("it is older than the one before it"),
    "same-sequence": N_("it has the number of another version"),
    "signature": N_("its signature is wrong"),
    "too-large": N_("it is too large"),
    "unanswered": N_("its federation's anchor does not answer"),
    "unreadable": N_("its file or address gives nothing"),
    "unsigned": N_("it is not signed"),
}

PROBLEMS: Mapping[str, str] = {
    "who": N_("Write your name, at most a hundred characters."),
    "gone": N_("This version does not wait any more; somebody may have decided already."),
    "other-version": N_("Another version waits by now. What it would change stands below."),
    "not-asked": N_("This list needs no approval any more."),
}
"""Why a decision came to nothing (`gateway/approval.py`)."""

PLACES: Mapping[str, str] = {
    NONE: N_("No municipality chosen yet"),
    OTHER: N_("Other municipalities"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A version of a list that waits for approval: what it changes, in the reader's words, what is wider first."""

    name: str
    digest: str
    since: datetime
    sequence: int
    valid_until: datetime
    lines: tuple[str, ...]


def render(overview: Overview, translate: Translate, language: str, staged: Sequence[Staged] = ()) -> str:
    """The whole page as an HTML document."""
    return _environment().get_template("operations.html").render(_context(overview, translate, language, staged))


def document(overview: Overview, translate: Translate, language: str, staged: Sequence[Staged] = ()) -> dict[str, Any]:
    """What `/operations.json` answers: the overview, and each section of the page drawn anew."""
    context = _context(overview, translate, language, staged)
    return {
        "overview": overview.to_json(),
        "severity": overview.severity.value,
        "title": context["title"],
        "sections": {name: _environment().get_template(f"{name}.html").render(context).strip() for name in SECTIONS},
    }


def decision(staged: Staged, translate: Translate, language: str, *, token: str, failed: str = "") -> str:
    """The page on which somebody approves or rejects a version. `failed`: the code why the last try did."""
    return (
        _environment()
        .get_template("decision.html")
        .render(
            translate=translate,
            language=language,
            gap="" if language == "ja" else " ",
            languages=LANGUAGES,
            staged=staged,
            token=token,
            problem=translate(problem(failed)) if failed else "",
            longest_who=LONGEST_WHO,
        )
    )


def problem(code: str) -> str:
    """Why a decision came to nothing: a fault of the decision, or of the version that it would bring into force."""
    return PROBLEMS.get(code) or N_("This version cannot be brought into force any more: look at the log.")


def _context(overview: Overview, translate: Translate, language: str, staged: Sequence[Staged] = ()) -> dict[str, Any]:
    rows, quiet = _rows(overview.municipalities)
    return {
        "staged": staged,
        "most_lines": MOST_LINES,
        "translate": translate,
        "language": language,
        "gap": "" if language == "ja" else " ",
        "languages": LANGUAGES,
        "overview": overview,
        "window": overview.window.value,
        "windows": {Window.HOUR.value: N_("Last hour"), Window.DAY.value: N_("Last day")},
        "title": _title(overview, translate),
        "headline": translate(HEADLINES[overview.severity]),
        "findings": [(f.severity.value, *_sentences(f, translate, language)) for f in overview.findings],
        "logins": stacked(overview.times, {name: overview.logins[name] for name in LOGINS}),
        "calls": stacked(overview.times, {name: overview.calls[name] for name in CALLS}),
        "outcomes": OUTCOMES,
        "rows": rows,
        "quiet": quiet,
        "logins_top": _highest(row.logins_by_bar for row in rows),
        "calls_top": _highest(row.calls_by_bar for row in rows),
        "outline": outline,
        "refusals": [(code, *_reason(code), count) for code, count in overview.refusals],
        "list_codes": LIST_CODES,
        "address_states": {state: (mark.value, words) for state, (mark, words) in ADDRESS_STATES.items()},
        "places": PLACES,
        "expiry_days": EXPIRY_DAYS,
        "sections": SECTIONS,
        "poll_seconds": POLL_SECONDS,
        "reload_seconds": RELOAD_SECONDS,
    }


def _title(overview: Overview, translate: Translate) -> str:
    mark = {Severity.GOOD: "", Severity.ATTENTION: "⚠ ", Severity.TROUBLE: "✖ "}[overview.severity]
    return f"{mark}{translate(HEADLINES[overview.severity])} – {translate(N_('Kakehashi operations'))}"


def _sentences(finding: Finding, translate: Translate, language: str) -> tuple[str, str]:
    parameters: dict[str, Any] = dict(finding.parameters)
    if finding.names:
        parameters["name"] = _in_language(finding.names, language)
    if "at" in parameters:
        parameters["at"] = _clock(datetime.fromisoformat(str(parameters["at"])))
    what, advice = FINDINGS[finding.code]
    return translate(what) % parameters, translate(advice)


def _reason(code: str) -> tuple[str | None, str | None]:
    """Title and hint of a refusal; None for a code that is none."""
    kind = BY_CODE.get(code)
    if kind is None:
        return None, None
    above = (each.code for each in kind.__mro__ if issubclass(each, Refusal))
    return kind.title, next((HINTS[each] for each in above if each in HINTS), None)


def _rows(rows: Sequence[MunicipalityRow]) -> tuple[list[MunicipalityRow], int]:
    """The rows to show, and how many were left out because nothing happened in them."""
    if len(rows) <= MOST_QUIET_ROWS:
        return list(rows), 0
    busy = [row for row in rows if any(row.logins.values()) or any(row.calls.values())]
    return busy, len(rows) - len(busy)


def _highest(rows: Any) -> int:
    return max((max(row, default=0) for row in rows), default=0)


def _in_language(texts: Texts, language: str) -> str:
    return texts.get(language) or next(iter(texts.values()), "")


def _clock(moment: datetime) -> str:
    return moment.astimezone(JAPAN).strftime("%H:%M")


def _moment(moment: datetime) -> str:
    return moment.astimezone(JAPAN).strftime("%Y-%m-%d %H:%M:%S JST")


def _day(moment: datetime) -> str:
    return moment.astimezone(JAPAN).strftime("%Y-%m-%d %H:%M")


def _number(count: int) -> str:
    return f"{count:,}"


@cache
def _static_address(name: str) -> str:
    return f"static/{name}?v={sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.policies["ext.i18n.trimmed"] = True

    @pass_context
    def translated(context: Context, text: str) -> str:
        return str(context["translate"](text))

    @pass_context
    def translated_number(context: Context, one: str, many: str, number: int) -> str:
        return str(context["translate"](one if number == 1 else many))

    @pass_context
    def localized(context: Context, texts: Texts) -> str | Markup:
        language = context["language"]
        if language in texts or not texts:
            return texts.get(language, "")
        code, text = next(iter(texts.items()))
        return Markup('<span lang="{}">{}</span>').format(code, text)

    install = environment.install_gettext_callables  # type: ignore[attr-defined]  # added by the i18n extension
    install(translated, translated_number, newstyle=True)
    environment.filters.update(
        clock=_clock,
        day=_day,
        fixed_text=translated,
        localized=localized,
        moment=_moment,
        number=_number,
    )
    environment.globals.update(static=_static_address)
    return environment
