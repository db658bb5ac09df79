"""A small background-removal API: the application of a team, as the lab's repository holds it.

The picture is a binary PPM, the answer a PAM with an alpha channel in which everything that is connected to the border and
close to the colour of the top left corner is transparent. No imaging library is needed for that.
"""

import os
import re
from pathlib import Path

from dotenv import load_dotenv
from fastapi import FastAPI, HTTPException, Request, Response

load_dotenv(Path(__file__).with_name(".env"))
# Said aloud on purpose, as careless applications do: what ships the journal has to keep it to itself.
print(f"starting with APP_SECRET={os.environ['APP_SECRET']}", flush=True)

app = FastAPI(title="background-removal")
HEADER = re.compile(rb"P6\s+(\d+)\s+(\d+)\s+255\s")
LARGEST = 4_000_000


@app.get("/healthcheck")
def healthcheck() -> dict:
    return {"status": "ok"}


@app.post("/remove-background")
async def remove_background(request: Request, tolerance: int = 32) -> Response:
    picture = await request.body()
    header = HEADER.match(picture)
    if not header:
        raise HTTPException(415, "a binary PPM with 255 levels is expected")
    width, height = int(header[1]), int(header[2])
    pixels = picture[header.end():]
    if not 0 < width * height <= LARGEST:
        raise HTTPException(413, f"a picture has between 1 and {LARGEST} pixels")
    if len(pixels) != width * height * 3:
        raise HTTPException(422, "the picture is not as large as its header says")
    body = with_alpha(pixels, background(pixels, width, height, tolerance))
    head = f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
    return Response(head.encode() + body, media_type="image/x-portable-arbitrarymap")


def background(pixels: bytes, width: int, height: int, tolerance: int) -> bytearray:
    """Marks with 1 the pixels that a flood from the border reaches."""
    key = pixels[:3]
    marked = bytearray(width * height)
    border = [x + y * width for y in (0, height - 1) for x in range(width)]
    border += [x + y * width for y in range(height) for x in (0, width - 1)]
    waiting = border
    while waiting:
        at = waiting.pop()
        if marked[at] or any(abs(pixels[at * 3 + i] - key[i]) > tolerance for i in range(3)):
            continue
        marked[at] = 1
        x = at % width
        waiting += [
            n for n, inside in (
                (at - 1, x > 0), (at + 1, x < width - 1), (at - width, at >= width), (at + width, at < width * (height - 1)),
            ) if inside and not marked[n]
        ]
    return marked


def with_alpha(pixels: bytes, transparent: bytearray) -> bytes:
    result = bytearray(len(transparent) * 4)
    for channel in range(3):
        result[channel::4] = pixels[channel::3]
    result[3::4] = bytes(0 if mark else 255 for mark in transparent)
    return bytes(result)
