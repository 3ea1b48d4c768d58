"""The people of the stories: who they are, what they may do, and how they speak to the server."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import httpx

from medsales.api.auth import issue_token
from medsales.cli.signing import new_code
from medsales.company import Company
from medsales.domain.ids import PersonId
from medsales.domain.kernel import Role

SECRET = "s" * 40
PASSWORD = "twelve characters 密码"
OURS, HOSPITAL = "杭州翠鸟医疗器械有限公司", "浙江协和医院"
STAFF: dict[str, tuple[str, str, tuple[Role, ...]]] = {
    "chen": ("陈静 Chen Jing", "销售", (Role.SALES,)),
    "lin": ("林峰 Lin Feng", "销售", (Role.SALES,)),
    "wang": ("王敏 Wang Min", "销售经理", (Role.MANAGER,)),
    "zhao": ("赵磊 Zhao Lei", "产品经理", (Role.MANAGER,)),
    "qian": ("钱伟 Qian Wei", "销售总监", (Role.DIRECTOR,)),
    "zheng": ("郑洁 Zheng Jie", "总经理", (Role.DIRECTOR,)),
    "sun": ("孙法 Sun Fa", "法务", (Role.LEGAL,)),
    "feng": ("冯会 Feng Hui", "财务经理", (Role.FINANCE,)),
    "gu": ("顾芳 Gu Fang", "质量负责人", (Role.QUALITY,)),
    "ou": ("欧阳 Ou Yang", "内审员", (Role.AUDITOR,)),
}
PUMP, STENT = "product:06901234567892", "product:06901234567908"
UNION = "customer:91330000470003281C"
PRICES = "price-matrix:CN"
LETTER = "sha256:" + "1e" * 32
TODAY = datetime.now(UTC).date()


def day(days: int) -> str:
    return (TODAY + timedelta(days=days)).isoformat()


FIRST_DAY = day(-300)
"""Of the first prices."""


def yuan(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "CNY"}


@dataclass
class Somebody:
    """One person at the server, who says everything once."""

    office: "Office"
    id: str
    name: str
    roles: tuple[Role, ...]
    session: str | None = None

    def tell(self, path: str, **body: Any) -> httpx.Response:
        """A command; `told` goes into the address (effective_at, reason), `if_match` beside it."""
        told, seen = body.pop("told", {}), body.pop("if_match", None)
        headers = {**self._token(), "Idempotency-Key": self._key()}
        headers |= {"If-Match": seen} if seen else {}
        answer = self.office.http.post(path, json=body, params=told, headers=headers)
        self.office.position = answer.json().get("position", self.office.position)
        return answer

    def does(self, path: str, **body: Any) -> Any:
        answer = self.tell(path, **body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def is_refused(self, code: str, path: str, **body: Any) -> dict[str, str]:
        """Both sentences; the office remembers who was refused what."""
        answer = self.tell(path, **body)
        assert answer.status_code in {403, 422}, answer.text
        problem = answer.json()
        assert problem["code"] == code, answer.text
        said: dict[str, str] = problem["sentences"]
        self.office.refused.append((self.id, code, said["en"], said["zh"]))
        return said

    def asks(self, path: str, **params: Any) -> Any:
        """As of what has been told so far, unless a moment is named."""
        past = {"as_of", "recorded_by"} & params.keys()
        given = params if past else {"min_position": self.office.position, **params}
        answer = self.office.http.get(path, params=given, headers=self._token())
        assert answer.status_code == 200, answer.text
        return answer.json() if "json" in answer.headers["content-type"] else answer

    def approves(self, approval: dict[str, Any], **more: Any) -> Any:
        body = {"content_hash": approval["content_hash"], **more}
        return self.does(f"/approvals/{approval['id']}/approve", **body)

    def signs(self, subject: str, version: int, content_hash: str, meaning: str) -> Any:
        """What `POST /signatures/prepare` answers to the password."""
        wanted = {
            "subject": subject,
            "version": version,
            "content_hash": content_hash,
            "meaning": meaning,
            "text": "我已阅读全部内容 / I have read all of it",
            "time_zone": "Asia/Shanghai",
            "person": PersonId.of(self.id),
            "password": PASSWORD,
        }
        answer = self.office.http.post("/signatures/prepare", json=wanted, headers=self._token())
        assert answer.status_code == 200, answer.text
        return answer.json()

    def has_a_password(self) -> None:
        """Set with the code that the operator gave."""
        id = PersonId.of(self.id)
        code = new_code(self.office.company, id, "a new colleague", "operator")
        body = {"old": code, "new": PASSWORD}
        answer = self.office.http.post(f"/persons/{id}/password", json=body, headers=self._token())
        assert answer.status_code == 200, answer.text

    def _token(self) -> dict[str, str]:
        company = self.office.company.name
        token = issue_token(SECRET, self.id, self.name, self.roles, company=company)
        return {"Authorization": f"Bearer {token}"}

    def _key(self) -> str:
        return f"{self.id}-{next(self.office.keys)}"


@dataclass
class Office:
    """A dealer in Hangzhou who sells pumps and stents to a hospital, at a real server."""

    http: httpx.Client
    company: Company
    keys: Any = field(default_factory=count)
    position: int = 0
    refused: list[tuple[str, str, str, str]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Somebody:
        if name not in STAFF:
            raise AttributeError(name)
        printed, _, roles = STAFF[name]
        return Somebody(self, name, printed, roles)

    @property
    def liu(self) -> Somebody:
        """The director of the hospital, who signs for it."""
        return Somebody(self, "liu", "刘院长 Dr Liu", (Role.COUNTERPARTY,))

    def opens(self) -> None:
        self.qian.does("/our-companies/describe-our-company", name=OURS, address="杭州")
        self.qian.does("/our-companies/describe-our-company", name=OURS, address="杭州")
        self._registers_people()
        self._takes_up_goods()
        self._takes_up_the_hospital()
        matrix = {"code": "CN", "name": "全国", "currency": "CNY"}
        self.zhao.does("/price-matrices/open-price-matrix", **matrix)
        self.prices(PUMP="10000.00", STENT="800.00")

    def _registers_people(self) -> None:
        people = {name: (printed, OURS, title) for name, (printed, title, _) in STAFF.items()}
        for name, (printed, organisation, title) in {
            **people,
            "liu": (self.liu.name, HOSPITAL, "院长"),
        }.items():
            registrar = self.zheng if name == "qian" else self.qian
            registrar.does(
                "/persons/register-person",
                person=name,
                name=printed,
                organisation=organisation,
                title=title,
            )

    def have_passwords(self, *people: Somebody) -> None:
        for person in people:
            person.has_a_password()

    def _takes_up_goods(self) -> None:
        for product, name in ((PUMP, "输液泵 Pump"), (STENT, "冠脉支架 Stent")):
            self.gu.does(
                "/products/register-product",
                di=product.partition(":")[2],
                issuer="gs1",
                name=name,
                model="M1",
                registrant="Maker 制造商",
                device_class="III",
                tracked_by="lot",
            )
            certificate = {"number": "国械注准20203160001", "valid_from": "2020-01-01"}
            self.gu.does(f"/products/{product}/record-registration", registration=certificate)
        self.licence("own", "operating_licence", "浙杭食药监械经营许20200001号")

    def licence(self, holder: str, kind: str, number: str) -> None:
        """Recorded by a manager, and checked by quality."""
        licence = {
            "kind": kind,
            "number": number,
            "valid_from": "2020-01-01",
            "valid_until": day(3000),
            "issuer": "浙江省",
        }
        file = self.wang.does("/licence-files/record-licence", holder=holder, licence=licence)["id"]
        verified = {
            "number": number,
            "method": "国家药监局数据查询",
            "valid_until": licence["valid_until"],
        }
        self.gu.does(f"/licence-files/{file}/verify-licence", **verified)

    def _takes_up_the_hospital(self) -> None:
        """By a manager, who gives it its tier."""
        self.wang.does(
            "/customers/register-customer",
            uscc=UNION.partition(":")[2],
            kind_of="hospital",
            name=HOSPITAL,
            region="浙江",
            tier="A",
            grade="3A",
            address="杭州市庆春路 79 号",
        )
        self.licence(UNION, "practice_licence", "PDY00001-233010217A1001")

    def prices(self, since: str = FIRST_DAY, *, signed: bool = False, **amounts: str) -> int:
        """A version by Zhao, approved by Wang, in force; the floor is four fifths of the price."""
        products = {"PUMP": PUMP, "STENT": STENT}
        cells = [
            {
                "product": products[name],
                "price": yuan(amount),
                "floor": yuan(f"{Decimal(amount) * 4 / 5:.2f}"),
            }
            for name, amount in amounts.items()
        ]
        draft = {"effective_from": since, "cells": cells}
        self.zhao.does(f"/price-matrices/{PRICES}/draft-version", **draft)
        newest = max(self.versions(), key=lambda it: int(it["number"]))["number"]
        self.zhao.does(f"/price-matrices/{PRICES}/submit-version", version=newest)
        approval = self.approval(PRICES)
        seen = (PRICES, approval["version"], approval["content_hash"], "approval")
        more = {"signature": self.wang.signs(*seen)} if signed else {}
        self.wang.approves(approval, **more)
        self.zhao.does(f"/price-matrices/{PRICES}/schedule-version", version=newest)
        return int(newest)

    def versions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.wang.asks(f"/price-matrices/{PRICES}/versions")["items"]
        return found

    def approval(self, subject: str) -> dict[str, Any]:
        """The one that was asked for last."""
        found = self.wang.asks("/approvals", subject=subject)["items"]
        newest: dict[str, Any] = max(found, key=lambda it: int(it["approval"].rpartition(":")[2]))
        return {**newest, "id": newest["approval"]}

    def quote(self, number: str) -> dict[str, Any]:
        """The current version of a quote."""
        found: dict[str, Any] = self.chen.asks(f"/quotes/quote:{number}")["versions"][-1]
        return found

    def refusals(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ou.asks("/refusals", limit=1000)["items"]
        return found
