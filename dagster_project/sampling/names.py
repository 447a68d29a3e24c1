"""Invented names: companies and people who do not exist. No randomness of its own.

A name is a function of a number, so that account 17 is called the same in a sample of 20 and of
20,000.
"""

from __future__ import annotations

_HEADS = (
    "Vel", "Kor", "Bran", "Tal", "Mer", "Os", "Lun", "Fen", "Dra", "Quil", "Har", "Sol", "Nim",
    "Tor", "Wes", "Ald", "Cas", "Ever", "Gil", "Jor", "Ked", "Mar", "Nor", "Pel", "Rav", "Sten",
    "Thal", "Ul", "Vor", "Yar", "Zel", "Él", "Mür", "Bør",
)  # fmt: skip
_TAILS = (
    "mora", "dane", "wick", "istra", "ovan", "elle", "bury", "ander", "onix", "umbra", "ester",
    "ivar", "olde", "arra", "inge", "oth", "esk", "amor", "ulea", "ivo",
)  # fmt: skip
_TRADES = (
    "Freight", "Foods", "Energy", "Bank", "Insurance", "Retail", "Health", "Media", "Robotics",
    "Airways", "Telecom", "Chemicals", "Games", "Timber", "Optics", "Textiles", "Shipping",
)  # fmt: skip
_INDUSTRIES = (
    "logistics", "food", "energy", "banking", "insurance", "retail", "healthcare", "media",
    "manufacturing", "travel", "telecom", "chemicals", "software", "forestry", "electronics",
    "textiles", "logistics",
)  # fmt: skip
_FIRST = (
    "Jana", "Mikel", "Aster", "Tomas", "Ines", "Ravi", "Noor", "Petra", "Owen", "Lucia", "Henrik",
    "Amara", "Kenji", "Sofia", "Darius", "Elsa", "Marek", "Yuki", "Bruno", "Talia", "Idris",
    "Greta", "Pavel", "Zofia", "Hugo", "Leila", "Anton", "Mira", "Caspar", "Dalia", "René",
)  # fmt: skip
_LAST = (
    "Holm", "Varga", "Okoro", "Lindqvist", "Marchetti", "Sato", "Brandt", "Novak", "Iyer", "Duarte",
    "Keller", "Moreau", "Petrov", "Hassan", "Falk", "Rossi", "Tanaka", "Weiss", "Osei", "Jansen",
    "Kowal", "Mendes", "Ahlberg", "Baros", "Cilic", "Drago", "Ekman", "Ferro", "Gruber", "Hale",
    "Ivers", "Jokela", "Krall", "Lund", "Müller", "Nygaard", "Orlo",
)  # fmt: skip

#: Steps that share no factor with the number of names, so that neighbours do not sound alike.
_COMPANY_STEP = 4_513
_PERSON_STEP = 607

REGIONS = ("emea", "amer", "apac", "latam")


def company(number: int) -> tuple[str, str]:
    """Name and industry of one company; different for the first 11,560 numbers, numbered after."""
    size = len(_HEADS) * len(_TAILS) * len(_TRADES)
    lap, place = divmod(number, size)
    place = place * _COMPANY_STEP % size
    rest, trade = divmod(place, len(_TRADES))
    head, tail = divmod(rest, len(_TAILS))
    name = f"{_HEADS[head]}{_TAILS[tail]} {_TRADES[trade]}"
    return (f"{name} {lap + 1}" if lap else name), _INDUSTRIES[trade]


def person(number: int) -> tuple[str, str]:
    """Name and e-mail address (always at example.com) of one person."""
    size = len(_FIRST) * len(_LAST)
    lap, place = divmod(number, size)
    last, first = divmod(place * _PERSON_STEP % size, len(_FIRST))
    name = f"{_FIRST[first]} {_LAST[last]}"
    mark = f".{lap + 1}" if lap else ""
    return name, f"{slug(name).replace('-', '.')}{mark}@example.com"


def slug(name: str) -> str:
    """A name as a lower-case folder name of plain ASCII letters, digits and dashes."""
    plain = name.lower().replace("é", "e").replace("ü", "ue").replace("ø", "oe")
    return "-".join(plain.split())
