"""How exactly services are told when something happened: not so exactly that two of them could know a person by it.

An ID system that keeps a session of its own states one sign-in, and one end, for every service that is signed in to
meanwhile. A second of the day is rarely more than one person's.
"""

from datetime import UTC, datetime, timedelta

SIGN_INS = timedelta(hours=1)
"""A sign-in that was there before the login began is told by the hour that it fell in."""

ENDS = (timedelta(minutes=15), timedelta(minutes=1))
"""An end that the ID system states is told by the quarter hour, and by the minute where that would be over already."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def sign_in(at: datetime, *, since: datetime, asked: bool) -> datetime:
    """The moment of a sign-in as a service is told it (SAML Core §2.7.2 AuthnInstant, OpenID Core §2 `auth_time`).

    Exact if it happened for this login, which began at `since`, or if the service asked for a new one (ForceAuthn,
    `prompt=login`, `max_age`) and so must be able to tell; the full hour before it otherwise: never later than it was.
    """
    return at if asked or at >= since else _before(at, SIGN_INS)


def end(until: datetime, *, now: datetime) -> datetime:
    """The end of an ID system's session as a service is told it (SAML Core §2.7.2 SessionNotOnOrAfter).

    Never later than it is, and only over if it is.
    """
    return next((told for step in ENDS if (told := _before(until, step)) > now), until)


def _before(moment: datetime, step: timedelta) -> datetime:
    return moment - (moment - _EPOCH) % step
