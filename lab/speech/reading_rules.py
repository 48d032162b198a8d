"""Rules that turn numbers, money, dates, times, units and abbreviations into words."""

import re
from collections.abc import Callable, Sequence

from lab.speech.numbers_in_words import cardinal, decimal, digits, ordinal, year

_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_MONTH = "|".join([*_MONTHS, *(f"{month[:3]}\\.?" for month in _MONTHS), r"sept\.?"])
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "", ""),
}
_SCALES = "thousand|million|billion|trillion"
_UNITS = {
    **{"km": "kilometers", "cm": "centimeters", "mm": "millimeters", "kg": "kilograms", "mg": "milligrams"},
    **{"ms": "milliseconds", "hz": "hertz", "khz": "kilohertz", "mhz": "megahertz", "ghz": "gigahertz"},
    **{"kb": "kilobytes", "mb": "megabytes", "gb": "gigabytes", "tb": "terabytes", "ml": "milliliters"},
    **{"mph": "miles per hour", "km/h": "kilometers per hour", "lb": "pounds", "lbs": "pounds", "oz": "ounces"},
    **{"ft": "feet", "kw": "kilowatts", "db": "decibels", "hr": "hours", "hrs": "hours", "min": "minutes"},
    **{"m": "meters", "g": "grams", "s": "seconds", "h": "hours", "l": "liters", "w": "watts", "v": "volts"},
}
_ABBREVIATIONS = {
    **{"mr.": "mister", "mrs.": "missis", "ms.": "miz", "dr.": "doctor", "prof.": "professor", "gen.": "general"},
    **{"capt.": "captain", "col.": "colonel", "lt.": "lieutenant", "sgt.": "sergeant", "rev.": "reverend"},
    **{"sr.": "senior", "jr.": "junior", "vs.": "versus", "etc.": "et cetera", "e.g.": "for example"},
    **{"i.e.": "that is", "approx.": "approximately", "dept.": "department"},
    **{"ave.": "avenue", "blvd.": "boulevard", "mt.": "mount", "inc.": "incorporated", "corp.": "corporation"},
    **{"co.": "company", "ltd.": "limited", "est.": "established", "sen.": "senator"},
    **{"gov.": "governor", "a.m.": "ay m", "p.m.": "p m", "vs": "versus", "mr": "mister", "mrs": "missis"},
    **{"dr": "doctor", "cf.": "compare", "et al.": "et others", "rd.": "road"},
}
_BEFORE_NUMBERS = {"no.": "number", "fig.": "figure", "vol.": "volume", "apt.": "apartment"}
"""Abbreviations that are words at the end of a sentence: "I said no.", "he ate a fig."."""


def _number(text: str) -> str:
    """Digits, with commas or a decimal point, in words."""
    whole, _, fraction = text.replace(",", "").partition(".")
    if fraction:
        return f"{digits(whole)} point {digits(fraction)}" if len(whole) > _LONGEST else decimal(whole, fraction)
    return digits(whole) if len(whole) > _LONGEST or (len(whole) > 1 and whole[0] == "0") else cardinal(int(whole))


def _is_year(text: str) -> bool:
    return len(text) == 4 and 1100 <= int(text) <= 2099


def _money(found: re.Match[str]) -> str:
    one, many, cent, cents = _CURRENCIES[found["sign"]]
    amount, scale = found["amount"], found["scale"]
    if scale:
        return f"{_number(amount)} {scale} {many}"
    whole, _, fraction = amount.replace(",", "").partition(".")
    if len(whole) > _LONGEST or (fraction and (len(fraction) != 2 or not cent)):
        return f"{_number(amount)} {many}"
    dollars, pennies = int(whole or "0"), int(fraction or "0")
    parts = [f"{cardinal(dollars)} {one if dollars == 1 else many}"] if dollars or not pennies else []
    if pennies:
        parts.append(f"{cardinal(pennies)} {cent if pennies == 1 else cents}")
    return " and ".join(parts)


def _time(found: re.Match[str]) -> str:
    hour, minute = int(found["hour"]), int(found["minute"])
    half = ("ay m" if found["half"].lower()[0] == "a" else "p m") if found["half"] else ""
    if minute == 0:
        said = f"{cardinal(hour)}" + ("" if half else " o'clock" if 1 <= hour <= 12 else " hundred")
    else:
        said = f"{cardinal(hour)} {'oh ' if minute < 10 else ''}{cardinal(minute)}"
    return f"{said} {half}".strip()


def _hour(found: re.Match[str]) -> str:
    """An hour without minutes: "5 pm"."""
    return f"{cardinal(int(found['hour']))} {'ay' if found['half'] in 'aA' else 'p'} m"


def _date(found: re.Match[str]) -> str:
    """month/day/year, as written in the United States; day first where the month would be too large."""
    first, second, when = (int(part) for part in found.groups())
    month, day = (second, first) if first > 12 >= second else (first, second)
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return " slash ".join(cardinal(int(part)) for part in found.groups())
    return f"{_MONTHS[month - 1]} {ordinal(day)}, {year(when) if when >= 1000 else cardinal(when)},"


def _iso_date(found: re.Match[str]) -> str:
    when, month, day = (int(part) for part in found.groups())
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return " ".join(digits(part) for part in found.groups())
    return f"{_MONTHS[month - 1]} {ordinal(day)}, {year(when) if when >= 1000 else cardinal(when)},"


def _month_day(found: re.Match[str]) -> str:
    name = found["month"].lower().rstrip(".")
    month = next(full for full in _MONTHS if full.startswith(name[:3]))
    when = found["year"]
    return f"{month} {ordinal(int(found['day']))}" + (f", {year(int(when))}," if when else "")


def _decade(found: re.Match[str]) -> str:
    number = int(found[1])
    tens = cardinal(number % 100) if number % 100 else "hundred"
    plural = tens[:-1] + "ies" if tens.endswith("y") else tens + "s"
    return f"{cardinal(number // 100)} {plural}" if number >= 100 else plural


def _range(found: re.Match[str]) -> str:
    return " to ".join(year(int(part)) if _is_year(part) else _number(part) for part in found.groups())


def _fraction(found: re.Match[str]) -> str:
    top, bottom = int(found[1]), int(found[2])
    names = {2: "half", 4: "quarter"}
    name = names.get(bottom, ordinal(bottom))
    if bottom < 2 or bottom > 100 or top > 100:
        return f"{cardinal(top)} over {cardinal(bottom)}"
    plural = "halves" if bottom == 2 else f"{name}s"
    return f"{cardinal(top)} {name if top == 1 else plural}"


def _unit(found: re.Match[str]) -> str:
    name = _UNITS[found["unit"].lower()]
    single = found["amount"] == "1" and name.split()[0].endswith("s") and name not in ("hertz",)
    return f"{_number(found['amount'])} {name[:-1] if single and ' ' not in name else name}"


def _abbreviation(found: re.Match[str]) -> str:
    return _ABBREVIATIONS[found[0].lower()]


def _before_number(found: re.Match[str]) -> str:
    return _BEFORE_NUMBERS[found[0].lower()]


def _any_of(words: Sequence[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_LONGEST = 18  # digits of a number that is read as a whole
_AMOUNT = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def _rule(pattern: str, words: Callable[[re.Match[str]], str]) -> _Rule:
    return re.compile(pattern, re.IGNORECASE), words


def _year_or_number(found: re.Match[str]) -> str:
    text = found[0]
    return year(int(text)) if text.isdigit() and _is_year(text) else _number(text)


RULES: list[_Rule] = [
    _rule(r"(?:https?://|www\.)\S+", lambda found: re.sub(r"[./:]+", " dot ", found[0].split("//")[-1].rstrip("/.,"))),
    _rule(
        r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+", lambda found: found[0].replace(".", " dot ").replace("@", " at ")
    ),
    (re.compile(r"\b[Ss]t\.(?= [A-Z])"), lambda found: "saint"),
    _rule(r"\bst\.", lambda found: "street"),
    # These often end a sentence, and then their point ends it as well.
    (re.compile(r"(?<![\w.])(?i:etc|[ap]\.m)\.(?= [A-Z])"), lambda found: f"{_abbreviation(found)}."),
    _rule(rf"(?<![\w.])(?:{_any_of([name for name in _ABBREVIATIONS if name[-1] == '.'])})", _abbreviation),
    _rule(rf"\b(?:{_any_of([name for name in _ABBREVIATIONS if name[-1] != '.'])})\b", _abbreviation),
    _rule(rf"(?<![\w.])(?:{_any_of(list(_BEFORE_NUMBERS))})(?= ?\d)", _before_number),
    _rule(rf"(?P<sign>[$€£¥]) ?(?P<amount>{_AMOUNT})(?: ?(?P<scale>{_SCALES})\b)?", _money),
    _rule(rf"(?<![\w.])(?P<amount>{_AMOUNT})(?: ?(?P<scale>{_SCALES}))? ?(?P<sign>[$€£¥])", _money),
    _rule(r"\b(\d{4})-(\d{2})-(\d{2})\b", _iso_date),
    _rule(r"\b(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})\b", _date),
    _rule(rf"\b(?P<month>{_MONTH}) (?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? (?P<year>\d{{4}})\b,?)?", _month_day),
    _rule(r"\b(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?!\d)(?: ?(?P<half>[ap] ?\.?m\b))?", _time),
    _rule(r"(?<![\w.,:])(?P<hour>1[0-2]|[1-9]) ?(?P<half>[ap])m\b", _hour),
    _rule(r"\b(\d{0,2}[1-9]0|\d{1,2}00)'?s\b", _decade),
    _rule(r"\b(\d{1,15})(?:st|nd|rd|th)\b", lambda found: ordinal(int(found[1]))),
    _rule(rf"(?<!\w)(?P<amount>{_AMOUNT}) ?%", lambda found: f"{_number(found['amount'])} percent"),
    _rule(r"\b\d{2,}(?:-\d{2,}){2,}\b", lambda found: ", ".join(digits(part) for part in found[0].split("-"))),
    _rule(r"\b(\d{1,15})/(\d{1,15})\b", _fraction),
    _rule(r"\b(\d+(?:\.\d+)?) ?[-–] ?(\d+(?:\.\d+)?)\b", _range),
    _rule(rf"(?<!\w)(?P<amount>{_AMOUNT}) ?(?P<unit>{_any_of(list(_UNITS))})\b(?!')", _unit),
    _rule(r"°\s?([cf])\b", lambda found: "degrees " + ("celsius" if found[1] in "cC" else "fahrenheit")),
    _rule(rf"(?<![\w.])[-−](?P<amount>{_AMOUNT})", lambda found: f"minus {_number(found['amount'])}"),
    _rule(_AMOUNT, _year_or_number),
]
"""Patterns and what their matches are read as, in the order in which they are tried."""
