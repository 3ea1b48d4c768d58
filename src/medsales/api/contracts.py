"""Contracts: what is agreed, called off and due, and the templates they begin from."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query

from medsales.api.commands import SubjectId
from medsales.api.reading import Page, Paging, Reading, found, reader
from medsales.domain.kernel import Text
from medsales.domain.terms.contract import ContractStatus
from medsales.engine.past import Scope
from medsales.projections.contract_board import (
    BOARD,
    ContractBoard,
    ContractCard,
    ContractLineCard,
    ContractObligation,
    ContractOnBoard,
    ContractSeen,
    TemplateSeen,
    TemplateVersionCard,
    contract_seen,
    template_seen,
)

router = APIRouter(tags=["terms"])
Board = Annotated[Reading, reader(ContractBoard)]
EACH_CONTRACT = Scope((ContractCard, ContractLineCard, ContractObligation), each="contract")
WHOLE = Scope(tuple(row for row in ContractBoard.rows if row is not TemplateVersionCard))
TEMPLATE = Scope((TemplateVersionCard,))
DueBy = Annotated[
    date | None, Query(description="Only those with an obligation that is due by this day.")
]


@router.get("/contracts")
def contracts(
    board: Board,
    paging: Paging,
    customer: Text | None = None,
    status: ContractStatus | None = None,
    due_by: DueBy = None,
) -> Page[ContractOnBoard]:
    """The contract board: called off, remaining, obligations due."""
    return board.page(
        ContractOnBoard,
        paging,
        BOARD,
        EACH_CONTRACT,
        customer,
        contract=None,
        customer=customer,
        status=status,
        due_by=due_by,
    )


@router.get("/contracts/{id:path}")
def contract(board: Board, id: SubjectId) -> ContractSeen:
    """A contract with its versions, lines, obligations, signatures and call-offs."""
    with board.snapshot(WHOLE, id) as db:
        return found(contract_seen(db, id), id)


@router.get("/contract-templates/{id:path}")
def template(board: Board, id: SubjectId) -> TemplateSeen:
    """A contract template, version by version."""
    with board.snapshot(TEMPLATE, id) as db:
        return found(template_seen(db, id), id)
