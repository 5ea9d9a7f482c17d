"""Go's time.Time: how it is written, and what templates ask of it.

Source: the documentation of Go's time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from macvnet.gotemplate.literals import quote
from macvnet.gotemplate.values import (
    INT,
    INT64,
    STRING,
    Function,
    Kind,
    Type,
    Value,
    boolean,
    string,
)

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)")
_LAYOUT = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|__2|002|_2|01|02|03|04|05|06|15|PM|pm|"
    r"-07:00:00|-07:00|-070000|-0700|-07|Z07:00:00|Z07:00|Z070000|Z0700|Z07|"
    r"[.,](?:0+|9+)(?![0-9])|1|2|3|4|5"
)
STRING_LAYOUT = "2006-01-02 15:04:05.999999999 -0700 MST"
JSON_LAYOUT = "2006-01-02T15:04:05.999999999Z07:00"


class Moment(NamedTuple):
    """A time in its zone, to the second, and the nanoseconds after it."""

    at: datetime
    nanoseconds: int


ZERO = Moment(datetime(1, 1, 1, tzinfo=UTC), 0)


def parse(text: str | None) -> Moment:
    """RFC 3339, as JSON has it. ValueError; None is the zero."""
    if text is None:
        return ZERO
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(f"{quote(text)} is not of the form 2006-01-02T15:04:05Z")
    zone = found[3].replace("Z", "+00:00")
    return Moment(datetime.fromisoformat(found[1] + zone), int((found[2] or "0").ljust(9, "0")))


def _offset(moment: Moment) -> int:
    return int((moment.at.utcoffset() or timedelta()).total_seconds())


def _zone(moment: Moment, form: str) -> str:
    offset = _offset(moment)
    if form[0] == "Z" and not offset:
        return "Z"
    colon = ":" if ":" in form else ""
    hours, rest = divmod(abs(offset), 3600)
    parts = [f"{hours:02}", f"{rest // 60:02}", f"{rest % 60:02}"]
    wanted = len(re.findall("[0-9]{2}", form))
    return ("-" if offset < 0 else "+") + colon.join(parts[:wanted])


def _zone_name(moment: Moment) -> str:
    name = moment.at.tzname() or ""
    if re.fullmatch("[A-Z]{3,5}", name):
        return name
    return _zone(moment, "-0700") if _offset(moment) % 3600 else _zone(moment, "-07")


def _fraction(moment: Moment, form: str) -> str:
    shown = f"{moment.nanoseconds:09}"[: len(form) - 1]
    if form[1] == "9":
        shown = shown.rstrip("0")
    return form[0] + shown if shown else ""


def _part(moment: Moment, form: str) -> str:
    at = moment.at
    twelve = (at.hour + 11) % 12 + 1
    day = at.timetuple().tm_yday
    plain: Mapping[str, str] = {
        "2006": f"{at.year:04}", "06": f"{at.year % 100:02}",
        "January": _MONTHS[at.month - 1], "Jan": _MONTHS[at.month - 1][:3],
        "01": f"{at.month:02}", "1": f"{at.month}",
        "Monday": _DAYS[at.isoweekday() % 7], "Mon": _DAYS[at.isoweekday() % 7][:3],
        "02": f"{at.day:02}", "_2": f"{at.day:2}", "2": f"{at.day}",
        "002": f"{day:03}", "__2": f"{day:3}",
        "15": f"{at.hour:02}", "03": f"{twelve:02}", "3": f"{twelve}",
        "04": f"{at.minute:02}", "4": f"{at.minute}",
        "05": f"{at.second:02}", "5": f"{at.second}",
        "PM": "AM" if at.hour < 12 else "PM", "pm": "am" if at.hour < 12 else "pm",
        "MST": _zone_name(moment),
    }  # fmt: skip
    if form in plain:
        return plain[form]
    return _fraction(moment, form) if form[0] in ".," else _zone(moment, form)


def written(moment: Moment, layout: str) -> str:
    """The time as the reference time, 2006-01-02 15:04:05, is written in ``layout``."""
    return _LAYOUT.sub(lambda found: _part(moment, found[0]), layout)


def text(moment: Moment) -> str:
    return written(moment, STRING_LAYOUT)


def syntax(moment: Moment) -> str:
    at = moment.at
    clock = f"{at.hour}, {at.minute}, {at.second}, {moment.nanoseconds}"
    zone = "time.UTC" if not _offset(moment) else "time.Local"
    return f"time.Date({at.year}, time.{_MONTHS[at.month - 1]}, {at.day}, {clock}, {zone})"


def json(moment: Moment) -> str:
    return f'"{written(moment, JSON_LAYOUT)}"'


def seconds(moment: Moment) -> int:
    since = moment.at - _EPOCH
    return since.days * 86400 + since.seconds


MONTH = Type("time.Month", Kind.INT, text=lambda number: _MONTHS[number - 1])
WEEKDAY = Type("time.Weekday", Kind.INT, text=lambda number: _DAYS[number])


def _number(of: Type, ask: Callable[[Moment], int]) -> Function:
    return Function((), lambda receiver: Value(of, ask(receiver.data)))


def _moved(receiver: Value, zone: Any) -> Value:
    return receiver._replace(data=receiver.data._replace(at=receiver.data.at.astimezone(zone)))


METHODS: Mapping[str, Function] = {
    "Day": _number(INT, lambda moment: moment.at.day),
    "Format": Function(
        (STRING,), lambda receiver, layout: string(written(receiver.data, layout.data))
    ),
    "Hour": _number(INT, lambda moment: moment.at.hour),
    "IsZero": Function((), lambda receiver: boolean(receiver.data == ZERO)),
    "Local": Function((), lambda receiver: _moved(receiver, None)),
    "Minute": _number(INT, lambda moment: moment.at.minute),
    "Month": _number(MONTH, lambda moment: moment.at.month),
    "Nanosecond": _number(INT, lambda moment: moment.nanoseconds),
    "Second": _number(INT, lambda moment: moment.at.second),
    "String": Function((), lambda receiver: string(text(receiver.data))),
    "UTC": Function((), lambda receiver: _moved(receiver, UTC)),
    "Unix": _number(INT64, seconds),
    "UnixMicro": _number(
        INT64, lambda moment: seconds(moment) * 10**6 + moment.nanoseconds // 1000
    ),
    "UnixMilli": _number(
        INT64, lambda moment: seconds(moment) * 1000 + moment.nanoseconds // 10**6
    ),
    "UnixNano": _number(INT64, lambda moment: seconds(moment) * 10**9 + moment.nanoseconds),
    "Weekday": _number(WEEKDAY, lambda moment: moment.at.isoweekday() % 7),
    "Year": _number(INT, lambda moment: moment.at.year),
    "YearDay": _number(INT, lambda moment: moment.at.timetuple().tm_yday),
}
TIME = Type(
    "time.Time",
    Kind.STRUCT,
    methods=METHODS,
    text=text,
    syntax=syntax,
    marshal=json,
    decode=parse,
)
