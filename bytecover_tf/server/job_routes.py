"""Routes that follow and end jobs."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException

from bytecover_tf.files import JsonObject
from bytecover_tf.server.asking import service_of
from bytecover_tf.server.jobs import Job

router = APIRouter(tags=["jobs"])


@router.get("/api/jobs")
async def jobs(request: Request) -> list[JsonObject]:
    """List the jobs, the latest first, without their results."""
    return [job.to_dict(with_result=False) for job in service_of(request).jobs.all()]


@router.get("/api/jobs/{name}")
async def job(request: Request, name: str) -> JsonObject:
    """Show how far a job is, and its result once it is done."""
    return _job(request, name).to_dict()


@router.delete("/api/jobs/{name}", status_code=204)
async def cancel_job(request: Request, name: str) -> None:
    """End a job, or forget one that has ended."""
    service_of(request).jobs.cancel(_job(request, name))


def _job(request: Request, name: str) -> Job:
    found = service_of(request).jobs.get(name)
    if found is None:
        raise HTTPException(404, f"{name}: there is no such job")
    return found
