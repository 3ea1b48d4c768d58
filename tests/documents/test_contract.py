"""A contract as both parties sign it: what counts, who signed it, and which signatures are void."""

from collections.abc import Callable, Iterable
from functools import partial

import pytest
from tests.documents.lives import facts, said
from tests.domain.terms.contracts import CONTRACT, SEAL, ContractTown, draft

from medsales.documents.content import DocumentContent
from medsales.documents.contract import Names, contract_document, contract_seen
from medsales.documents.sheet import Language
from medsales.documents.trail import approvers, trail_of
from medsales.domain.kernel import Refused
from medsales.domain.parties.customer import Customer
from medsales.domain.stock.product import Product
from medsales.domain.terms.contract import EditContract, SendContract, SubmitContract
from medsales.domain.terms.contract_content import (
    Clause,
    ContractContent,
    Delivery,
    Obligation,
    Side,
)
from medsales.domain.terms.contract_signing import RefuseContract


def document(town: ContractTown, version: int | None = None) -> DocumentContent:
    seen = contract_seen(CONTRACT, facts(CONTRACT, town.streams[CONTRACT]), version)
    content = seen.version.content
    customer = town.state(content.customer)
    products = {id: town.state(id) for id in content.products}
    assert isinstance(customer, Customer)
    names = Names(customer, {id: p for id, p in products.items() if isinstance(p, Product)})
    steps = facts(seen.approval, town.streams[seen.approval]) if seen.approval else []
    signed = [facts(id, town.streams[id]) for id in seen.version.signatures]
    return contract_document(seen, names, trail_of(approvers(steps), signed))


def test_everything_the_parties_agree_on_is_printed() -> None:
    town = ContractTown()
    town.told(
        draft(
            clauses=(Clause(key="payment", title="付款", text="开票后付款。\n\n逾期按日计息。"),),
            delivery=Delivery(place="庆春路 79 号", within_days=14, at_cost_of=Side.OURS),
            obligations=(
                Obligation(key="m-1", description="装机培训", party=Side.OURS, due="2026-07-01"),
            ),
            quality="YY 0290",
        )
    )
    lines = said(document(town))
    wanted = {"付款", "开票后付款。", "逾期按日计息。", "庆春路 79 号", "14", "装机培训", "YY 0290"}
    assert {each.removeprefix("1. ") for each in lines} >= wanted
    assert {"2026年6月1日", "2027年5月31日", "2026年7月1日", "供方", "CNY 19,000"} <= set(lines)
    assert f"内容哈希 {town.under_way.content_hash}" in lines


@pytest.mark.parametrize("language", Language)
def test_nobody_takes_a_draft_for_a_contract(language: Language) -> None:
    town = ContractTown()
    town.told(draft())
    send = partial(town.told, SendContract(), CONTRACT)
    steps: tuple[Callable[[], None], ...] = (town.approved, send)
    for step in (None, *steps):
        if step:
            step()
        stage = town.under_way.stage
        mark = said(document(town), language)[0]
        expected = stage.zh if language is Language.ZH else stage.en.capitalize()
        assert mark.startswith(expected)
        assert "不具约束力" in mark or "does not bind" in mark
    town.told(town.sealed(), CONTRACT)
    assert document(town).mark is not None, "one signature is not enough"
    town.told(town.sign(), CONTRACT, by="sun")
    assert document(town).mark is None


def test_both_signatures_are_shown_each_as_it_was_made() -> None:
    town = ContractTown()
    town.active()
    lines = said(document(town))
    assert "签名人: 孙法务" in lines
    assert "签名含义: 负责" in lines
    assert "签名人: 刘院长" in lines
    assert f"签署方式: 纸质盖章, 凭据 {SEAL}" in lines
    signed = town.contract.in_force[0].signed
    (ours,) = [each.signature for each in signed if each.signature]
    assert [line for line in lines if ours.key in line and "密钥" in line]


def test_signatures_that_were_voided_are_shown_as_such() -> None:
    """B7: a signature is invalidated, never deleted."""
    town = ContractTown()
    town.told(draft())
    town.sent()
    town.told(town.sign(), CONTRACT, by="sun")
    town.told(RefuseContract(side=Side.THEIRS, reason="the price"), CONTRACT)
    lines = said(document(town))
    assert "签名人: 孙法务" in lines
    assert "已作废: the price" in lines


def test_evidence_of_a_signature_elsewhere_is_voided_the_same_way() -> None:
    town = ContractTown()
    town.told(draft())
    town.sent()
    town.told(town.sealed(), CONTRACT)
    town.told(RefuseContract(side=Side.OURS, reason="no"), CONTRACT)
    assert voided(document(town)) == ["no"]


def test_signatures_of_another_content_are_not_shown_on_this_one() -> None:
    town = ContractTown()
    town.told(draft())
    town.sent()
    town.told(town.sign(), CONTRACT, by="sun")
    town.told(RefuseContract(side=Side.THEIRS, reason="the price"), CONTRACT)
    changed = draft(title="another").model_dump(exclude={"number", "customer", "quote"})
    edit = {name: value for name, value in changed.items() if name in EditContract.model_fields}
    town.told(EditContract(**edit), CONTRACT)
    town.told(SubmitContract(), CONTRACT)
    assert document(town).signatures == ()


def test_names_and_prices_of_ours_alone_are_not_printed() -> None:
    """Neither floors nor where a price comes from."""
    town = ContractTown()
    town.active()
    text = "\n".join(said(document(town), Language.EN))
    assert not {"floor", "path", "discount"} & set(text.split())


def test_there_is_no_document_of_a_version_that_never_was() -> None:
    town = ContractTown()
    town.active()
    with pytest.raises(Refused) as refused:
        document(town, 2)
    assert refused.value.code == "document.no_such_version"


def voided(content: DocumentContent) -> Iterable[str]:
    return [block.invalidated for block in content.signatures if block.invalidated]


PRINTED = {
    *(
        "number",
        "version",
        "customer",
        "customer_name",
        "customer_address",
        "title",
        "quote",
        "award",
        "template",
        "amends",
        "clauses",
    ),
    *("lines", "max_amount", "quality", "valid_from", "valid_until", "delivery", "payment_days"),
    *("obligations", "renewal_notice_days", "public_procurement"),
}
WITH_THE_AMOUNTS = {"currency"}


def test_a_new_field_of_the_content_is_not_forgotten_in_print() -> None:
    """If this fails, print the field (documents/contract.py), then name it here."""
    assert set(ContractContent.model_fields) == PRINTED | WITH_THE_AMOUNTS
