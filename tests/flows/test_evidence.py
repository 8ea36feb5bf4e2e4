"""Evidence that a whole region keeps: of real logins and calls, verified by the published key, naming nobody."""

import json
import time
from datetime import date

import requests
from click.testing import CliRunner

from gateway.cli import main
from gateway.demo import residents
from tests.flows.client import Client


def _texts(value: object) -> set[str]:
    """Every text in a resident's record that is long enough not to be there by chance."""
    if isinstance(value, dict):
        return set().union(*map(_texts, value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(_texts, value))
    return {str(value)} if len(str(value)) > (5 if str(value).isascii() else 1) else set()


def test_a_call_is_there_and_nobody_is_named(region, tmp_path):
    """The record of a call by its request's id; no attribute's value, subject, path parameter, query or token."""
    tokens = Client(region).tokens()
    answer = requests.get(
        region["gateway"] + "/api/council/polls/no-such-poll?secret=word",
        headers={"Authorization": f"Bearer {tokens['access_token']}"},
        timeout=30,
    )
    request_id = answer.headers["Kakehashi-Request-Id"]
    shown = ["evidence", "show", "--state", str(region.state / "state"), "--request-id", request_id]
    deadline = time.monotonic() + 20
    while (found := CliRunner().invoke(main, shown)).exit_code and time.monotonic() < deadline:
        time.sleep(0.05)
    record = json.loads(json.loads(found.output)["record"])
    assert (record["t"], record["caller"], record["status"]) == ("call", "person", answer.status_code)
    assert len(record["person"]) == len(record["consent"]) == 64
    keys = tmp_path / "keys.json"
    keys.write_bytes(requests.get(region["gateway"] + "/.well-known/kakehashi-assertion-jwks.json", timeout=30).content)
    place = str(region.state / "state" / "evidence")
    verify = ["evidence", "verify", place, "--keys", str(keys)]  # a batch may be on its way to the disk
    while (verified := CliRunner().invoke(main, verify)).exit_code and time.monotonic() < deadline:
        time.sleep(0.05)
    assert verified.exit_code == 0, verified.output
    lines = "".join(file.read_text() for file in (region.state / "state" / "evidence").glob("*.jsonl")).splitlines()
    text = "".join(json.dumps(json.loads(line), ensure_ascii=False) for line in lines if line.endswith("}"))
    never = {"no-such-poll", "secret=", *tokens["access_token"].split(".")}
    for each in residents.maebashi(date.today()):  # noqa: DTZ011 - as the demo counts
        never |= _texts(each.record) | {each.display, each.subject}
    assert not [one for one in never - {record["municipality"]} if one in text]
