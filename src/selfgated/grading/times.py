"""Moments: due dates as people write them, in a time zone that is always said."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["describe", "parse_moment"]

FORMS = "2027-03-01 23:59, 2027-03-01 23:59 Europe/Berlin, 2027-03-01 23:59 UTC or 2027-03-01T23:59+01:00"


def parse_moment(text, *, zone=None):
    """Read a date and time.

    Parameters
    ----------
    text : str
        ISO 8601, date and time parted by a space or ``T``, then an offset, ``UTC`` or the name of a zone
        (``Europe/Berlin``). A date alone means its last minute, 23:59.
    zone : tzinfo, optional
        Of a text that names none; by default this machine's zone.

    Returns
    -------
    datetime
        Aware, in the zone that was meant.

    Raises
    ------
    ValueError
        If it is no date, names no known zone, or is a time that the change of clocks leaves out or repeats.

    Examples
    --------
    >>> parse_moment("2027-03-01 23:59 Europe/Berlin").isoformat()
    '2027-03-01T23:59:00+01:00'
    """
    words = text.strip()
    moment = _iso(words)
    if moment is None and " " in words:
        words, name = words.rsplit(" ", 1)
        moment = _iso(words)
        try:
            zone = UTC if name in ("UTC", "Z", "GMT") else ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            moment = None
        if moment is not None and moment.tzinfo is not None:
            moment = None
    if moment is None:
        raise ValueError(f"{text!r} is no date and time; write {FORMS}")
    if re.fullmatch(r"[\d-]+", words):
        moment = moment.replace(hour=23, minute=59)
    if moment.tzinfo is not None:
        return moment
    found = [
        moment.replace(fold=fold, tzinfo=zone).astimezone(UTC)
        if zone
        else moment.replace(fold=fold).astimezone(UTC)
        for fold in (0, 1)
    ]
    if found[0] != found[1]:
        raise ValueError(
            f"{text!r} falls into a change of the clocks; add the offset, {moment:%Y-%m-%dT%H:%M}+01:00"
        )
    return found[0].astimezone(zone)


def _iso(text):
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def describe(moment):
    """A moment in words, in its own zone and in UTC.

    Examples
    --------
    >>> describe(parse_moment("2027-03-01 23:59 Europe/Berlin"))
    'Monday 1 March 2027, 23:59 CET (UTC+01:00), that is 22:59 UTC'
    """
    offset = moment.strftime("%z")
    here = f"{moment:%A} {moment.day} {moment:%B %Y, %H:%M}"
    if moment.utcoffset() == timedelta(0):
        return f"{here} UTC"
    there = moment.astimezone(UTC)
    day = "" if there.date() == moment.date() else f"{there:%A} "
    name = (
        f"{moment.tzname()} "
        if moment.tzname()[0].isalpha() and not moment.tzname().startswith("UTC")
        else ""
    )
    return f"{here} {name}(UTC{offset[:3]}:{offset[3:5]}), that is {day}{there:%H:%M} UTC"
