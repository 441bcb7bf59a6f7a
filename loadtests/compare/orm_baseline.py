"""The student service one writes first: FastAPI, SQLAlchemy's async ORM, response_model. student_service's baseline.

List and detail as student_service has them, on a copy of its SQLite file, with a token check as the tutorials show it.
DATABASE, JWKS_URL and PORT come from the environment; see ``loadtests.keepup``. What student_service does besides
(request ids, log lines, metrics, problem+json, entity tags with preconditions) is left out in the baseline's favour.
"""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Annotated, Any

import jwt
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict
from sqlalchemy import JSON, ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """All tables."""


class StudentRow(Base):
    """A student in the database; names that are there for sorting and searching end in ``_key``."""

    __tablename__ = "students"

    id: Mapped[str] = mapped_column(primary_key=True)
    student_number: Mapped[str]
    first_name: Mapped[str]
    middle_name: Mapped[str | None]
    last_name: Mapped[str]
    preferred_name: Mapped[str | None]
    email: Mapped[str]
    phone: Mapped[str | None]
    date_of_birth: Mapped[date | None]
    program: Mapped[str | None]
    year: Mapped[int | None]
    status: Mapped[str]
    enrolled_on: Mapped[date | None]
    guardians: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    notes: Mapped[str | None]
    version: Mapped[int]
    created_at: Mapped[str]
    created_by: Mapped[str]
    updated_at: Mapped[str]
    updated_by: Mapped[str]
    deleted_at: Mapped[str | None]
    last_name_key: Mapped[str]
    search_text: Mapped[str]


class Guardian(BaseModel):
    """Who to call."""

    name: str
    relation: str | None = None
    email: str | None = None
    phone: str | None = None


class Student(BaseModel):
    """A student as the API shows it."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    student_number: str
    first_name: str
    middle_name: str | None
    last_name: str
    preferred_name: str | None
    email: str
    phone: str | None
    date_of_birth: date | None
    program: str | None
    year: int | None
    status: str
    enrolled_on: date | None
    guardians: list[Guardian]
    notes: str | None
    version: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    deleted_at: datetime | None


class Page(BaseModel):
    """A page of students."""

    items: list[Student]
    next_cursor: str | None
    total: int


engine = create_async_engine(f"sqlite+aiosqlite:///{os.environ.get('DATABASE', ':memory:')}")
make_session = async_sessionmaker(engine, expire_on_commit=False)
keys = jwt.PyJWKClient(os.environ.get("JWKS_URL", "http://127.0.0.1:8002/.well-known/jwks.json"), lifespan=3600)
bearer = HTTPBearer()
app = FastAPI()


async def session() -> AsyncIterator[AsyncSession]:
    """One for each request."""
    async with make_session() as found:
        yield found


async def reader(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> dict[str, Any]:
    """The caller, who must be allowed to read."""
    try:
        key = keys.get_signing_key_from_jwt(credentials.credentials)
        claims: dict[str, Any] = jwt.decode(
            credentials.credentials, key, algorithms=["EdDSA"], issuer="matricula", audience="matricula-api"
        )
    except jwt.PyJWTError:
        raise HTTPException(401) from None
    if "students:read" not in claims["scope"].split():
        raise HTTPException(403)
    return claims


Session = Annotated[AsyncSession, Depends(session)]
Reader = Annotated[dict[str, Any], Depends(reader)]


@app.get("/students/", response_model=Page)
async def list_students(
    db: Session,
    _: Reader,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    cursor: str | None = None,
    q: str | None = None,
    status: str | None = None,
) -> Any:
    """A page by last name."""
    conditions: list[ColumnElement[bool]] = [StudentRow.deleted_at.is_(None)]
    if q:
        conditions.append(StudentRow.search_text.contains(q.lower()))
    if status:
        conditions.append(StudentRow.status == status)
    total = await db.scalar(select(func.count()).select_from(StudentRow).where(*conditions))
    query = select(StudentRow).where(*conditions).order_by(StudentRow.last_name_key, StudentRow.id).limit(limit + 1)
    if cursor:
        name, _separator, key = base64.urlsafe_b64decode(cursor).decode().partition("\0")
        same = (StudentRow.last_name_key == name) & (StudentRow.id > key)
        query = query.where(or_(StudentRow.last_name_key > name, same))
    rows = (await db.scalars(query)).all()
    more = len(rows) > limit
    rows = rows[:limit]
    last = f"{rows[-1].last_name_key}\0{rows[-1].id}".encode() if more else b""
    return {"items": rows, "next_cursor": base64.urlsafe_b64encode(last).decode() if more else None, "total": total}


@app.get("/students/{student_id}", response_model=Student)
async def read_student(student_id: str, response: Response, db: Session, _: Reader) -> Any:
    """One student."""
    found = await db.scalar(select(StudentRow).where(StudentRow.id == student_id, StudentRow.deleted_at.is_(None)))
    if found is None:
        raise HTTPException(404)
    response.headers["ETag"] = f'"{found.version}"'
    return found


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=False, log_level="warning")
