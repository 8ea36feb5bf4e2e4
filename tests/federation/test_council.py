"""Council requests as data: what may be asked, who is asked, how ends are told."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.council import told
from federation.council.answers import Answer, Outcome, Signed, readable
from federation.council.asking import Asker, Came, judged
from federation.council.members import at, chosen, members
from federation.council.question import Asked, Audience, read_again, read_asked
from federation.council.told import Request, Round
from federation.refusal import CouncilRequestMalformed
from trust_lists.entries import supply_point
from trust_lists.model import Role, TrustedEntity

NOW = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)
ASKED: dict[str, Any] = {
    "to": "all",
    "question": {"method": "GET", "path": "/free-places?kind=school"},
    "purpose": "Where can people sleep tonight?",
}


def posted(**changes: Any) -> bytes:
    """A request that is accepted, with `changes`."""
    return json.dumps({**ASKED, **changes}).encode()


def of(**question: Any) -> bytes:
    """The same with another question."""
    return posted(question=question)


MALFORMED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "/"),
    "a list": (b"[]", "/"),
    "a name twice": (b'{"to":"all","to":"all"}', "/"),
    "too deep": (b'{"a":' * 10_000, "/"),
    "too long": (posted(purpose="x" * 200_000), "/"),
    "not UTF-8": ("{}".encode("utf-16"), "/"),
    "not a number": (b'{"to": NaN}', "/"),
    "without a purpose": (json.dumps({**ASKED, "purpose": None}).encode(), "/purpose"),
    "an unknown name": (posted(priority=1), "/priority"),
    "an odd name": (posted(**{"\u202e": 1}), "/(a name)"),
    "to everybody": (posted(to="everybody"), "/to"),
    "to two kinds": (posted(to={"prefecture": "10", "members": ["102016"]}), "/to"),
    "to nobody": (posted(to={"members": []}), "/to/members"),
    "to too many": (posted(to={"members": ["102016", "102024", "102032", "102041"]}), "/to/members"),
    "twice to one": (posted(to={"members": ["102016", "102016"]}), "/to/members"),
    "a wrong check digit": (posted(to={"members": ["102017"]}), "/to/members/0"),
    "a number as code": (posted(to={"members": [102016]}), "/to/members/0"),
    "no prefecture": (posted(to={"prefecture": "48"}), "/to/prefecture"),
    "full-width digits": (posted(to={"prefecture": "１０"}), "/to/prefecture"),
    "no service": (posted(to={"service": "../x"}), "/to/service"),
    "another method": (of(method="DELETE", path="/"), "/question/method"),
    "up": (of(method="GET", path="/../x"), "/question/path"),
    "an empty segment": (of(method="GET", path="//x"), "/question/path"),
    "an encoded dot": (of(method="GET", path="/%2e%2e/x"), "/question/path"),
    "an encoded slash": (of(method="GET", path="/a%2fb"), "/question/path"),
    "a fragment": (of(method="GET", path="/x#y"), "/question/path"),
    "a whole address": (of(method="GET", path="https://x.example/"), "/question/path"),
    "another header": (of(method="GET", path="/x?a=\r\nHost: y"), "/question/path"),
    "no content": (of(method="POST", path="/x"), "/question"),
    "two contents": (of(method="POST", path="/x", json=1, base64="AA=="), "/question"),
    "no base64": (of(method="POST", path="/x", base64="?", content_type="text/plain"), "/question/base64"),
    "base64 of no type": (of(method="POST", path="/x", base64="AA=="), "/question/content_type"),
    "a type with a line": (
        of(method="POST", path="/x", base64="AA==", content_type="text/plain\r\nX: y"),
        "/question/content_type",
    ),
    "content of a GET": (of(method="GET", path="/x", json=1), "/question/method"),
    "headers": (of(method="GET", path="/x", headers={}), "/question/headers"),
    "no types": (of(method="GET", path="/x", accept=[]), "/question/accept"),
    "any type": (of(method="GET", path="/x", accept=["*/*"]), "/question/accept/0"),
    "no time": (posted(deadline_seconds=0), "/deadline_seconds"),
    "yes as time": (posted(deadline_seconds=True), "/deadline_seconds"),
    "half a second": (posted(per_target_seconds=0.5), "/per_target_seconds"),
    "two lines": (posted(purpose="a\nb"), "/purpose"),
    "an unknown choice": (posted(interrupted="never"), "/interrupted"),
    "a list as choice": (posted(signatures=[]), "/signatures"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_mistake_is_told_with_its_place(what: str) -> None:
    """The first rule that is broken: where, what was expected, what to do."""
    body, where = MALFORMED[what]
    with pytest.raises(CouncilRequestMalformed) as found:
        read_asked(body, most_targets=3)
    assert found.value.where == where
    assert found.value.expected
    assert found.value.do


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_whatever_is_posted_is_read_or_refused(value: Any) -> None:
    """No other error, whatever stands in which place."""
    for body in (value, {**ASKED, "to": value}, {**ASKED, "question": value}, {**ASKED, "purpose": value}):
        try:
            read_asked(json.dumps(body).encode(), most_targets=3)
        except CouncilRequestMalformed:
            continue


def test_what_is_kept_is_what_was_asked() -> None:
    """Through the store and back."""
    posts = (
        posted(to={"members": ["102016"]}, interrupted="repeat", signatures="required", deadline_seconds=9),
        posted(to={"prefecture": "01"}),
        of(method="POST", path="/x", base64="AP8=", content_type="application/xml", accept=["text/plain"]),
        of(method="POST", path="/x", json={"a": ["毛布"]}),
    )
    for body in posts:
        asked = read_asked(body, most_targets=3)
        assert Asked.from_json(json.loads(json.dumps(asked.to_json()))) == asked
    assert read_again(b"", most_targets=3).codes is None
    assert read_again(b'{"members": ["102016"]}', most_targets=3).codes == {"102016"}


def entity(entity_id: str, code: str | None, *addresses: str) -> TrustedEntity:
    """A member as a list states it."""
    return TrustedEntity(
        entity_id=entity_id,
        roles=frozenset({Role.COUNCIL_MEMBER}),
        listed_in="region",
        valid_until=NOW,
        municipality=code,
        endpoints=tuple(supply_point(Role.COUNCIL_MEMBER, each) for each in addresses),
    )


def test_members_are_known_by_their_codes() -> None:
    """One for each code, the first that has an address; those without a code are none."""
    known = members(
        [
            entity("https://b.example", "102016", "https://b.example/k"),
            entity("https://a.example", "102016"),
            entity("https://c.example", "012173"),
            entity("https://d.example", None, "https://d.example"),
        ]
    )
    assert list(known) == ["012173", "102016"]
    assert (known["102016"].address, known["012173"].address) == ("https://b.example/k", None)
    assert chosen(Audience(all=True), known) == ("012173", "102016")
    assert chosen(Audience(prefecture="10"), known) == ("102016",)
    assert chosen(Audience(codes=("422053", "102016")), known) == ("422053", "102016")
    assert at("https://b.example/k/", "/x?y=1") == "https://b.example/k/x?y=1"
    with pytest.raises(ValueError, match="query"):
        at("https://b.example/?k=", "/x")


JSON = ("content-type", "application/json")


@pytest.mark.parametrize(
    ("status", "headers", "content", "signature", "reason"),
    [
        (200, [JSON], b"{}", Signed.VERIFIED, None),
        (200, [("content-type", "application/json; charset=utf-8")], b"{}", Signed.MISSING, None),
        (204, [], b"", Signed.NO_KEYS, None),
        (200, [JSON], b"{}", None, "signature"),
        (302, [JSON], b"", Signed.MISSING, "redirect"),
        (404, [JSON], b"{}", Signed.MISSING, "status"),
        (500, [JSON], b"{}", None, "signature"),
        (200, [("content-type", "text/html")], b"<p>", Signed.MISSING, "content-type"),
        (200, [JSON, JSON], b"{}", Signed.MISSING, "content-type"),
        (200, [], b"{}", Signed.MISSING, "content-type"),
    ],
)
def test_an_answer_counts_or_it_is_said_why_not(
    status: int, headers: list[tuple[str, str]], content: bytes, signature: Signed | None, reason: str | None
) -> None:
    """By its status, its type and its signature; what broke a rule is not kept."""
    asked = read_asked(posted(), most_targets=3)
    answer = judged(
        Came(status=status, headers=headers, content=content),
        asked,
        code="102016",
        round_number=0,
        at=NOW,
        seconds=1.0,
        signature=signature,
    )
    assert answer.outcome is (Outcome.ANSWERED if reason is None else Outcome.REFUSED)
    assert answer.reason == reason
    assert answer.content == (content if reason in (None, "status") else b"")
    assert Answer.from_json(json.loads(json.dumps(answer.to_json()))) == answer


def test_an_asker_may_want_signatures() -> None:
    """Then an answer without one does not count."""
    asked = read_asked(posted(signatures="required"), most_targets=3)
    came = Came(status=200, headers=[JSON], content=b"{}")
    reasons = [
        judged(came, asked, code="1", round_number=0, at=NOW, seconds=0, signature=each).reason for each in Signed
    ]
    assert reasons == [None, "unsigned", "unsigned"]


def test_an_operator_may_want_signatures_of_a_service() -> None:
    """Whatever the asker says."""
    asked, came = read_asked(posted(), most_targets=3), Came(status=200, headers=[JSON], content=b"{}")
    found = judged(
        came, asked, code="poll", round_number=0, at=NOW, seconds=0, signature=Signed.MISSING, signed_only=True
    )
    assert (found.reason, found.told()["service"]) == ("unsigned", "poll")


@given(st.binary(max_size=200), st.sampled_from(("application/json", "text/plain", "application/xml", None)))
def test_whatever_a_member_sent_can_be_told(content: bytes, content_type: str | None) -> None:
    """As a line of JSON that any reader reads."""
    assert json.loads(json.dumps(readable(content, content_type))) == readable(content, content_type)


def request(*codes: str, rounds: int = 1) -> Request:
    """A request to those."""
    return Request(
        id="r",
        asker=Asker(client="c", municipality="102016"),
        asked=read_asked(posted(), most_targets=3),
        begun=NOW,
        rounds=tuple(Round(number=n, begun=NOW, until=NOW + timedelta(minutes=1), codes=codes) for n in range(rounds)),
    )


def end(code: str, outcome: Outcome = Outcome.ANSWERED, round_number: int = 0) -> Answer:
    """How it ended for one."""
    return Answer(code=code, round=round_number, outcome=outcome, at=NOW, content=b'{"a":1}', content_type="text/plain")


def test_the_whole_states_every_target_once() -> None:
    """The last end of each counts; who is asked again is open until the new round's end."""
    answers = [end("102016", Outcome.TIMED_OUT), end("102024"), end("102016", round_number=1)]
    first = told.whole(request("102016", "102024", "102032"), answers[:2])
    assert (first["state"], first["waiting"], first["timed-out"], first["answered"]) == ("open", ["102032"], 1, 1)
    second = told.whole(request("102016", rounds=2), answers)
    assert (second["state"], second["answered"], second["timed-out"]) == ("ended", 2, 0)
    assert [(each["municipality"], each["number"]) for each in second["members"]] == [("102016", 3), ("102024", 2)]
    assert told.missing(request("102016", "102024"), answers[:2]) == ("102016",)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/x-ndjson", "application/x-ndjson"),
        ("multipart/mixed;q=0.5", 'multipart/mixed; boundary="b"'),
        ("text/html, application/x-ndjson", "application/x-ndjson"),
        ("application/x-ndjson;q=0, multipart/mixed", 'multipart/mixed; boundary="b"'),
        ("application/json, application/x-ndjson", None),
        ("application/x-ndjson;q=0.5, application/json", None),
        ("application/json;q=0.1, multipart/mixed;q=0.2, application/x-ndjson;q=0.2", 'multipart/mixed; boundary="b"'),
        ("application/x-ndjson;v=1;q=0.000", None),
        ("application/x-ndjson;q=nan", "application/x-ndjson"),
        ("*/*", None),
        ("", None),
    ],
)
def test_the_asker_says_how_it_reads(accept: str, content_type: str | None) -> None:
    """By `Accept`; as one object if it does not say."""
    form = told.form(accept, lambda: "b")
    assert (None if form is None else form.content_type) == content_type


def test_no_member_writes_header_fields_of_a_part() -> None:
    """A content type with a line's end in it is dropped before it could end a header field."""
    asked = read_asked(posted(), most_targets=3)
    came = Came(status=503, headers=[("content-type", "text/plain\r\nKakehashi-Outcome: answered")], content=b"x")
    answer = judged(came, asked, code="102016", round_number=0, at=NOW, seconds=0, signature=Signed.MISSING)
    part = told.Parts("b").answer(answer, 1)
    assert part.count(b"Kakehashi-Outcome") == 1
    assert b"Content-Type: application/octet-stream\r\n" in part


def test_what_an_asker_calls_a_member_is_in_no_log() -> None:
    """A name may be anybody's; the answer says which one it was."""
    with pytest.raises(CouncilRequestMalformed) as refused:
        read_asked(posted(**{"Yamada-Tarou-7781": 1}), most_targets=3)
    assert refused.value.where == "/Yamada-Tarou-7781"
    assert "Yamada" not in refused.value.detail
