"""The catalogue of a shop: what it sells, for how much.

A load balancer that routes by path leaves the path as it is, so every route begins with the application's name.
"""

import hmac
import os

from fastapi import FastAPI, Header, HTTPException

CURRENCY = os.environ["CURRENCY"]
PARTNER_TOKEN = os.environ["PARTNER_TOKEN"]
ITEMS = {"easel": 8900, "canvas": 1250, "brush": 480}

app = FastAPI(title="catalog", openapi_url=None)


@app.get("/catalog/health")
def health() -> dict:
    return {"status": "ok", "version": os.environ["VERSION"]}


@app.get("/catalog/items")
def items() -> list:
    return [{"name": name, "price": f"{cents / 100:.2f} {CURRENCY}"} for name, cents in ITEMS.items()]


@app.get("/catalog/costs")
def costs(token: str = Header("", alias="X-Partner-Token")) -> dict:
    """What partners pay: theirs to see, and nobody else's."""
    if not hmac.compare_digest(token, PARTNER_TOKEN):
        raise HTTPException(403, "this is for partners")
    return {name: f"{cents * 7 // 1000 / 10:.2f} {CURRENCY}" for name, cents in ITEMS.items()}
