import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.council.answers import Outcome
from federation.refusal import AssuranceTooLow
from observability import exceptions, logs
from observability.events import (
    CallOutcome,
    ConfigEvent,
    ConfigOutcome,
    CouncilEvent,
    EndingEvent,
    EndReason,
    ListEvent,
    ListOutcome,
    LoginOutcome,
    LogoutEvent,
    LogoutOutcome,
    OverdueEvent,
    OverdueStage,
    StoreChange,
    StoreEvent,
    UpstreamChange,
    UpstreamEvent,
)
from observability.log_keys import KEYS
from observability.logs import LogRecorder, as_json
from tests.observability.builders import NOW, call, login

SECRET = "髙橋花子 1985-03-15"
ESCAPED = json.dumps(SECRET)[1:-1]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave structlog and the root logger as they were."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in logs.MUTE}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def only_ours() -> list[logging.Handler]:
    """The root logger's handlers without those of pytest, which format every record by themselves."""
    return [handler for handler in logging.getLogger().handlers if type(handler).__module__ == logs.__name__]


@pytest.fixture
def output() -> io.StringIO:
    """What the log says from here on, as JSON lines, everything included."""
    stream = io.StringIO()
    logs.configure(version="0.1.0", level="debug", stream=stream)
    return stream


def lines(output: io.StringIO) -> list[dict[str, Any]]:
    """Every line as an object."""
    return [json.loads(line) for line in output.getvalue().splitlines()]


def told_nothing_secret(output: io.StringIO) -> bool:
    """Whether the secret, in any of its parts, is missing from the log."""
    text = output.getvalue()
    return all(part not in text for part in (SECRET, ESCAPED, "1985-03-15", *map(json.dumps, "髙橋花子")))


def test_a_line_says_when_who_and_what(output: io.StringIO):
    """UTC time, level, event, service, version and the request's identifier stand in every line."""
    structlog.contextvars.bind_contextvars(request_id="abc-123")
    structlog.get_logger("gateway").info("started", address="http://localhost:8080", count=2)
    [line] = lines(output)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("timestamp"))
    assert line == {
        "service": "kakehashi",
        "version": "0.1.0",
        "level": "info",
        "event": "started",
        "request_id": "abc-123",
        "address": "http://localhost:8080",
        "count": 2,
    }


def test_an_unknown_key_is_dropped_and_named(output: io.StringIO):
    """A value under a key that is not in the table is never written."""
    structlog.get_logger().info("login", family_name=SECRET, attributes={"familyName": [SECRET]}, reason="no-route")
    [line] = lines(output)
    assert line["dropped_keys"] == ["attributes", "family_name"]
    assert line["reason"] == "no-route"
    assert told_nothing_secret(output)


def test_a_known_key_takes_only_its_own_kind_of_value(output: io.StringIO):
    """A value in the wrong place is dropped as well; nobody can name the constants of the line."""
    values = dict.fromkeys((key for key in KEYS if key not in ("event", "level", "detail", "path", "message")), SECRET)
    structlog.get_logger().info("login", **values, timestamp=SECRET, service=SECRET, version=SECRET, exception=SECRET)
    [line] = lines(output)
    assert set(values) | {"timestamp", "service", "version"} == set(line["dropped_keys"])
    assert told_nothing_secret(output)


@pytest.mark.parametrize("event", [SECRET, f"login of {SECRET}", "two words", ""])
def test_an_event_is_a_fixed_word(output: io.StringIO, event: str):
    """Prose could hold a value, so what is not a machine's word is not an event."""
    structlog.get_logger().warning(event)
    [line] = lines(output)
    assert line["event"] == "unnamed"
    assert line["dropped_keys"] == ["event"]
    assert told_nothing_secret(output)


def test_arguments_of_an_event_are_not_interpolated_into_the_log(output: io.StringIO):
    """The printf style of logging does not open a side door."""
    structlog.get_logger().info("login of %s", SECRET)
    assert told_nothing_secret(output)


@settings(max_examples=200)
@given(
    st.dictionaries(
        st.sampled_from([*KEYS, "remote", "subject", "token"]),
        st.text() | st.integers() | st.floats() | st.binary() | st.lists(st.text()) | st.none(),
    ),
    st.sampled_from(["json", "text"]),
)
def test_nothing_can_begin_a_line_or_steer_a_terminal(fields: dict[str, Any], form: Any):
    """Whatever is logged is one line without control characters; in JSON it is ASCII and parses."""
    stream = io.StringIO()
    logs.configure(version="0.1.0", format=form, level="debug", stream=stream)
    fields.pop("event", None)
    structlog.get_logger().info("login", **fields)
    text = stream.getvalue()
    assert text.endswith("\n")
    assert text[:-1].isprintable()
    if form == "json":
        assert text.isascii()
        assert json.loads(text)["event"] == "login"


def raise_foreign(value: str) -> None:
    """Fail as a library fails: with the value in the message, and in a local."""
    int(value)


def test_of_a_foreign_exception_only_type_and_place_are_told(output: io.StringIO):
    """Messages of other people's exceptions, their chains and the locals of frames stay out."""
    try:
        try:
            raise_foreign(SECRET)
        except ValueError as error:
            raise KeyError(SECRET) from error
    except KeyError:
        structlog.get_logger().exception("fault")
    [line] = lines(output)
    told = line["exception"]
    assert told["type"] == "builtins.KeyError"
    assert told["cause"]["type"] == "builtins.ValueError"
    assert re.fullmatch(r"observability/test_logs\.py:raise_foreign:\d+", told["cause"]["frames"][-1])
    assert "message" not in told
    assert told_nothing_secret(output)


def test_of_our_own_exception_the_text_is_told_too(output: io.StringIO):
    """A refusal's detail is written for the log."""
    structlog.get_logger().warning("refused", exc_info=AssuranceTooLow("needed identity 2, came 1"))
    [line] = lines(output)
    assert line["exception"]["type"] == "federation.refusal.AssuranceTooLow"
    assert line["exception"]["message"] == "needed identity 2, came 1"


def test_our_frames_are_told_with_the_one_of_the_library_that_raised():
    """Frames of our rooms stand with file, function and line; of a library only where it raised."""
    with pytest.raises(TypeError) as raised:
        as_json({"count": NOW})
    told = exceptions.describe(raised.value)["frames"]
    assert re.fullmatch(r"observability/logs\.py:as_json:\d+", told[0])
    assert re.fullmatch(r"json/encoder\.py:default:\d+", told[1])
    assert len(told) == 2


def test_groups_and_rings_of_exceptions_end():
    """A group tells its members; a chain that bites its own tail is told once."""
    first, second = ValueError(SECRET), TypeError(SECRET)
    first.__context__, second.__context__ = second, first
    described = exceptions.describe(ExceptionGroup("several", [first, second]))
    assert described["type"] == "builtins.ExceptionGroup"
    assert [member["type"] for member in described["group"]] == ["builtins.ValueError"]
    assert described["group"][0]["cause"]["type"] == "builtins.TypeError"
    assert SECRET not in str(described)


def test_a_librarys_literal_message_is_told_without_its_arguments(output: io.StringIO):
    """What stands in the source is safe; what was put into it is not."""
    logging.getLogger("redis.connection").warning("Connection lost to %s", SECRET)
    [line] = lines(output)
    assert line["event"] == "library"
    assert line["logger"] == "redis.connection"
    assert line["message"] == "Connection lost to %s"
    assert re.fullmatch(r"observability/test_logs\.py:test_[a-z_]+:\d+", line["where"])
    assert told_nothing_secret(output)


def test_a_librarys_composed_message_is_not_told(output: io.StringIO):
    """A message that was put together before it was logged may hold anything."""
    logger = logging.getLogger("asyncio")
    logger.error(f"Task exception was never retrieved: {SECRET}")  # noqa: G004 - what libraries do
    logger.error("Task exception: " + SECRET)  # noqa: G003 - likewise
    logger.error({"message": SECRET})
    assert [line.get("message") for line in lines(output)] == [None, None, None]
    assert told_nothing_secret(output)


def test_pysaml2_is_quiet_and_says_only_where(output: io.StringIO):
    """pysaml2 logs assertions: below a warning nothing of it is written, and of a warning only the place."""
    logger = logging.getLogger("saml2.response")
    logger.info("Attributes: %s", SECRET)
    logger.debug("xmlstr: %s", SECRET)
    logger.warning("Not valid: %s", SECRET)
    [line] = lines(output)
    assert {"warning", "saml2.response"} == {line["level"], line["logger"]}
    assert "message" not in line
    assert told_nothing_secret(output)


def test_a_librarys_exception_and_extras_are_not_told(
    output: io.StringIO, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Neither exception texts, nor extra fields, nor arguments that do not fit their message."""
    monkeypatch.setattr(logging.getLogger(), "handlers", only_ours())
    logger = logging.getLogger("aiohttp.server")
    try:
        raise_foreign(SECRET)
    except ValueError:
        logger.exception("Error handling request", extra={"remote": SECRET})
    logger.error("%d %d", SECRET)  # noqa: PLE1206 - what libraries do
    first, _ = lines(output)
    assert first["exception"]["type"] == "builtins.ValueError"
    assert told_nothing_secret(output)
    assert capsys.readouterr() == ("", "")


def test_a_library_writing_to_a_closed_log_prints_nothing_elsewhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """The standard library would print the record with its arguments to standard error."""
    stream = io.StringIO()
    logs.configure(version="0.1.0", stream=stream)
    monkeypatch.setattr(logging.getLogger(), "handlers", only_ours())
    stream.close()
    logging.getLogger("redis").error("lost %s", SECRET)
    assert capsys.readouterr() == ("", "")


def test_configuring_again_does_not_double_the_lines():
    """The last configuration counts."""
    first, second = io.StringIO(), io.StringIO()
    logs.configure(version="0.1.0", stream=first)
    logs.configure(version="0.1.0", stream=second)
    logging.getLogger("redis").error("lost")
    structlog.get_logger().info("started")
    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 2


def test_levels():
    """Below the level nothing is written; other libraries' small talk only with our own debugging."""
    stream = io.StringIO()
    logs.configure(version="0.1.0", level="info", stream=stream)
    structlog.get_logger().debug("started")
    logging.getLogger("redis").info("hello")
    assert stream.getvalue() == ""
    with pytest.raises(ValueError, match="log level 'loud': expected debug"):
        logs.configure(version="0.1.0", level="loud")


def test_text_for_people():
    """Time, level, event, then what is known; constants are left out, Japanese stays readable."""
    stream = io.StringIO()
    logs.configure(version="0.1.0", format="text", stream=stream)
    structlog.get_logger().warning("configuration-mistake", path="サービス.yaml:3", detail='expected "a"\nor b')
    line = stream.getvalue().partition(" ")[2]
    assert line == 'warning  configuration-mistake path=サービス.yaml:3 detail="expected \\"a\\"\\nor b"\n'


def test_a_terminal_without_japanese_does_not_cost_a_login():
    """What an output cannot show is escaped."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    logs.configure(version="0.1.0", format="text", stream=stream)
    structlog.get_logger().warning("configuration-mistake", path="設定.yaml")
    assert b"path=\\u8a2d\\u5b9a.yaml\n" in raw.getvalue()


EVENTS = [
    (
        login(),
        {
            "level": "info",
            "event": "login",
            "request_id": "r-1",
            "outcome": "granted",
            "id_system": "maebashi",
            "municipality": "102016",
            "relying_service": "gunma-portal",
            "upstream": "oidc",
            "downstream": "saml",
            "identity_level": 3,
            "seconds": 21.5,
        },
    ),
    (
        login(
            outcome=LoginOutcome.REFUSED,
            reason="internal-fault",
            id_system=None,
            municipality=None,
            upstream=None,
        ),
        {
            "level": "error",
            "event": "login",
            "request_id": "r-1",
            "outcome": "refused",
            "reason": "internal-fault",
            "relying_service": "gunma-portal",
            "downstream": "saml",
            "identity_level": 3,
            "seconds": 21.5,
        },
    ),
    (
        LogoutEvent(
            outcome=LogoutOutcome.PARTIAL,
            seconds=2.5,
            request_id="r-3",
            at=NOW,
            service="gunma-portal",
            told=2,
            untold=1,
        ),
        {
            "level": "info",
            "event": "logout",
            "request_id": "r-3",
            "outcome": "partial",
            "relying_service": "gunma-portal",
            "told": 2,
            "untold": 1,
            "seconds": 2.5,
        },
    ),
    (
        CouncilEvent(
            outcome=Outcome.REFUSED,
            at=NOW,
            council_request="c-1",
            municipality="102016",
            target="012173",
            reason="redirect",
            seconds=0.5,
        ),
        {
            "level": "info",
            "event": "council-answer",
            "request_id": "c-1",
            "outcome": "refused",
            "reason": "redirect",
            "municipality": "012173",
            "seconds": 0.5,
        },
    ),
    (
        EndingEvent(reason=EndReason.UNTRUSTED, at=NOW, service="gunma-portal", ended=7),
        {
            "level": "info",
            "event": "sessions-ended",
            "reason": "untrusted",
            "relying_service": "gunma-portal",
            "count": 7,
            "told": 0,
            "untold": 0,
        },
    ),
    (
        EndingEvent(reason=EndReason.LOGOUT, at=NOW, service="gunma-portal", told=1, untold=2),
        {
            "level": "warning",
            "event": "sessions-ended",
            "reason": "logout",
            "relying_service": "gunma-portal",
            "count": 0,
            "told": 1,
            "untold": 2,
        },
    ),
    (
        call(outcome=CallOutcome.FAILED, status=502, reason="upstream-too-slow"),
        {
            "level": "warning",
            "event": "call",
            "request_id": "r-2",
            "outcome": "failed",
            "reason": "upstream-too-slow",
            "status": 502,
            "route": "/api/council/polls",
            "api_service": "council-poll",
            "municipality": "102016",
            "own_seconds": 0.0004,
            "upstream_seconds": 0.012,
        },
    ),
    (
        ListEvent(
            name="region-saml",
            outcome=ListOutcome.REFUSED,
            at=NOW,
            code="signature",
            valid_until=NOW + timedelta(days=2),
            entities=9,
            faults=1,
        ),
        {
            "level": "error",
            "event": "trust-list",
            "list": "region-saml",
            "outcome": "refused",
            "code": "signature",
            "valid_until": "2027-11-24T17:13:20.000Z",
            "entities": 9,
            "faults": 1,
        },
    ),
    (StoreEvent(change=StoreChange.DOWN, at=NOW), {"level": "error", "event": "store", "change": "down"}),
    (
        UpstreamEvent(change=UpstreamChange.OUT, service="ledger", at=NOW, address="http://10.0.0.1:8080"),
        {
            "level": "warning",
            "event": "upstream",
            "change": "out",
            "api_service": "ledger",
            "address": "http://10.0.0.1:8080",
        },
    ),
    (
        OverdueEvent(stage=OverdueStage.RUNNING, abandoned=3, at=NOW),
        {"level": "error", "event": "step-overdue", "reason": "running", "count": 3},
    ),
    (
        ConfigEvent(outcome=ConfigOutcome.REFUSED, at=NOW, mistakes=2),
        {"level": "error", "event": "configuration", "outcome": "refused", "mistakes": 2},
    ),
]


@pytest.mark.parametrize(("event", "expected"), EVENTS)
def test_every_event_is_one_complete_line(output: io.StringIO, event: Any, expected: dict[str, Any]):
    """Nothing of an event is dropped on its way into the log."""
    LogRecorder().record(event)
    [line] = lines(output)
    for constant in ("timestamp", "service", "version"):
        line.pop(constant)
    assert expected == line


def test_a_hostile_event_tells_no_secret(output: io.StringIO):
    """Even an event whose names were replaced by values writes none of them."""
    LogRecorder().record(
        login(
            reason=SECRET,
            id_system=SECRET,
            municipality=SECRET,
            service=SECRET,
            upstream=SECRET,
            downstream=SECRET,
            request_id=SECRET,
        )
    )
    LogRecorder().record(call(reason=SECRET, route=SECRET, service=SECRET, municipality=SECRET, request_id=SECRET))
    LogRecorder().record(ListEvent(name=SECRET, outcome=ListOutcome.REFUSED, at=NOW, code=SECRET))
    assert len(lines(output)) == 3
    assert told_nothing_secret(output)
