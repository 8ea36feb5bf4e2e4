"""Collecting a federation from its trust anchor downwards (OpenID Federation 1.0 §17.2.2), without a socket.

`collect` is a generator: it yields what it wants and is sent the octets, or None where no usable answer came. Nobody's
addresses are followed before somebody believed vouches for that entity's keys, so that who is asked is decided by the
federation and not by a stranger. Everything is bounded; what is left out is told in the bundle.
"""

from collections import Counter, deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from urllib.parse import urlencode

from trust_lists import federation_bundles, strict_json
from trust_lists.federation_bundles import Skipped
from trust_lists.federation_chains import MAXIMUM_INTERMEDIATES, Pool
from trust_lists.federation_statements import (
    MEDIA_TYPE,
    Statement,
    check_times,
    configuration_url,
    is_entity_id,
    read,
    read_configuration,
)
from trust_lists.federation_tokens import MAXIMUM_BYTES, StatementRefusedError
from trust_lists.model import ListRefusedError
from trust_lists.openid_federation import admit_anchor

LIST_MEDIA_TYPE = "application/json"
MAXIMUM_LISTING = 4 * 1024 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A document to get: by GET, of this media type, of at most so many octets.

    `branch` is the immediate subordinate of the anchor by whose word it is asked for; empty: by the anchor's.
    """

    url: str
    media_type: str
    limit: int
    branch: str = field(default="", compare=False)


Collecting = Generator[Wanted, bytes | None, T]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a federation is collected.

    `statements`: subordinate statements asked for; `branch`: of these, below one immediate subordinate of the anchor,
    so that an intermediate entity that names thousands leaves room for the others. `intermediates`: between the
    anchor and any subject. `paths`: chains kept through one intermediate entity. `octets`: of all chains together.
    """

    statements: int = 10_000
    branch: int = 7_500
    intermediates: int = MAXIMUM_INTERMEDIATES
    paths: int = 4
    octets: int = federation_bundles.MAXIMUM_BYTES - MAXIMUM_LISTING


@dataclass(slots=True)
class _Superior:
    """An entity whose subordinates are to be collected; each of `paths` leads from it up to the anchor."""

    configuration: Statement
    paths: list[tuple[Statement, ...]]
    branch: str = ""

    def is_above(self, entity: str) -> bool:
        return any(each.subject == entity for path in self.paths for each in path)


@dataclass(slots=True)
class _Walk:
    anchor: Statement
    now: datetime
    limits: Limits
    former: Pool
    chains: list[tuple[str, ...]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    configurations: dict[str, str | None] = field(default_factory=dict)
    asked: int = 0
    asked_below: Counter[str] = field(default_factory=Counter)
    octets: int = 0

    def skip(self, entity: str, reason: str) -> None:
        self.skipped.append(Skipped(entity=entity, reason=reason))

    def all(self) -> Collecting[None]:
        top = _Superior(self.anchor, [()])
        known = {self.anchor.subject: top}
        waiting = deque([top])
        while waiting:
            superior = waiting.popleft()
            for subject in (yield from self._listed(superior)):
                if subject == self.anchor.subject or superior.is_above(subject):
                    self.skip(subject, "loop")
                    continue
                if self.asked >= self.limits.statements or self.octets >= self.limits.octets:
                    self.skip(superior.configuration.subject, "too-many")
                    return
                if superior.branch and self.asked_below[superior.branch] >= self.limits.branch:
                    self.skip(superior.configuration.subject, "too-many")
                    break
                found = yield from self._collected(superior, subject)
                if found is None or found.configuration.endpoint("federation_list_endpoint") is None:
                    continue
                if subject in known:
                    known[subject].paths = [*known[subject].paths, *found.paths][: self.limits.paths]
                elif min(map(len, found.paths)) <= self.limits.intermediates:
                    known[subject] = found
                    waiting.append(found)
                else:
                    self.skip(subject, "too-deep")

    def _listed(self, superior: _Superior) -> Collecting[list[str]]:
        """Ask for the immediate subordinates (§8.2), in order."""
        entity = superior.configuration.subject
        address = superior.configuration.endpoint("federation_list_endpoint")
        if address is None:
            self.skip(entity, "no-endpoint")
            return []
        answer = yield Wanted(url=address, media_type=LIST_MEDIA_TYPE, limit=MAXIMUM_LISTING, branch=superior.branch)
        if answer is None:
            self.skip(entity, "unanswered-list")
            return self.former.subordinates(entity)
        try:
            listed = strict_json.loads(answer) if len(answer) <= MAXIMUM_LISTING else None
        except ValueError:
            listed = None
        if not isinstance(listed, list) or not all(map(is_entity_id, listed)):
            self.skip(entity, "list-format")
            return []
        return sorted(set(listed))

    def _collected(self, superior: _Superior, subject: str) -> Collecting[_Superior | None]:
        """Get what the superior says of the subject, and what it says of itself; keep the chains."""
        above = superior.configuration
        address = above.endpoint("federation_fetch_endpoint")
        if address is None:
            self.skip(subject, "no-endpoint")
            return None
        self.asked += 1
        self.asked_below[superior.branch] += 1
        query = "&" if "?" in address else "?"
        statement_token = yield from self._token(f"{address}{query}{urlencode({'sub': subject})}", superior.branch)
        if statement_token is None:
            self.skip(subject, "unanswered")
            return None
        if subject not in self.configurations:
            answered = yield from self._token(configuration_url(subject), superior.branch or subject)
            self.configurations[subject] = answered or self.former.configuration(subject)
        token = self.configurations[subject]
        if token is None:
            self.skip(subject, "unanswered")
            return None
        vouched = self._vouched(above, subject, statement_token, token)
        if isinstance(vouched, str):
            self.skip(subject, vouched)
            return None
        statement, configuration = vouched
        paths: list[tuple[Statement, ...]] = [(statement, *path) for path in superior.paths]
        for path in paths:
            chain = (configuration.token, *(each.token for each in path))
            self.octets += sum(map(len, chain))
            self.chains.append(chain)
        return _Superior(configuration, paths, superior.branch or subject)

    def _vouched(self, above: Statement, subject: str, about: str, own: str) -> tuple[Statement, Statement] | str:
        """Read what the superior says of the subject and what it says of itself, or tell why not."""
        try:
            statement = read(about, above.keys)
            configuration = read_configuration(own, statement.keys)
            check_times(statement, self.now)
            check_times(configuration, self.now)
        except StatementRefusedError as error:
            return error.code
        if (statement.issuer, statement.subject) != (above.subject, subject) or configuration.subject != subject:
            return "other-subject"
        if above.subject not in configuration.authority_hints:  # §3.2 step 6; of intermediate entities only seen here
            return "not-acknowledged"
        return statement, configuration

    def _token(self, url: str, branch: str) -> Collecting[str | None]:
        answer = yield Wanted(url=url, media_type=MEDIA_TYPE, limit=MAXIMUM_BYTES, branch=branch)
        if answer is None or len(answer) > MAXIMUM_BYTES or not answer.isascii():
            return None
        return answer.decode().strip()


def collect(
    entity_id: str,
    *,
    anchors: Sequence[bytes],
    now: datetime,
    previous: bytes | None = None,
    limits: Limits | None = None,
) -> Collecting[bytes]:
    """Collect the federation of the trust anchor `entity_id`, whose keys are pinned; answers a bundle.

    From the `previous` bundle comes what an entity said of itself, where it does not answer now, and whom a superior
    without an answer for its list spoke of. Superiors are asked for their statements each time: whom they no longer
    vouch for is out at once.

    Raises `ListRefusedError` if the anchor itself cannot be believed: `unanswered`, `other-list`, `signature`,
    `unsigned`, `format`, `expired`, `future`. A subordinate that cannot be is skipped, and told.
    """
    answer = yield Wanted(url=configuration_url(entity_id), media_type=MEDIA_TYPE, limit=MAXIMUM_BYTES)
    if answer is None or not answer.isascii():
        raise ListRefusedError(
            "unanswered",
            f"federation {entity_id}: its trust anchor does not answer at {configuration_url(entity_id)}; "
            "check the address, and ask who runs it.",
        )
    anchor = admit_anchor(answer.decode().strip(), label=f"federation {entity_id}", anchors=anchors)
    if anchor.subject != entity_id:
        raise ListRefusedError(
            "other-list",
            f"federation {entity_id}: the answer is the configuration of {anchor.subject[:200]}; check the address.",
        )
    try:
        check_times(anchor, now)
    except StatementRefusedError as error:
        raise ListRefusedError(error.code, f"federation {entity_id}: {error}; check the clocks.") from error
    walk = _Walk(anchor, now, limits or Limits(), _former(previous))
    yield from walk.all()
    return federation_bundles.dump(anchor.token, walk.chains, walk.skipped)


def _former(previous: bytes | None) -> Pool:
    if previous is None:
        return Pool(())
    try:
        chains = federation_bundles.load(previous).chains
    except ValueError:
        return Pool(())
    return Pool(token for chain in chains for token in chain)
