"""Addresses of services: one picture of what several processes see, and what the page says of it."""

import pytest

from observability import page
from observability.addresses import Address, AddressRow, AddressState, rows
from observability.overview import Severity

from .builders import addresses, overview

IN_TURN, TRIAL, UNWELL, OUT = AddressState


def test_the_worst_that_a_process_sees_is_told_and_how_many_see_it() -> None:
    """Two processes call the ledger, one of them the poll: an address that one cannot reach is told as such."""
    ledger, poll = rows(
        [
            (*addresses("poll", a=OUT), *addresses("ledger", a=OUT, b=IN_TURN)),
            addresses("ledger", a=IN_TURN, b=IN_TURN),
        ]
    )
    assert (ledger.service, ledger.closed, ledger.processes) == ("ledger", 0, 2)
    assert ledger.addresses == (
        AddressRow(url="http://a.example:8080/v1", state=OUT, seen_so=1, seen=2),
        AddressRow(url="http://b.example:8080/v1", state=IN_TURN, seen_so=2, seen=2),
    )
    assert (poll.service, poll.closed, poll.processes) == ("poll", 1, 1)
    assert rows([]) == rows([()]) == ()


@pytest.mark.parametrize(
    ("told", "severity", "code"),
    [
        ([addresses(a=IN_TURN, b=IN_TURN)], Severity.GOOD, None),
        ([addresses(a=TRIAL)], Severity.GOOD, None),
        ([addresses(a=UNWELL, b=IN_TURN)], Severity.ATTENTION, "service-addresses-unwell"),
        ([addresses(a=OUT, b=UNWELL)], Severity.ATTENTION, "service-addresses-out"),
        ([addresses(a=OUT, b=TRIAL)], Severity.ATTENTION, "service-addresses-out"),
        ([addresses(a=OUT, b=OUT)], Severity.TROUBLE, "service-circuit-open"),
        ([addresses(a=IN_TURN), addresses(a=OUT)], Severity.TROUBLE, "service-circuit-open"),
        ([addresses(a=OUT, b=IN_TURN), addresses(a=IN_TURN, b=OUT)], Severity.ATTENTION, "service-addresses-out"),
    ],
)
def test_what_is_wrong_with_a_service(told: list[tuple[Address, ...]], severity: Severity, code: str | None) -> None:
    """Trouble where a process refuses calls, attention where addresses are left; a trial that is due is neither."""
    built = overview(addresses=tuple(told))
    assert built.severity is severity
    assert [finding.code for finding in built.findings] == ([code] if code else [])


def test_the_page_names_addresses_and_says_what_to_do() -> None:
    """Which address, in how many processes, and that nothing needs to be done at the gateway."""
    text = page.render(overview(addresses=(addresses(a=OUT), addresses(a=IN_TURN))), str, "en")
    assert "The service ledger does not answer: calls to it are refused at once." in text
    assert "Call who runs it." in text
    assert "<code>http://a.example:8080/v1</code>" in text
    assert "(processes: 1 of 2)" in text
    assert "No service was called since the gateway started." in page.render(overview(addresses=()), str, "en")


def test_what_processes_tell_one_another_can_be_read() -> None:
    """The words that stand in the store."""
    for each in addresses(a=OUT, b=UNWELL, c=TRIAL, d=IN_TURN):
        assert Address.from_json(each.to_json()) == each
