"""The commands `kakehashi trust …`: write, read, compare, explain and approve signed trust lists.

Exit codes of all of them: 0 it is so or was done, 1 a file, a list or the configuration is refused (with a sentence on
standard error), 2 a wrong command line, 3 the answer asks for a person: `diff` found something added or widened,
`explain` says not trusted, `staged` has a version that waits.

Rooms are imported inside the commands, so that a command starts as fast as what it needs.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli_options import AS_JSON, DIRECTORY, FILE, LANGUAGE, STATE, print_json

if TYPE_CHECKING:
    from gateway.approval import Waiting
    from gateway.config import Configuration, TrustSource
    from gateway.decisions import Decision
    from trust_lists.model import TrustList
    from trust_lists.trusted_set import TrustedSet

EXIT_ASK = 3

FORMATS = ("saml-metadata", "etsi-119612", "etsi-119602", "openid-federation", "assurance-table")
ROLES = (
    "saml-identity-provider",
    "saml-service-provider",
    "openid-provider",
    "openid-relying-party",
    "certificate-authority",
    "regional-service",
    "council-member",
)

_JAPAN = timezone(timedelta(hours=9), "JST")


class Instant(click.ParamType):  # type: ignore[type-arg]  # generic in new versions of click only
    """A day in Japan (2027-03-31: its beginning), or a time with its offset (2027-03-31T09:00:00+09:00)."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Answer an aware time; fails the command line otherwise."""
        if isinstance(value, datetime):
            return value
        try:
            found = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2027-03-31 or 2027-03-31T09:00:00+09:00", param, ctx)
        if found.tzinfo is None and len(str(value)) > len("2027-03-31"):
            self.fail(f"{value!r} needs its offset, as 2027-03-31T09:00:00+09:00", param, ctx)
        return found if found.tzinfo is not None else found.replace(tzinfo=_JAPAN)


CONFIG = click.option("--config", type=DIRECTORY, required=True, help="Configuration directory.")
KEY = click.option("--key", type=FILE, required=True, help="The list authority's private key, PEM.")
CERTIFICATE = click.option(
    "--certificate", type=FILE, required=True, help="Its certificate, PEM: what gateways pin as anchor."
)
ANCHOR = click.option(
    "--anchor",
    type=FILE,
    required=True,
    multiple=True,
    help="Certificate or public key that must have signed it, PEM; give it several times for several.",
)
FORMAT = click.option("--format", "kind", type=click.Choice(FORMATS), help="Default: what the file says.")


@click.group()
def trust() -> None:
    """Write, read, compare, explain and approve signed trust lists.

    Exit codes: 0 done; 1 refused; 2 wrong command line; 3 a person should look (diff: something is added or widened,
    explain: not trusted, staged: a version waits).
    """


# --- the authority's side


@trust.command("new-authority")
@click.argument("directory", type=DIRECTORY)
@AS_JSON
def trust_new_authority(directory: Path, *, as_json: bool) -> None:
    """Make a list authority's key and certificate in DIRECTORY; nothing that is there is overwritten."""
    from trust_lists import authoring  # noqa: PLC0415

    with _told():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        key, certificate = authoring.new_authority(directory)
    if as_json:
        print_json({"key": str(key), "certificate": str(certificate)})
    else:
        click.echo(f"{key}: private, keep it offline.\n{certificate}: public, gateways pin it as anchor.")


@trust.command("new")
@click.argument("directory", type=DIRECTORY)
@click.option("--name", required=True, help="What the list is called, as maebashi-certificates.")
@click.option("--format", "form", type=click.Choice(FORMATS[1:3]), default=FORMATS[2], show_default=True)
@AS_JSON
@LANGUAGE
def trust_new(directory: Path, name: str, form: str, language: str, *, as_json: bool) -> None:
    """Begin a list by hand in DIRECTORY: a recipe with comments, an example of a member, and what to do next."""
    from gateway.clock import now  # noqa: PLC0415
    from trust_lists import authoring  # noqa: PLC0415

    with _told():
        directory.mkdir(parents=True, exist_ok=True)
        made = authoring.new_list(directory, name=name, now=now(), form=form)
    if as_json:
        print_json({"recipe": str(made.recipe), "example": str(made.example)})
    else:
        click.echo(f"{made.recipe}\n{made.example}\n\n{made.next_steps[language]}")


@trust.command("sign")
@click.argument("recipe", type=FILE)
@KEY
@CERTIFICATE
@AS_JSON
def trust_sign(recipe: Path, key: Path, certificate: Path, *, as_json: bool) -> None:
    """Sign the list that RECIPE describes, from the member files beside it."""
    written, left_out = _sign(recipe, key, certificate, as_json=as_json)
    if as_json:
        print_json({"written": str(written), "left_out": left_out})
    else:
        click.echo(f"{written}: signed.")


@trust.command("publish")
@click.argument("recipe", type=FILE)
@click.argument("directory", type=DIRECTORY)
@KEY
@CERTIFICATE
@AS_JSON
def trust_publish(recipe: Path, directory: Path, key: Path, certificate: Path, *, as_json: bool) -> None:
    """Sign the list that RECIPE describes and lay it in DIRECTORY, from which a web server answers.

    For SAML metadata also every entity alone, in DIRECTORY/entities, as answers to metadata queries (MDQ); files there
    of entities that left are removed.
    """
    from gateway import publishing  # noqa: PLC0415
    from gateway.clock import now  # noqa: PLC0415
    from trust_lists import recipes  # noqa: PLC0415

    written, left_out = _sign(recipe, key, certificate, as_json=as_json)
    with _told():
        plan = recipes.read_recipe(recipe)
        found = publishing.publish(plan, written, directory, key=key, certificate=certificate, now=now())
    if as_json:
        print_json(
            {
                "list": str(found.document),
                "entities": found.entities,
                "removed": list(found.removed),
                "left_out": left_out,
            }
        )
        return
    click.echo(f"{found.document}: signed.")
    if found.entities:
        click.echo(f"{directory / publishing.ENTITIES}: {found.entities} entities, each signed alone (MDQ).")
    for name in found.removed:
        click.echo(f"{directory / publishing.ENTITIES / name}: removed, its entity is no longer listed.")


# --- anybody's side


@trust.command("show")
@click.argument("file", type=FILE)
@ANCHOR
@FORMAT
@AS_JSON
@LANGUAGE
def trust_show(file: Path, anchor: tuple[Path, ...], kind: str | None, language: str, *, as_json: bool) -> None:
    """Verify a signed list and tell who is on it, for what, until when."""
    from gateway.clock import now  # noqa: PLC0415
    from trust_lists import showing  # noqa: PLC0415

    with _told():
        found = showing.read_list_file(file, anchors=anchor, kind=kind, now=now())
    if as_json:
        print_json(showing.describe(found))
    else:
        click.echo("\n".join(showing.lines(found, language)))


@trust.command("diff")
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@ANCHOR
@FORMAT
@click.option("--at", type=Instant(), help="Read OLD as on this day; default: now, or when NEW was issued.")
@AS_JSON
@LANGUAGE
def trust_diff(
    *,
    old: Path,
    new: Path,
    anchor: tuple[Path, ...],
    kind: str | None,
    at: datetime | None,
    language: str,
    as_json: bool,
) -> None:
    """Verify two versions of a list and tell what changed; exit code 3 if anything is added or widened."""
    from gateway.clock import now  # noqa: PLC0415
    from trust_lists import showing  # noqa: PLC0415
    from trust_lists.comparing import compare  # noqa: PLC0415
    from trust_lists.model import ListRefusedError  # noqa: PLC0415

    def read_old(then: datetime) -> "TrustList":
        return showing.read_list_file(old, anchors=anchor, kind=kind, now=then)

    with _told():
        newer = showing.read_list_file(new, anchors=anchor, kind=kind, now=now())
        try:
            older = read_old(at or now())
        except ListRefusedError as refused:
            if at is not None or refused.code != "expired":
                raise
            older = read_old(newer.issued_at)
    found = compare(older, newer)
    if as_json:
        print_json(found.as_json())
    else:
        click.echo("\n".join(found.lines(language)))
    sys.exit(EXIT_ASK if found.widens else 0)


# --- a gateway's side


@trust.command("explain")
@click.argument("entity")
@CONFIG
@STATE
@click.option(
    "--for", "relying", metavar="CODE", help="For which municipality (local-government code); default: the region."
)
@click.option("--use", metavar="USE", help="For which use, such as civic.")
@click.option("--role", type=click.Choice(ROLES), help="In which role; default: every one that a list names.")
@click.option("--at", type=Instant(), help="At which time; default: now.")
@AS_JSON
@LANGUAGE
def trust_explain(
    *,
    entity: str,
    config: Path,
    state: Path,
    relying: str | None,
    use: str | None,
    role: str | None,
    at: datetime | None,
    language: str,
    as_json: bool,
) -> None:
    """Tell why ENTITY (an entity ID) is trusted, or which link fails and what would mend it.

    Needs no running gateway: it reads the lists that the gateway would read. Exit code 3 if it is not trusted in any
    role that was asked for.
    """
    from gateway.clock import now  # noqa: PLC0415
    from trust_lists.explaining import explain  # noqa: PLC0415
    from trust_lists.model import Role  # noqa: PLC0415

    _check_question(relying, use)
    loaded = _configuration(config, state, language)
    trusted, refused, _ = _read_lists(loaded, state, now())
    found = explain(
        trusted,
        loaded.recognitions,
        entity,
        role=None if role is None else Role(role),
        relying=relying,
        use=use,
        at=at or now(),
    )
    if as_json:
        print_json({"explanations": [each.as_json() for each in found], "lists_refused": refused})
    else:
        from trust_lists.words import plain  # noqa: PLC0415

        for text in refused.values():
            click.echo(plain(text), err=True)
        for each in found:
            click.echo("\n".join(map(plain, each.lines(language))))
    sys.exit(0 if any(each.trusted for each in found) else EXIT_ASK)


@trust.command("staged")
@CONFIG
@STATE
@AS_JSON
@LANGUAGE
def trust_staged(config: Path, state: Path, language: str, *, as_json: bool) -> None:
    """Tell which versions of lists wait for approval and what they change; exit code 3 if there is one."""
    from gateway import approval  # noqa: PLC0415
    from gateway.clock import now  # noqa: PLC0415

    loaded = _configuration(config, state, language)
    with _told():
        found = approval.waiting(_sources(loaded, state, now()), state)
    if as_json:
        print_json([_waiting_as_json(each) for each in found])
    elif found:
        click.echo("\n\n".join(_waiting_text(each, language) for each in found))
    else:
        click.echo({"ja": "承認を待つ一覧はありません。", "en": "No list waits for approval."}[language])
    sys.exit(EXIT_ASK if found else 0)


WHO = click.option("--by", "who", required=True, help="The name of who decides; it is recorded.")
DIGEST = click.option("--digest", required=True, help="Digest of what it adds or widens, as `trust staged` shows it.")


def _deciding(command: Callable[..., None]) -> Callable[..., None]:
    """Ask for what every decision needs."""
    for option in (LANGUAGE, AS_JSON, WHO, DIGEST, STATE, CONFIG, click.argument("name")):
        command = option(command)
    return command


@trust.command("approve")
@_deciding
def trust_approve(**asked: Any) -> None:
    """Let the waiting version of list NAME take effect; a running gateway takes it over within seconds."""
    from gateway import approval  # noqa: PLC0415

    _decide(approval.approve, {"ja": "承認しました。", "en": "approved."}, **asked)


@trust.command("reject")
@_deciding
def trust_reject(**asked: Any) -> None:
    """Turn the waiting version of list NAME down; the one in force stays until its own end."""
    from gateway import approval  # noqa: PLC0415

    _decide(approval.reject, {"ja": "却下しました。", "en": "rejected."}, **asked)


def _decide(
    deciding: "Callable[..., Decision]",
    done: dict[str, str],
    *,
    name: str,
    config: Path,
    state: Path,
    digest: str,
    who: str,
    language: str,
    as_json: bool,
) -> None:
    from gateway import approval  # noqa: PLC0415
    from gateway.clock import now  # noqa: PLC0415
    from gateway.keys import StateDirectoryError  # noqa: PLC0415

    source = _source(_sources(_configuration(config, state, language), state, now()), name)
    with _told(approval.ApprovalError, StateDirectoryError):
        decided = deciding(source, state, digest=digest, who=who, at=now())
    if as_json:
        print_json(decided.to_json())
    else:
        click.echo(f"{decided.name}: {done[language]}")


# --- what they share


@contextlib.contextmanager
def _told(*more: type[Exception]) -> Iterator[None]:
    """Turn what is refused, and `more` errors, into one sentence on standard error and exit code 1."""
    from trust_lists.model import ListRefusedError  # noqa: PLC0415
    from trust_lists.recipes import RecipeError  # noqa: PLC0415

    refusals: tuple[type[Exception], ...] = (ListRefusedError, RecipeError, *more)
    try:
        yield
    except OSError as fault:
        raise click.ClickException(f"{fault.filename or ''}: {fault.strerror or fault}") from fault
    except refusals as fault:
        from trust_lists.words import plain  # noqa: PLC0415

        raise click.ClickException(plain(str(fault))) from fault


def _sign(recipe: Path, key: Path, certificate: Path, *, as_json: bool) -> tuple[Path, list[str]]:
    """Sign a recipe; what its members wanted and do not get goes to standard error, or into the answer."""
    from gateway.clock import now  # noqa: PLC0415
    from trust_lists import authoring  # noqa: PLC0415

    left_out: list[str] = []
    with _told():
        written = authoring.sign_list(recipe, key=key, certificate=certificate, now=now(), tell=left_out.append)
    if not as_json:
        for text in left_out:
            click.echo(text, err=True)
    return written, left_out


def _configuration(directory: Path, state: Path, language: str) -> "Configuration":
    from gateway import config  # noqa: PLC0415

    try:
        return config.load(directory, state=state)
    except config.ConfigurationError as fault:
        raise click.ClickException(config.format_mistakes(fault.mistakes, (), language=language)) from fault


def _source(sources: tuple["TrustSource", ...], name: str) -> "TrustSource":
    for source in sources:
        if source.name == name:
            return source
    known = ", ".join(source.name for source in sources)
    raise click.ClickException(f"trust.yaml has no source {name!r}; it has {known}.")


def _sources(loaded: "Configuration", state: Path, now: datetime) -> tuple["TrustSource", ...]:
    """Every list that a gateway would read: those of trust.yaml, and those that they lead to now."""
    if all(source.follow is None for source in loaded.sources):
        return loaded.sources
    return loaded.sources + _read_lists(loaded, state, now)[2]


def _check_question(relying: str | None, use: str | None) -> None:
    from trust_lists import etsi, rules  # noqa: PLC0415

    try:
        if relying is not None:
            rules.municipality(relying, ())
        if use is not None:
            etsi.use(use, ())
    except rules.EntryError as fault:
        raise click.UsageError(fault.reason) from fault


def _read_lists(
    loaded: "Configuration", state: Path, now: datetime
) -> tuple["TrustedSet", dict[str, str], tuple["TrustSource", ...]]:
    """Read every list as a gateway does that starts now; those that it refuses, and why; those that others lead to.

    A list that is over is taken as it was, so that the answer is that it is over, and not that nobody knows the entity.
    """
    from gateway import following, lists  # noqa: PLC0415
    from gateway.keys import StateDirectoryError  # noqa: PLC0415
    from trust_lists.model import ListRefusedError  # noqa: PLC0415
    from trust_lists.trusted_set import TrustedSet  # noqa: PLC0415

    with _told(StateDirectoryError):
        marks = lists.HighWater(state).read()
    trusted, refused = TrustedSet(), dict[str, str]()

    def read(source: "TrustSource") -> "TrustList | None":
        try:
            document = lists.content(source.file, source)
            try:
                found = lists.trial(source, document, marks=marks, now=now)
            except ListRefusedError as why:
                if why.code != "expired":
                    raise
                refused[source.name] = str(why)
                found = lists.trial(source, document, marks=marks, now=lists.written_at(source.file))
            trusted.admit(found)
        except ListRefusedError as why:
            refused[source.name] = str(why)
        except OSError as why:
            refused[source.name] = f"list {source.name}: {source.file} cannot be read ({why.strerror})."
        else:
            return found
        return None

    held = {source.name: read(source) for source in loaded.sources}
    found = following.follow(loaded.sources, held, state, read)
    for name, left in found.left.items():
        for fault in left:
            refused[f"{name}: {fault.where}"] = f"list {name}: {fault.where}: {fault.reason}."
    return trusted, refused, found.sources


def _waiting_as_json(waiting: "Waiting") -> dict[str, Any]:
    return {
        "name": waiting.name,
        "digest": waiting.digest,
        "since": waiting.since.isoformat(),
        "sequence": waiting.sequence,
        "valid_until": waiting.valid_until.isoformat(),
        "comparison": waiting.comparison.as_json(),
    }


def _waiting_text(waiting: "Waiting", language: str) -> str:
    from trust_lists.words import instant  # noqa: PLC0415

    since, until = instant(waiting.since, language), instant(waiting.valid_until, language)
    head = {
        "ja": f"{waiting.name}：第 {waiting.sequence} 版（期限 {until}）が {since} から承認を待っています。",
        "en": f"{waiting.name}: version {waiting.sequence} (valid until {until}) waits for approval since {since}.",
    }[language]
    lines = (f"  {line}" for line in waiting.comparison.lines(language))
    decide = f"kakehashi trust approve {waiting.name} --digest {waiting.digest} --by …"
    return "\n".join((head, *lines, f"  {decide}"))
