"""Evidence on real disks: restarts, killed processes, several of them, a full disk, and what the commands say."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import requests
from click.testing import CliRunner

from federation.oidc.jose import SigningKey
from gateway import keys as gateway_keys
from gateway.cli import main
from gateway.evidence import (
    MOST_WAITING,
    SLOW_SECONDS,
    Evidence,
    NotKeptError,
    Writer,
    check,
    forget,
    keeping,
    own_keys,
    prune,
)
from observability.events import CallEvent, CallOutcome

from .gateway_sample import Sample, served, until

KEY = SigningKey.generate()
KEYS = {KEY.kid: KEY.key.public_key}


class Clock:
    def __init__(self):
        self.now = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)

    def __call__(self):
        return self.now


def event(number=0):
    """A call that went well."""
    at = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)
    return CallEvent(outcome=CallOutcome.OK, status=200, own_seconds=0.001, request_id=f"r{number}", at=at)


def writer(state, clock, key=KEY, told=None):
    """A writer of the state directory."""
    return Writer(state, key, clock, lambda *said: None if told is None else told.append(said))


def totals(state, keys=KEYS):
    """Records, unsigned links and losses of each file; there must be no fault."""
    reports = check(state / "evidence", keys).values()
    assert not [fault for each in reports for fault in each.faults]
    return [(each.records, each.unsigned, each.lost) for each in reports]


def test_the_chain_goes_on_over_days_and_restarts_and_another_key(tmp_path):
    """A file that is missing between two others is found by the one after it."""
    clock, second = Clock(), SigningKey.generate()
    for key in (KEY, second):
        one = writer(tmp_path, clock, key)
        one.write([event(1), event(2)], 0)
        one.write([], 0)
        clock.now += timedelta(days=1)
        one.write([event(3)], 0)
        one.close()
    assert totals(tmp_path, {**KEYS, second.kid: second.key.public_key}) == [(2, 0, 0), (3, 0, 0), (1, 0, 0)]
    places = sorted((tmp_path / "evidence").glob("*.jsonl"))
    assert {place.stat().st_mode & 0o777 for place in places} == {0o600}
    places[1].unlink()
    faults = [fault.code for each in check(tmp_path / "evidence", KEYS).values() for fault in each.faults]
    assert "chain" in faults


def test_a_half_written_batch_is_cut_off_and_said(tmp_path):
    """The next start takes it away with a link that says how many octets, and the chain goes on."""
    clock = Clock()
    one = writer(tmp_path, clock)
    one.write([event(1)], 0)
    one.close()
    (place,) = (tmp_path / "evidence").glob("*.jsonl")
    with place.open("ab") as file:
        file.write(b'{"at":"2026-11-23T23:00:00.000Z","t":"call"}\n{"at":"20')
    assert check(place, KEYS)[place.name].faults
    again = writer(tmp_path, clock)
    again.write([event(2)], 0)
    again.close()
    assert totals(tmp_path) == [(2, 0, 0)]
    assert check(place, KEYS)[place.name].cut == 54


def test_a_file_that_was_begun_and_not_written_is_begun_again(tmp_path):
    """It follows the last link of the file before it."""
    clock = Clock()
    one = writer(tmp_path, clock)
    one.write([event(1)], 0)
    one.close()
    (tmp_path / "evidence" / "000-2026-11-24.jsonl").write_bytes(b'{"at":')
    clock.now += timedelta(days=1)
    again = writer(tmp_path, clock)
    again.write([event(2)], 0)
    again.close()
    assert totals(tmp_path) == [(1, 0, 0), (1, 0, 0)]


KILLED = """
import sys
from pathlib import Path
from gateway import keys
from gateway.clock import now
from gateway.evidence import Writer
from observability.events import CallEvent, CallOutcome
state = Path(sys.argv[1])
one = Writer(state, keys.load(state).assertion, now, lambda *_: None)
event = CallEvent(outcome=CallOutcome.OK, status=200, own_seconds=0.0, request_id="r", at=now())
while True:
    one.write([event] * 500, 0)
    print(500, flush=True)
"""


def test_a_killed_process_loses_no_batch_that_was_on_disk(tmp_path):
    """Killed three times while it writes: what it was told is written is there, and the chain goes on."""
    own = gateway_keys.load(tmp_path).assertion
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        with process:
            told = sum(int(process.stdout.readline()) for _ in range(5))
            os.kill(process.pid, signal.SIGKILL)
            rest = process.stdout.read().split()
        told += 500 * len(rest)
        before = sum(each.records for each in check(tmp_path / "evidence", {own.kid: own.key.public_key}).values())
        assert before >= told
        last = Writer(tmp_path, own, lambda: datetime.now(UTC), lambda *_: None)
        last.close()
        totals(tmp_path, {own.kid: own.key.public_key})


def test_processes_write_files_of_their_own(tmp_path):
    """Each takes the first slot that is free."""
    clock = Clock()
    first, second = writer(tmp_path, clock), writer(tmp_path, clock)
    first.write([event(1)], 0)
    second.write([event(2), event(3)], 0)
    first.close()
    third = writer(tmp_path, clock)  # goes on where the first ended
    third.write([event(4)], 0)
    second.close()
    third.close()
    assert totals(tmp_path) == [(2, 0, 0), (2, 0, 0)]


def test_what_a_full_disk_loses_is_said_when_there_is_room_again(tmp_path):
    """The loss is told to the metric and stands in the file."""
    told = []
    one = writer(tmp_path, Clock(), told=told)
    one.write([event(1)], 0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    (place,) = (tmp_path / "evidence").glob("*.jsonl")
    resource.setrlimit(resource.RLIMIT_FSIZE, (place.stat().st_size + 100, limits[1]))
    try:
        with pytest.raises(NotKeptError):
            one.write([event(2), event(3)], 1)
        with pytest.raises(NotKeptError):
            one.write([], 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    one.write([event(4)], 0)
    one.close()
    assert told == [(1, 0), (0, 3), (0, 0), (1, 0)]
    assert totals(tmp_path) == [(3, 0, 3)]  # two events, and the record of the gap


def test_what_waits_is_bounded():
    """What comes beyond is counted."""
    taken = Evidence()
    for _ in range(MOST_WAITING + 3):
        taken.record(event())
    events, lost = taken.take()
    assert (len(events), lost) == (MOST_WAITING, 3)
    assert taken.take() == ([], 0)


def test_whether_evidence_can_be_kept_is_known():
    """Not after a batch that failed, until one is written; nor while one takes too long (the time is passed in)."""
    taken = Evidence()
    assert not taken.failing
    with pytest.raises(NotKeptError), taken.batch():
        raise NotKeptError
    assert taken.failing
    with taken.batch():
        assert taken.failing
    assert not taken.failing
    with taken.batch():
        assert not taken.failing
        taken._begun -= SLOW_SECONDS + 1
        assert taken.failing
    assert not taken.failing


@pytest.mark.parametrize("wanted", ["go-on", "refuse"])
def test_calls_are_refused_without_evidence_where_the_operator_says_so(tmp_path, wanted):
    """A running gateway whose evidence cannot grow: calls go on or get 503; the gap stands in the file afterwards."""
    sample = Sample(tmp_path)
    sample.write("gateway.yaml", sample.gateway(**({} if wanted == "go-on" else {"without_evidence": wanted})))
    own = gateway_keys.load(sample.state).assertion
    before = Writer(sample.state, own, lambda: datetime.now(UTC), lambda *_: None)
    before.write([event(number) for number in range(2000)], 0)
    before.close()
    (place,) = (sample.state / "evidence").glob("*.jsonl")
    full = place.stat().st_size // 2  # more than any other file of the process
    with served(sample) as gateway:

        def called():
            answer = requests.get(sample.public_url + "/api/notes", headers=sample.bearer(), timeout=30)
            return answer.status_code, answer.json()["code"], answer.headers.get("Retry-After")

        carried = (502, "upstream-unreachable", None)
        assert called() == carried
        resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
        if wanted == "refuse":
            until(lambda: called() == (503, "evidence-not-kept", "60"))
            stranger = requests.get(sample.public_url + "/api/notes", timeout=30)
            assert stranger.status_code == 401
        else:
            until(lambda: called() == carried and gateway.events("evidence-lost"))
            assert called() == carried
        assert requests.get(sample.public_url + "/consents", timeout=30).status_code == 200
        resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        until(lambda: called() == carried and '"t":"gap"' in place.read_text())
        assert len(gateway.events("evidence-lost")) == 1
    assert all(lost for _, _, lost in totals(sample.state, {own.kid: own.key.public_key}))


def test_the_commands_verify_show_and_check_a_proof(tmp_path):
    """A proof shows one record and of the others only hashes; a changed record is found."""
    own = gateway_keys.load(tmp_path).assertion
    one = writer(tmp_path, Clock(), own)
    one.write([event(number) for number in range(7)], 0)
    one.close()
    run = CliRunner().invoke
    verified = run(main, ["evidence", "verify", "--state", str(tmp_path), "--json"])
    assert verified.exit_code == 0
    (told,) = json.loads(verified.output)["files"].values()
    assert (told["records"], told["unsigned"], told["faults"]) == (7, 0, [])
    shown = run(main, ["evidence", "show", "--state", str(tmp_path), "--request-id", "r4"])
    assert shown.exit_code == 0
    assert "r3" not in shown.output
    proved = run(main, ["evidence", "check-proof", "-"], input=shown.output)
    assert proved.exit_code == 0
    seen = proved.output.strip()
    assert run(main, ["evidence", "verify", "--state", str(tmp_path), "--expect", seen]).exit_code == 0
    assert run(main, ["evidence", "verify", "--state", str(tmp_path), "--expect", "0" * 64]).exit_code == 1
    assert run(main, ["evidence", "check-proof", "-"], input=shown.output.replace("r4", "r5")).exit_code == 1
    assert run(main, ["evidence", "show", "--state", str(tmp_path), "--request-id", "r9"]).exit_code == 1
    (place,) = (tmp_path / "evidence").glob("*.jsonl")
    place.write_bytes(place.read_bytes().replace(b'"status":200', b'"status":500', 1))
    wrong = run(main, ["evidence", "verify", "--state", str(tmp_path)])
    assert wrong.exit_code == 1
    assert "root" in wrong.output


def test_openssl_alone_verifies_a_signature(tmp_path):
    """As the documentation says it is done."""
    one = writer(tmp_path, Clock())
    one.write([event(1)], 0)
    one.close()
    (place,) = (tmp_path / "evidence").glob("*.jsonl")
    *_, before, last = place.read_bytes().splitlines()
    link = json.loads(last)
    (tmp_path / "text").write_bytes(f"kakehashi-evidence-1\n{link['previous']}\n{link['at']}\n".encode())
    (tmp_path / "signature").write_bytes(bytes.fromhex(link["signature"]))
    (tmp_path / "key.pem").write_bytes(KEY.key.as_pem(private=False))
    arguments = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "text"]
    assert subprocess.run(arguments, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    digest = subprocess.run(["sha256sum"], input=before, check=True, capture_output=True).stdout
    assert digest.split()[0].decode() == link["previous"]


@pytest.mark.parametrize(
    "octets", [b"", b"\n", b"\xff\n", b"[" * 100000, b'{"t":"head"}\n', b'{"t":"signed","kid":1}\n']
)
def test_whatever_stands_in_a_file_is_reported_and_stops_nothing(tmp_path, octets):
    """Hostile files are reported as faults."""
    (tmp_path / "000-x.jsonl").write_bytes(octets)
    assert check(tmp_path, KEYS)["000-x.jsonl"].faults


def test_old_files_and_keys_go_and_the_rest_stays_whole(tmp_path):
    """By days and months that are over; the newest file stays, and every signature's key, whoever signed meanwhile."""
    clock, second = Clock(), SigningKey.generate()
    clock.now = datetime(2026, 9, 29, 12, 0, tzinfo=UTC)
    for key in (KEY, second):
        one = writer(tmp_path, clock, key)
        for _ in range(2):
            one.write([replace(event(1), at=clock.now)], 0)
            clock.now += timedelta(days=1)
        one.close()
    assert sorted(own_keys(tmp_path)) == sorted([KEY.kid, second.kid])
    assert prune(tmp_path, date(2026, 10, 1)) == ["000-2026-09-29.jsonl", "000-2026-09-30.jsonl"]
    assert forget(tmp_path, date(2026, 9, 30)) == []
    assert forget(tmp_path, date(2026, 10, 1)) == ["2026-09.key"]
    assert prune(tmp_path, date(2027, 1, 1)) == ["000-2026-10-01.jsonl"]
    run = CliRunner().invoke(main, ["evidence", "verify", "--state", str(tmp_path)])
    assert run.exit_code == 0, run.output
    assert "000-2026-10-02.jsonl: whole, 1 records" in run.output
    run = CliRunner().invoke(main, ["evidence", "prune", "--state", str(tmp_path), "--older-than", "1", "--keys"])
    assert run.exit_code == 0, run.output
    writer(tmp_path, clock, second).close()  # and it goes on
    assert totals(tmp_path, own_keys(tmp_path))


def test_a_batch_that_waits_for_a_thread_at_the_end_is_kept(tmp_path):
    """All threads are busy when the gateway stops: what happened until then is on disk all the same."""

    async def run():
        loop, free = asyncio.get_running_loop(), threading.Event()
        taken = Evidence()
        async with keeping(taken, tmp_path, KEY, Clock(), lambda *_: None):
            loop.set_default_executor(ThreadPoolExecutor(1))
            busy = loop.run_in_executor(None, free.wait)
            for number in range(5):
                taken.record(event(number))
                await asyncio.sleep(0.06)
            loop.call_later(0.3, free.set)
        await busy

    asyncio.run(run())
    ((records, _, lost),) = totals(tmp_path)
    assert (records, lost) == (5, 0)


def test_what_a_fault_of_our_own_loses_is_counted_once(tmp_path):
    """An event that cannot be written down takes its batch along, no more and no less, and the next one says so."""
    clock, told = Clock(), []
    one = writer(tmp_path, clock, told=told)
    with pytest.raises(NotKeptError):
        one.write([event(1), replace(event(2), at="not a time")], 3)
    one.write([event(3)], 0)
    one.close()
    assert totals(tmp_path) == [(2, 0, 5)]
    assert told == [(0, 5), (1, 0)]


def test_lines_are_made_when_something_happens_and_say_the_same(tmp_path):
    """But for the first ones of a month, whose key the writer reads: then the event waits as it is."""
    clock, taken = Clock(), Evidence()
    one = writer(tmp_path / "one", clock)
    taken.line = one.line
    taken.record(event(1))
    first, _ = taken.take()
    assert first == [event(1)]
    one.write(first, 0)
    taken.record(event(2))
    taken.record(replace(event(3), at="not a time"))
    second, _ = taken.take()
    assert [type(each) for each in second] == [bytes, CallEvent]
    one.write(second[:1], 0)
    one.close()
    assert totals(tmp_path / "one") == [(2, 0, 0)]
    (place,) = (tmp_path / "one" / "evidence").glob("*.jsonl")
    assert [json.loads(line)["request_id"] for line in place.read_text().splitlines() if '"call"' in line] == [
        "r1",
        "r2",
    ]


def test_a_batch_for_which_no_thread_can_be_had_ends_no_evidence(tmp_path):
    """It is counted as lost, which the next batch says; until then what happens counts as not kept."""
    told = []

    async def run():
        loop, taken = asyncio.get_running_loop(), Evidence()
        async with keeping(taken, tmp_path, KEY, Clock(), lambda *said: told.append(said)):
            shut, looking = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
            shut.shutdown()
            loop.set_default_executor(shut)
            taken.record(event(1))
            await loop.run_in_executor(looking, until, lambda: taken.failing)
            loop.set_default_executor(ThreadPoolExecutor(1))
            taken.record(event(2))
            await loop.run_in_executor(looking, until, lambda: not taken.failing)

    asyncio.run(run())
    assert totals(tmp_path) == [(2, 0, 1)]
    assert [sum(each) for each in zip(*told, strict=True)] == [1, 1]
