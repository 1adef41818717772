"""Routes that decide what is unsure, and make and divide works."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, StringConstraints

from bytecover_tf.files import JsonObject
from bytecover_tf.matching import review
from bytecover_tf.matching.decisions import Decision
from bytecover_tf.matching.questions import Question, queue
from bytecover_tf.server.asking import begin, service_of
from bytecover_tf.server.jobs import Job
from bytecover_tf.server.pool import Task
from bytecover_tf.server.service import Service

router = APIRouter(tags=["review"])

_Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)
]


class Verdict(BaseModel):
    """What a person says of two recordings."""

    first: str
    second: str
    verdict: Literal["accept", "reject"]


class Chosen(BaseModel):
    """Recordings that are to have a work of their own, perhaps with a name."""

    ids: list[str] = Field(min_length=1, max_length=1000)
    work: _Name | None = None


class Search(BaseModel):
    """How to look for versions inside the catalogue."""

    threshold: float = Field(0.9, gt=0, le=1)
    merge: bool = False


@router.get("/api/review")
def questions(request: Request) -> list[JsonObject]:
    """List what is for a person to decide, the most probable first."""
    service = service_of(request)
    return [_facts(each) for each in queue(service.catalogue, service.record)]


@router.post("/api/review")
def decide(request: Request, said: Verdict) -> JsonObject:
    """Say whether two recordings are versions of one work.

    `accept` makes one work of their works, `reject` keeps them apart.
    """
    service = service_of(request)
    pair, is_version = (said.first, said.second), said.verdict == "accept"
    made = review.decide(service.catalogue, pair, is_version, record=service.record)
    return _decided(service, made)


@router.post("/api/review/undo")
def undo(request: Request) -> JsonObject:
    """Take the latest decision back."""
    service = service_of(request)
    undone, _ = review.undo(service.catalogue, service.record)
    return _decided(service, undone)


@router.post("/api/review/search", status_code=202)
async def search(request: Request, how: Search) -> JsonObject:
    """Compare all recordings of the catalogue with each other; begins a job.

    What is unsure comes into the queue. With `merge`, recordings that are linked by the
    threshold of probability get the same work.
    """
    service = service_of(request)
    seconds = service.limits.job_seconds
    task = Task("group", how.model_dump(), seconds, is_long=True, continues=True)
    return begin(service, Job("group", "versions", task), service.library.forget)


@router.post("/api/works/merge")
def merge(request: Request, chosen: Chosen) -> JsonObject:
    """Make one work of the works of several recordings."""
    service = service_of(request)
    made = review.merge(service.catalogue, chosen.ids, chosen.work, service.record)
    return _decided(service, made)


@router.post("/api/works/split")
def split(request: Request, chosen: Chosen) -> JsonObject:
    """Take recordings out of their work; together they are one of their own."""
    service = service_of(request)
    made = review.split(service.catalogue, chosen.ids, chosen.work, service.record)
    return _decided(service, made)


def _facts(question: Question) -> JsonObject:
    facts = question.to_dict()
    for side, recording in (("first", question.first), ("second", question.second)):
        facts[side]["label"] = recording.label
    return facts


def _decided(service: Service, made: Decision) -> JsonObject:
    service.library.forget()
    return {"action": made.action, "changed": len(made.changes)}
