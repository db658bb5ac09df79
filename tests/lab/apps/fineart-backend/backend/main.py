"""The interface: works of art are entered, listed, and shown; links to their pictures are signed and end by themselves."""

import hashlib
import hmac
import os
import time
from contextlib import asynccontextmanager

import boto3
from botocore.exceptions import ClientError
from fastapi import FastAPI, HTTPException, Request, Response
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool
from pydantic import BaseModel, Field

ENVIRONMENT = os.environ["ENVIRONMENT"]
BUCKET = os.environ["MEDIA_BUCKET"]
SIGNING_KEY = os.environ["SIGNING_KEY"].encode()
LARGEST = 5 * 1024 * 1024

database = ConnectionPool(os.environ["DATABASE_URL"], min_size=1, max_size=4, open=False, kwargs={"row_factory": dict_row})
media = boto3.client("s3")


@asynccontextmanager
async def lifespan(_: FastAPI):
    database.open()
    yield
    database.close()


app = FastAPI(title="FineArt", lifespan=lifespan)


class Artwork(BaseModel):
    """What is known of a work."""

    title: str = Field(min_length=1, max_length=200)
    artist: str = Field(min_length=1, max_length=200)
    year: int = Field(ge=-3000, le=2200)


@app.get("/health")
def health() -> dict:
    """Whether it can do its work: without its database it cannot."""
    with database.connection(timeout=2) as connection:
        connection.execute("select 1 from artworks limit 1")
    return {"status": "ok", "database": "ok", "environment": ENVIRONMENT}


@app.post("/artworks", status_code=201)
def enter(artwork: Artwork) -> dict:
    with database.connection() as connection:
        return connection.execute(
            "insert into artworks (title, artist, year) values (%s, %s, %s) returning id",
            (artwork.title, artwork.artist, artwork.year),
        ).fetchone()


@app.get("/artworks")
def listed() -> list:
    with database.connection() as connection:
        return connection.execute("select * from artworks order by id").fetchall()


@app.put("/artworks/{number}/picture")
async def put_picture(number: int, request: Request) -> dict:
    """Takes a picture and gives the link under which it is seen for an hour."""
    picture = await request.body()
    if not 0 < len(picture) <= LARGEST:
        raise HTTPException(413, f"a picture has between 1 and {LARGEST} bytes")
    known(number)
    kind = request.headers.get("content-type", "application/octet-stream")
    media.put_object(Bucket=BUCKET, Key=f"artworks/{number}", Body=picture, ContentType=kind)
    until = int(time.time()) + 3600
    return {"link": f"/artworks/{number}/picture?until={until}&signature={sign(number, until)}"}


@app.get("/artworks/{number}/picture")
def picture(number: int, until: int, signature: str) -> Response:
    if until < time.time() or not hmac.compare_digest(signature, sign(number, until)):
        raise HTTPException(403, "this link has ended, or was never given")
    try:
        found = media.get_object(Bucket=BUCKET, Key=f"artworks/{number}")
    except ClientError as error:
        raise HTTPException(404, "there is no picture") from error
    return Response(found["Body"].read(), media_type=found["ContentType"])


def known(number: int) -> None:
    """Refuses works that nobody has entered."""
    with database.connection() as connection:
        if not connection.execute("select 1 from artworks where id = %s", (number,)).fetchone():
            raise HTTPException(404, "there is no such work")


def sign(number: int, until: int) -> str:
    """What only we can put behind a link."""
    return hmac.new(SIGNING_KEY, f"{number} {until}".encode(), hashlib.sha256).hexdigest()
