"""How often somebody may call: the generic cell rate algorithm (ITU-T I.371 annex A, its virtual scheduling form).

One number per key says everything: the *theoretical arrival time*, before which the next call would be early. A call
moves it on by the rate's interval; a call is refused if it comes earlier than `burst` intervals before it. So no window
begins anew at a full minute, and what is kept does not grow with the number of calls.

Several processes: each decides with the time it knows, and tells the others now and then how many calls it admitted.
Then the shared time is the larger of its own and now, moved on by all that was told: `ahead`. Between two tellings each
of `n` processes may admit what the others do not know of yet, at most `burst` calls and what the rate allows in that
time: so never more than `n` quotas together, and in the long run one.
"""

from federation.terms import Rate


def admitted(arrival: float, now: float, rate: Rate) -> float | None:
    """The new arrival time if a call at `now` may pass, else None. All in seconds of one clock.

    The law: in any span of `s` seconds at most `burst + s / interval` calls pass.
    """
    interval = rate.interval
    start = max(now, arrival)
    return start + interval if start - now <= (rate.burst - 1) * interval + _ROUNDING else None


def wait(arrival: float, now: float, rate: Rate) -> float:
    """Seconds until a call would pass, 0 if one passes now."""
    return max(0.0, arrival - now - (rate.burst - 1) * rate.interval)


def left(arrival: float, now: float, rate: Rate) -> int:
    """How many calls would pass at once now."""
    return max(0, int(rate.burst - max(0.0, arrival - now) / rate.interval + _ROUNDING))


_ROUNDING = 1e-9
"""Seconds by which sums of intervals may be wrong."""
