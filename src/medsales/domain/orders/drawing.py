"""What an order takes from contracts, exceptions and promotions, and gives back (C2, P5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from medsales.domain.ids import OrderId
from medsales.domain.kernel import Also
from medsales.domain.orders.order import ExceptionUsed, Order, OrderedLine, OrderPlaced
from medsales.domain.terms.contract import CalledLine, CallOff, ReturnCallOff
from medsales.domain.terms.price_sheet import ReturnException, TakeException
from medsales.domain.terms.promotion import DrawOnPromotion, ReturnToPromotion

Pieces = Mapping[int, int]
"""How many of which line."""


def drawn(placed: OrderPlaced, id: OrderId, pieces: Pieces) -> Iterator[Also]:
    """So many pieces are wanted: whoever limits them must agree."""
    if placed.promoted:
        draw = DrawOnPromotion(
            order=id, amount=placed.promoted.amount, pieces=placed.promoted.pieces
        )
        yield Also(placed.promoted.promotion, draw)
    if placed.contract:
        yield Also(placed.contract, CallOff(order=id, lines=called(placed, pieces)))
    for line, used in excepted(placed, pieces):
        quantity = pieces[line.line]
        version = line.price_version
        take = TakeException(order=id, name=used.name, version=version, quantity=quantity)
        yield Also(used.sheet, take)


def given_back(order: Order, id: OrderId, pieces: Pieces) -> Iterator[Also]:
    """So many pieces are wanted no longer; a promotion is only left with the whole order."""
    placed = order.placed
    if placed is None:
        return
    left = sum(line.left for line in order.lines.values())
    if placed.promoted and left == sum(pieces.values()):
        yield Also(placed.promoted.promotion, ReturnToPromotion(order=id))
    if placed.contract:
        yield Also(placed.contract, ReturnCallOff(order=id, lines=called(placed, pieces)))
    for line, used in excepted(placed, pieces):
        back = ReturnException(order=id, name=used.name, quantity=pieces[line.line])
        yield Also(used.sheet, back)


def called(placed: OrderPlaced, pieces: Pieces) -> tuple[CalledLine, ...]:
    return tuple(
        CalledLine(
            product=line.product,
            quantity=pieces[line.line],
            amount=line.price * pieces[line.line],
        )
        for line in placed.lines
        if pieces.get(line.line)
    )


def excepted(placed: OrderPlaced, pieces: Pieces) -> Iterator[tuple[OrderedLine, ExceptionUsed]]:
    for line in placed.lines:
        if line.exception and pieces.get(line.line):
            yield line, line.exception
