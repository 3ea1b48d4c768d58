"""GS1 Digital Link: element strings written as a web address (GS1 Digital Link: URI Syntax 1.6)."""

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote, unquote

from medsales.domain.udi.findings import finding, refused, shown
from medsales.domain.udi.gs1_dictionary import Ai, dictionary
from medsales.domain.udi.gs1_elements import Element, Reading, value_findings
from medsales.domain.udi.value import Finding

CANONICAL_STEM = "https://id.gs1.org"

URI = re.compile(
    r"(?P<scheme>[Hh][Tt][Tt][Pp][Ss]?)://(?P<domain>[^/]*)(?P<path>/[^?#]*)"
    r"(?:\?(?P<query>[^#]*))?(?:#.*)?",
    re.DOTALL,
)
URI_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*")
DOMAIN = re.compile(r"[A-Za-z0-9.:\[\]-]+")
SCHEMES = ("http", "https", "HTTP", "HTTPS")

WORDS = {
    "cpid": "8010", "cpsn": "8011", "cpv": "22", "gcn": "255", "gdti": "253", "giai": "8004",
    "ginc": "401", "gln": "414", "glnx": "254", "gmn": "8013", "grai": "8003", "gsin": "402",
    "gsrn": "8018", "gsrnp": "8017", "gtin": "01", "itip": "8006", "lot": "10", "party": "417",
    "refno": "8020", "ser": "21", "srin": "8019", "sscc": "00",
}  # fmt: skip
"""The short names of Digital Link 1.1, withdrawn since, but printed on goods that still exist."""

GTIN = "01"
SHORTER_GTINS = (8, 12, 13)
GTIN_WIDTH = 14


class Link(NamedTuple):
    """The parts of an address that say something about an item."""

    path: tuple[tuple[str, str], ...]
    query: tuple[tuple[str, str], ...]


def is_web_address(text: str) -> bool:
    return re.match(r"https?://", text, re.IGNORECASE) is not None


def read_digital_link(uri: str) -> Reading:
    match = URI.fullmatch(uri)
    pairs = path_pairs(match["path"]) if match else ()
    if not match or not pairs:
        return Reading((), (finding("digital_link", shown(uri), "has no GS1 key"),))
    link = Link(pairs, tuple(query_pairs(match["query"] or "")))
    elements = tuple(decoded(code, value) for code, value in (*link.path, *link.query))
    wrong = (*form_findings(match), *path_findings(link), *query_findings(link))
    return Reading(elements, (*wrong, *(f for e in elements for f in value_findings(e))))


def path_pairs(path: str) -> tuple[tuple[str, str], ...]:
    """The AI and value pairs at the end of the path, from the rightmost key onwards."""
    segments = path.split("/")[1:]
    for start in range(len(segments) - 2, -1, -2):
        ai = dictionary().get(code_of(segments[start]))
        if ai is None:
            return ()
        if ai.link_paths:
            tail = segments[start:]
            return tuple((code_of(c), v) for c, v in zip(tail[::2], tail[1::2], strict=True))
    return ()


def code_of(segment: str) -> str:
    return WORDS.get(segment, segment)


def query_pairs(query: str) -> Iterator[tuple[str, str]]:
    """Numeric keys are AIs; everything else in a query is somebody else's business."""
    for parameter in query.split("&"):
        key, equals, value = parameter.partition("=")
        if equals and key.isascii() and key.isdigit():
            yield key, value.replace("+", " ")


def decoded(code: str, value: str) -> Element:
    """A value without percent-encoding; a GTIN without its leading zeros gets them back."""
    text = unquote(value, errors="replace").replace("\x00", "\ufffd")
    if code == GTIN and len(text) in SHORTER_GTINS:
        text = text.zfill(GTIN_WIDTH)
    return Element(code, text)


def form_findings(match: re.Match[str]) -> Iterator[Finding]:
    if match["scheme"] not in SCHEMES:
        yield finding("digital_link", match["scheme"], "is no scheme")
    if not DOMAIN.fullmatch(match["domain"]):
        yield finding("digital_link", shown(match["domain"]), "is no domain")
    if not URI_CHARACTERS.fullmatch(match[0]):
        yield finding("digital_link", shown(match[0]), "has a character no address may have")


def path_findings(link: Link) -> Iterator[Finding]:
    codes = tuple(code for code, _ in link.path)
    if not is_path(codes):
        yield finding("digital_link", f"/{'/'.join(codes)}", "is no order for a path")


def query_findings(link: Link) -> Iterator[Finding]:
    path = tuple(code for code, _ in link.path)
    seen = set(path)
    for code, _ in link.query:
        ai = dictionary().get(code)
        if code in seen:
            yield finding("digital_link", f"({code})", "occurs twice")
        elif ai and (not ai.link_attribute or belongs_in(path, code)):
            yield finding("digital_link", f"({code})", "does not belong in the query")
        seen.add(code)


def is_path(codes: tuple[str, ...]) -> bool:
    """Whether the qualifiers follow their key in the order one of its paths has them."""
    key = dictionary()[codes[0]]
    return any(is_ordered_part(codes[1:], path) for path in key.link_paths)


def is_ordered_part(codes: tuple[str, ...], path: tuple[str, ...]) -> bool:
    remaining = iter(path)
    return all(code in remaining for code in codes)


def belongs_in(path: tuple[str, ...], code: str) -> bool:
    return any(is_path((*path[:i], code, *path[i:])) for i in range(1, len(path) + 1))


def digital_link_of(elements: tuple[Element, ...], stem: str = CANONICAL_STEM) -> str:
    """The address that says the same as the elements; the first key among them leads.

    Attributes follow in the order given, those of predefined length first, as GS1's engine does.
    """
    values = {e.ai: e.value for e in reversed(elements)}
    order = dict.fromkeys(e.ai for e in elements)
    known = {code: dictionary()[code] for code in order if code in dictionary()}
    key = next((ai for ai in known.values() if ai.link_paths), None)
    if key is None:
        raise refused(finding("digital_link", "/".join(order), "has no key"))
    path = (key.code, *fullest(key, values))
    query = sorted((c for c in order if c not in path), key=lambda c: not predefined(known.get(c)))
    must_be_attributes(query, known)
    where = "".join(f"/{code}/{quote(values[code], safe='')}" for code in path)
    attributes = "&".join(f"{code}={quote(values[code], safe='')}" for code in query)
    return stem.rstrip("/") + where + ("?" if query else "") + attributes


def predefined(ai: Ai | None) -> bool:
    return ai is not None and ai.predefined_length


def fullest(key: Ai, values: dict[str, str]) -> tuple[str, ...]:
    """The qualifiers present, along the path of the key that takes most of them."""
    return max((tuple(c for c in path if c in values) for path in key.link_paths), key=len)


def must_be_attributes(codes: list[str], known: dict[str, Ai]) -> None:
    for code in codes:
        if code not in known or not known[code].link_attribute:
            raise refused(finding("digital_link", f"({code})", "does not belong in the query"))
