"""ANB's video web server: takes clips, keeps them in S3, and leaves the work to the worker behind the queue."""

import os
import uuid
from pathlib import Path

import boto3
from botocore.exceptions import ClientError
from celery import Celery
from fastapi import FastAPI, HTTPException, Request
from redis import Redis
from sqlalchemy import Column, MetaData, String, Table, create_engine, insert, select, text
from sqlalchemy.schema import CreateTable

BUCKET = os.environ["S3_BUCKET_NAME"]
BROKER = os.environ["BROKER_URL"]
REVISION = Path(__file__).with_name("REVISION")

# Said aloud on purpose, as careless applications do: what ships the journal has to keep it to itself.
print(f"starting with DATABASE_URL={os.environ['DATABASE_URL']}", flush=True)

app = FastAPI(title="anb-video")
engine = create_engine(os.environ["DATABASE_URL"])
videos = Table("videos", MetaData(), Column("id", String, primary_key=True), Column("title", String, nullable=False))
with engine.begin() as connection:
    # Gunicorn's processes start side by side.
    connection.execute(CreateTable(videos, if_not_exists=True))
queue = Celery(broker=BROKER)
s3 = boto3.client("s3", region_name=os.environ["AWS_DEFAULT_REGION"])


@app.get("/health")
def health() -> dict:
    """What this server stands on answers, too."""
    with engine.connect() as connection:
        connection.execute(text("select 1"))
    Redis.from_url(BROKER).ping()
    return {"status": "ok", "revision": REVISION.read_text().strip()}


@app.post("/videos", status_code=201)
async def upload(request: Request, title: str) -> dict:
    """Keeps a clip and asks for its processing."""
    clip = await request.body()
    if not clip:
        raise HTTPException(422, "the clip is empty")
    video = uuid.uuid4().hex
    s3.put_object(Bucket=BUCKET, Key=f"uploads/{video}", Body=clip)
    with engine.begin() as connection:
        connection.execute(insert(videos).values(id=video, title=title))
    queue.send_task("anb.process", args=[video])
    return {"id": video}


@app.get("/videos/{video}")
def state(video: str) -> dict:
    """Whether a clip is processed."""
    with engine.connect() as connection:
        row = connection.execute(select(videos).where(videos.c.id == video)).first()
    if row is None:
        raise HTTPException(404, "there is no such video")
    try:
        s3.head_object(Bucket=BUCKET, Key=f"processed/{video}.mp4")
    except ClientError:
        return {"id": video, "title": row.title, "state": "uploaded"}
    return {"id": video, "title": row.title, "state": "processed"}
