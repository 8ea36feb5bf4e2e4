"""The commands `kakehashi attributes …`: try a map on made-up data, see the transforms, get the schema for an editor.

Exit codes: 0 done, 1 a file is refused or a required attribute is missing (with a sentence), 2 a wrong command line.

Rooms are imported inside the commands, so that a command starts as fast as what it needs.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli_options import AS_JSON, EXIT_MISTAKES, FILE, LANGUAGE, print_json

if TYPE_CHECKING:
    from federation.guard import Finding
    from federation.tracing import Trace, Traced
    from gateway.config import AttributeMap

_WORDS: Mapping[str, Mapping[str, str]] = {
    "absent": {"ja": "なし", "en": "absent"},
    "unread": {"ja": "どの規則も読まないため捨てたもの", "en": "dropped, since no rule reads them"},
    "required": {
        "ja": "必須の項目がないため、このログインは断られます",
        "en": "a required attribute is missing: this login would be refused",
    },
    "refused": {"ja": "（断る）", "en": "(refuses)"},
    "must-not-pass": {
        "ja": "通してはならないものがあるため、このログインは断られます",
        "en": "it holds what must never pass: this login would be refused",
    },
    "counted": {"ja": "通りますが、疑わしい値として数えます", "en": "it passes, and is counted as doubtful"},
    "elsewhere": {"ja": "ほかの項目、または項目を合わせて", "en": "another field, or several together"},
    "input": {
        "ja": "項目名と値の JSON オブジェクトが必要です",
        "en": "a JSON object of names and values is expected",
    },
}

MOST_BYTES = 1024 * 1024
IDEOGRAPHIC_SPACE = "\u3000"


@click.group()
def attributes() -> None:
    """Try attribute maps on made-up data, and look up what a map may say."""


@attributes.command("try")
@click.argument("map", type=FILE)
@click.argument("input", type=FILE)
@click.option("--to", "service", type=FILE, help="For an ID system's map: the service whose map comes after it.")
@click.option(
    "--at",
    "day",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day in Japan on which the person signs in, as 2027-03-31. Default: today.",
)
@click.option(
    "--level",
    type=click.IntRange(0, 3),
    help="The identity level of the sign-in, held against minimum_identity of a service's rules. Default: not asked.",
)
@AS_JSON
@LANGUAGE
def attributes_try(
    map: Path,  # noqa: A002 - as the command line calls them
    input: Path,  # noqa: A002
    *,
    service: Path | None,
    day: Any,
    level: int | None,
    language: str,
    as_json: bool,
) -> None:
    """Show what MAP makes of INPUT: each value, the rule that made it, and what was dropped and why.

    MAP is a file of id-systems/ or services/ in a configuration directory. INPUT is a JSON file: for an ID system what
    it sends (claims as in an OpenID user info answer, or SAML attributes by name), for a service attributes of the
    vocabulary. Write invented people into it; the values are printed. What the guard would find in them is told too.
    """
    from federation.guard import refused  # noqa: PLC0415
    from federation.oidc.claims import flatten  # noqa: PLC0415
    from federation.tracing import traced  # noqa: PLC0415
    from gateway import config  # noqa: PLC0415

    today = _today() if day is None else day.date()
    try:
        first = config.attribute_map(map)
        second = None if service is None else config.attribute_map(service)
    except config.ConfigurationError as wrong:
        click.echo(config.format_mistakes(wrong.mistakes, language=language), err=True)
        sys.exit(EXIT_MISTAKES)
    if second is not None and (second.inward or not first.inward):
        raise click.UsageError("--to takes a service's map, after an ID system's.")
    sent = flatten(_input(input, language))
    stages = [(first, traced(first.rules, sent, today, sure=None if level is None else dict.fromkeys(sent, level)))]
    if second is not None:
        before = stages[0][1]
        sure = None if level is None else _sure(before, level)
        stages.append((second, traced(second.rules, before.made(), today, before.absent(), sure)))
    missing = [t.rule.to for each, made in stages if not each.inward for t in made.traces if _refused(t)]
    found = [_findings(each, made, sent) for each, made in stages]
    if as_json:
        maps = [_as_json(each, made, few) for (each, made), few in zip(stages, found, strict=True)]
        print_json({"maps": maps, "required_missing": missing})
    else:
        for (each, made), few in zip(stages, found, strict=True):
            click.echo("\n".join((*_lines(each, made, language), *_guarded(few, language))))
        if missing:
            click.echo(f"{_WORDS['required'][language]}: {', '.join(_one_line(name) for name in missing)}", err=True)
    sys.exit(EXIT_MISTAKES if missing or refused(each for few in found for each in few) else 0)


@attributes.command("transforms")
@AS_JSON
@LANGUAGE
def attributes_transforms(language: str, *, as_json: bool) -> None:
    """List the transforms that a map may name: what each does, its argument, and the reasons for which it refuses."""
    from federation.reasons import REASONS  # noqa: PLC0415
    from federation.transforms import TRANSFORMS  # noqa: PLC0415
    from federation.transforms.meanings import MEANINGS  # noqa: PLC0415

    if as_json:
        print_json(
            {
                name: {
                    "meaning": dict(MEANINGS[name]),
                    "argument": None if each.argument is None else dict(each.argument),
                    "reasons": list(each.reasons),
                    "inverse": each.inverse,
                    "combines": each.combines,
                }
                for name, each in sorted(TRANSFORMS.items())
            }
        )
        return
    for name, each in sorted(TRANSFORMS.items()):
        click.echo(name if each.argument is None else f"{{{name}: …}}")
        click.echo(f"    {MEANINGS[name][language]}")
        if each.argument is not None:
            click.echo(f"    …: {each.argument[language]}")
        for reason in each.reasons:
            click.echo(f"    ✗ {reason}: {REASONS[reason][language]}")


@attributes.command("schema")
@click.argument("kind", type=click.Choice(["id-system", "service"]))
def attributes_schema(kind: str) -> None:
    """Print the JSON Schema of an ID system's or a service's file, for editors that check while one writes."""
    from gateway.config.schema import schema  # noqa: PLC0415

    print_json(schema(kind))


def _today() -> date:
    from federation.transforms import day_in_japan  # noqa: PLC0415
    from gateway.clock import now  # noqa: PLC0415

    return day_in_japan(now())


def _input(file: Path, language: str) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            content = json.loads(opened.read(MOST_BYTES))
    except (OSError, ValueError, RecursionError) as wrong:
        at = f":{wrong.lineno}" if isinstance(wrong, json.JSONDecodeError) else ""
        click.echo(f"{file}{at}: {_WORDS['input'][language]}", err=True)
        sys.exit(EXIT_MISTAKES)
    if not isinstance(content, dict):
        click.echo(f"{file}: {_WORDS['input'][language]}", err=True)
        sys.exit(EXIT_MISTAKES)
    return content


def _sure(before: "Traced", level: int) -> dict[str, int]:
    """The identity level that each attribute is worth which came in by a sign-in of this level."""
    from federation.evidence import attribute_level  # noqa: PLC0415

    return {each.rule.to: attribute_level(level, getattr(each.rule, "evidence", "")) for each in before.traces}


def _refused(trace: "Trace") -> bool:
    return trace.values is None and getattr(trace.rule, "required", False)


def _findings(each: "AttributeMap", made: "Traced", sent: Mapping[str, tuple[str, ...]]) -> "tuple[Finding, ...]":
    """What the guard finds at a login, in what the ID system sent or the service would get."""
    from federation.attributes import InwardMap, InwardRule, OutwardMap, OutwardRule  # noqa: PLC0415

    if each.inward:
        return InwardMap(rules=tuple(r for r in each.rules if isinstance(r, InwardRule))).findings(sent)
    return OutwardMap(rules=tuple(r for r in each.rules if isinstance(r, OutwardRule))).findings(made.made())


def _guarded(findings: "tuple[Finding, ...]", language: str) -> Iterator[str]:
    for each in findings:
        word = "must-not-pass" if each.outcome == "refuse" else "counted"
        name = _WORDS["elsewhere"][language] if each.name is None else _one_line(each.name)
        yield f"{name}: {_WORDS[word][language]} ({each.rule})"


def _lines(each: "AttributeMap", made: "Traced", language: str) -> Iterator[str]:
    from federation.reasons import REASONS  # noqa: PLC0415

    yield f"── {each.id}"
    for trace in made.traces:
        where = each.places.get(trace.rule.to, "")
        if trace.values is None:
            reason = trace.reason or ""
            yield f"{_one_line(trace.rule.to)} – {_WORDS['absent'][language]}: {reason}   ({where})"
            yield f"    {REASONS[reason][language]}"
        else:
            yield f"{_one_line(trace.rule.to)} = {_shown(trace.values)}   ({where})"
        for name in trace.rule.sources:
            yield f"    {_one_line(name)}: {_shown(trace.given[name]) if name in trace.given else '–'}"
        for step in trace.steps:
            after = _WORDS["refused"][language] if step.values is None else _shown(step.values)
            yield f"    → {step.transform}: {after}"
    if made.unread:
        yield f"{_WORDS['unread'][language]}: {', '.join(map(_one_line, made.unread))}"


def _as_json(each: "AttributeMap", made: "Traced", findings: "tuple[Finding, ...]") -> dict[str, Any]:
    return {
        "map": each.id,
        "attributes": [
            {
                "to": trace.rule.to,
                "values": None if trace.values is None else list(trace.values),
                "reason": trace.reason,
                "rule": each.places.get(trace.rule.to),
                "from": {name: list(values) for name, values in trace.given.items()},
                "steps": [
                    {"transform": step.transform, "values": None if step.values is None else list(step.values)}
                    for step in trace.steps
                ],
            }
            for trace in made.traces
        ],
        "unread": list(made.unread),
        "guard": [{"name": found.name, "rule": found.rule, "outcome": found.outcome.value} for found in findings],
    }


def _shown(values: tuple[str, ...]) -> str:
    return ", ".join(f'"{_one_line(value)}"' for value in values)


def _one_line(text: str) -> str:
    """The text with what a terminal would obey, or nobody would see, written as escapes."""
    return "".join(c if c.isprintable() or c == IDEOGRAPHIC_SPACE else json.dumps(c)[1:-1] for c in text)
