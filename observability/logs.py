"""The log: one JSON object per line on standard output, and nothing in it that could be a person's.

Three rules make a leak impossible rather than unlikely:

- Only the keys of `log_keys.KEYS` are written, each only with a value of its stated form; what is dropped is
  named in `dropped_keys`, without its value.
- Of an exception its type and the places in our own code are written. Its text only if the exception is one
  of ours, which never hold personal data; other libraries put whatever they were given into theirs.
- Of another library's record only a message that stands literally in that library's source is written,
  without its arguments. Of pysaml2, which puts assertions into its messages, only where it was said.

JSON escapes everything outside printable ASCII, so no value can begin a line or steer a terminal.
"""

import io
import json
import logging
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import CodeType, FrameType
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict

from observability.events import (
    CallEvent,
    CallOutcome,
    ConfigEvent,
    ConfigOutcome,
    ConsentEvent,
    CouncilEvent,
    EndingEvent,
    Event,
    FetchEvent,
    FetchOutcome,
    GuardEvent,
    ListEvent,
    ListOutcome,
    LoginEvent,
    LogoutEvent,
    OverdueEvent,
    PointersEvent,
    StoreChange,
    StoreEvent,
    UpstreamChange,
    UpstreamEvent,
)
from observability.exceptions import describe_exception, place
from observability.log_keys import KEYS, iso, keep_known

Format = Literal["json", "text"]
MUTE = ("saml2", "pysaml2")
"""Libraries that put what they handle into their messages: nothing of the message is written."""


# --- other libraries' records


class _OtherLibraries(logging.Handler):
    """Writes records of the standard library's logging as lines of ours."""

    def __init__(self, write: Callable[[EventDict], None]) -> None:
        super().__init__()
        self._write = write
        self.lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write where it was said, how grave it is, and what of it may be told."""
        entry: EventDict = {
            "event": "library",
            "level": record.levelname.lower(),
            "logger": record.name,
            "where": place(record.pathname, record.funcName or "", record.lineno),
            "exc_info": record.exc_info,
        }
        if record.name.partition(".")[0] not in MUTE and _stands_in_source(record):
            entry["message"] = record.msg
        try:
            self._write(entry)
        except ValueError:  # the usual handler would print the record's arguments
            self.lost += 1


def _stands_in_source(record: logging.LogRecord) -> bool:
    """Whether the message is a constant of the function that logged it, so that no value can be in it."""
    if not isinstance(record.msg, str):
        return False
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - the only way to the code that logged
    while frame is not None:
        code: CodeType = frame.f_code
        if (code.co_filename, code.co_name) == (record.pathname, record.funcName):
            return any(isinstance(constant, str) and constant == record.msg for constant in code.co_consts)
        frame = frame.f_back
    return False


# --- the lines

_ENCODER = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def as_json(entry: EventDict) -> str:
    """One line of JSON (RFC 8259), ASCII only."""
    return _ENCODER.encode(entry)


def as_text(entry: EventDict) -> str:
    """One line for people: time, level, event, then `key=value`, unprintable characters escaped."""
    rest = dict(entry)
    head = (rest.pop("timestamp", ""), f"{rest.pop('level', ''):<8}", rest.pop("event", ""))
    for constant in ("service", "version"):
        rest.pop(constant, None)
    return " ".join([*map(_printable, head), *(f"{key}={_quoted(value)}" for key, value in rest.items())])


def _quoted(value: Any) -> str:
    if isinstance(value, str) and value and re.fullmatch(r"[^\s\"'=\\]+", value):
        return _printable(value)
    return _printable(json.dumps(value, ensure_ascii=False))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


ONE_PIECE = 4096
"""Bytes that arrive in one piece in a pipe that several processes write to (POSIX's PIPE_BUF, as Linux has it)."""


class _Lines(structlog.PrintLogger):
    """Writes lines; one that cannot be written (a full disk, a reader that is gone) costs no login, and is counted."""

    def __init__(self, file: TextIO) -> None:
        super().__init__(file)
        self.lost = 0
        self._held: list[str] = []
        self._length = 0

    def msg(self, message: str) -> None:
        """Write one line, in one piece: several processes share the file, and Python may be told not to gather."""
        self.flush()
        self._put(f"{message}\n", 1)

    def later(self, message: str) -> None:
        """Write one line with others, at the next `flush` at the latest and before any line that comes after it."""
        if self._length + len(message) >= ONE_PIECE:
            self.flush()
        self._held.append(message)
        self._length += len(message) + 1

    def flush(self) -> None:
        """Write the lines that are held."""
        if self._held:
            held, self._held, self._length = self._held, [], 0
            self._put("\n".join(held) + "\n", len(held))

    def _put(self, text: str, lines: int) -> None:
        try:
            print(text, end="", file=self._file, flush=True)
        except (OSError, ValueError):
            self.lost += lines

    log = debug = info = warn = warning = fatal = failure = err = error = critical = exception = msg


@dataclass(slots=True)
class _Configured:
    """How lines are written now, for those that are made without structlog: of calls, which are many."""

    lines: _Lines
    finish: Callable[[EventDict], str]
    processors: list[Any]

    def in_force(self) -> bool:
        """Whether structlog still writes as it was told here; a test may have told it otherwise since."""
        return structlog.get_config()["processors"] is self.processors


_configured: _Configured | None = None


def flush() -> None:
    """Write the lines that are held to be written with others."""
    if _configured is not None:
        _configured.lines.flush()


def configure(
    *,
    version: str,
    format: Format = "json",  # noqa: A002 - the configuration's own word
    level: str = "info",
    service: str = "kakehashi",
    stream: TextIO | None = None,
) -> None:
    """Send structlog's lines and every library's records to `stream` (standard output) in this form.

    May be called again; the last call counts. Raises ValueError for an unknown level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"log level {level!r}: expected debug, info, warning, error or critical")
    output = sys.stdout if stream is None else stream
    if isinstance(output, io.TextIOWrapper):
        output.reconfigure(errors="backslashreplace")  # a terminal without Japanese must not cost a login
    render = as_json if format == "json" else as_text
    lines = _Lines(output)

    def finish(entry: EventDict) -> str:
        constants = {"timestamp": iso(datetime.now(UTC)), "service": service, "version": version}
        return render({**constants, **keep_known(describe_exception(entry))})

    def finish_ours(_: Any, __: str, entry: EventDict) -> str:
        return finish(entry)

    processors: list[Any] = [structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, finish_ours]
    global _configured  # noqa: PLW0603 - there is one log
    quick = format == "json" and number <= logging.INFO
    _configured = _Configured(lines=lines, finish=finish, processors=processors) if quick else None
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )

    def write(entry: EventDict) -> None:
        lines.msg(finish({**structlog.contextvars.get_contextvars(), **entry}))

    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _OtherLibraries)]:
        root.removeHandler(handler)
    root.addHandler(_OtherLibraries(write))
    # What other libraries say at "info" is noise to an operator; it comes with our own "debug".
    root.setLevel(logging.INFO if number <= logging.DEBUG else max(number, logging.WARNING))
    for name in MUTE:
        logging.getLogger(name).setLevel(logging.WARNING)


# --- events as lines

MOST_PATTERNS = 1000
"""Kinds of calls whose lines' common part is remembered."""


class LogRecorder:
    """Writes each event as one line, as a `Recorder`."""

    def __init__(self) -> None:
        self._bound: Any = None
        self._patterns: dict[object, tuple[_Configured, str]] = {}

    def record(self, event: Event) -> None:  # noqa: C901, PLR0912 - a case for each kind
        """Write the event."""
        match event:
            case LoginEvent():
                self._write(
                    _level_of_login(event),
                    "login",
                    request_id=event.request_id,
                    outcome=event.outcome.value,
                    reason=event.reason,
                    id_system=event.id_system,
                    municipality=event.municipality,
                    relying_service=event.service,
                    upstream=event.upstream,
                    downstream=event.downstream,
                    identity_level=event.level,
                    why="; ".join(event.why) or None,
                    seconds=round(event.seconds, 3),
                )
            case LogoutEvent():
                self._write(
                    "info",
                    "logout",
                    request_id=event.request_id,
                    outcome=event.outcome.value,
                    reason=event.reason,
                    relying_service=event.service,
                    id_system=event.id_system,
                    told=event.told,
                    untold=event.untold,
                    seconds=round(event.seconds, 3),
                )
            case ConsentEvent():
                self._write(
                    "info",
                    "consent",
                    request_id=event.request_id,
                    change=event.change.value,
                    relying_service=event.service,
                )
            case CouncilEvent():
                self._write(
                    "info",
                    "council-answer",
                    request_id=event.council_request,
                    outcome=event.outcome.value,
                    reason=event.reason,
                    municipality=event.target,
                    seconds=event.seconds,
                )
            case EndingEvent():
                self._write(
                    "warning" if event.untold else "info",
                    "sessions-ended",
                    reason=event.reason.value,
                    relying_service=event.service,
                    count=event.ended,
                    told=event.told,
                    untold=event.untold,
                )
            case CallEvent():
                self.record_call(event)
            case GuardEvent():
                self._write(
                    "warning",
                    "guard",
                    request_id=event.request_id,
                    code=event.kind,
                    rule=event.rule,
                    outcome=event.outcome,
                    direction=event.direction,
                    bridge=event.where,
                    attribute=event.name if KEYS["attribute"](event.name) else None,
                    id_system=event.id_system,
                    relying_service=event.service if event.where == "login" else None,
                    api_service=event.service if event.where == "call" else None,
                    route=event.route,
                )
            case ListEvent():
                self._write(
                    "info" if event.outcome is ListOutcome.LOADED else "error",
                    "trust-list",
                    list=event.name,
                    outcome=event.outcome.value,
                    code=event.code,
                    valid_until=event.valid_until,
                    entities=event.entities,
                    faults=event.faults,
                )
            case FetchEvent():
                self._write(
                    "warning" if event.outcome in (FetchOutcome.REFUSED, FetchOutcome.FAILED) else "info",
                    "list-fetch",
                    list=event.name,
                    outcome=event.outcome.value,
                    code=event.code,
                )
            case PointersEvent():
                pass  # each is said where it is found
            case StoreEvent():
                self._write("info" if event.change is StoreChange.UP else "error", "store", change=event.change.value)
            case UpstreamEvent():
                if event.address is not None:  # what became of a call stands in the call's line
                    self._write(
                        "warning" if event.change in (UpstreamChange.OUT, UpstreamChange.UNWELL) else "info",
                        "upstream",
                        change=event.change.value,
                        api_service=event.service,
                        address=event.address if KEYS["address"](event.address) else None,
                    )
            case OverdueEvent():
                self._write("error", "step-overdue", reason=event.stage.value, count=event.abandoned)
            case ConfigEvent():
                self._write(
                    "info" if event.outcome is ConfigOutcome.LOADED else "error",
                    "configuration",
                    outcome=event.outcome.value,
                    mistakes=event.mistakes,
                )

    def record_call(self, event: CallEvent) -> None:
        """One line; of a call that went well made from a pattern, since there are many of few kinds."""
        configured = _configured if event.outcome is CallOutcome.OK else None
        if configured is None or not configured.in_force() or not KEYS["request_id"](event.request_id):
            self._write(
                "info" if event.status < 500 else "warning",  # noqa: PLR2004 - server errors
                "call",
                request_id=event.request_id,
                own_seconds=round(event.own_seconds, 6),
                upstream_seconds=None if event.upstream_seconds is None else round(event.upstream_seconds, 6),
                **_said_of_kind(event),
            )
            return
        kind = (event.status, event.route, event.service, event.municipality)
        pattern = self._patterns.get(kind)
        if pattern is None or pattern[0] is not configured:
            line = configured.finish({"level": "info", "event": "call", **_said_of_kind(event)})
            stamped, _, rest = line.removesuffix("}").partition(",")
            if not stamped.startswith('{"timestamp":'):
                raise AssertionError("a line begins with its time")
            if len(self._patterns) >= MOST_PATTERNS:
                self._patterns.clear()
            pattern = self._patterns[kind] = (configured, rest)
        configured.lines.later(
            f'{{"timestamp":"{iso(event.at)}",{pattern[1]},"request_id":"{event.request_id}",'
            f'"own_seconds":{event.own_seconds:.6f},"upstream_seconds":{event.upstream_seconds or 0:.6f}}}'
        )

    def _write(self, level: str, name: str, **fields: Any) -> None:
        if self._bound is None:  # bound once, and not before the log is configured
            self._bound = structlog.get_logger().bind()
        getattr(self._bound, level)(name, **fields)


def _said_of_kind(event: CallEvent) -> dict[str, Any]:
    """What a line says of a call that many others share."""
    return {
        "outcome": event.outcome.value,
        "reason": event.reason,
        "status": event.status,
        "route": event.route,
        "api_service": event.service,
        "municipality": event.municipality,
    }


def _level_of_login(event: LoginEvent) -> str:
    if event.reason == "internal-fault":
        return "error"
    return "info"
