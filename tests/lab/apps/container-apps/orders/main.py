"""The orders of a shop, kept in memory, and a figure for each of them in CloudWatch's embedded metric format.

A load balancer that routes by path leaves the path as it is, so every route begins with the application's name.
"""

import hmac
import itertools
import json
import os
import time

from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel, Field

API_KEY = os.environ["API_KEY"]
# Said aloud on purpose, as careless applications do: what ships the journal has to keep it to itself.
print(f"orders {os.environ['VERSION']} takes orders with API_KEY={API_KEY}", flush=True)

app = FastAPI(title="orders", openapi_url=None)
numbers = itertools.count(1)
orders = {}


class Order(BaseModel):
    """What somebody wants."""

    item: str
    quantity: int = Field(gt=0, le=100)


@app.get("/orders/health")
def health() -> dict:
    return {"status": "ok", "version": os.environ["VERSION"]}


@app.post("/orders", status_code=201)
def place(order: Order, key: str = Header("", alias="X-Api-Key")) -> dict:
    if not hmac.compare_digest(key, API_KEY):
        raise HTTPException(403, "the key is wrong")
    number = next(numbers)
    orders[number] = order
    directive = {"Namespace": "Shop", "Dimensions": [["Environment"]], "Metrics": [{"Name": "ItemsOrdered", "Unit": "Count"}]}
    figures = {"Environment": os.environ["ENVIRONMENT"], "ItemsOrdered": order.quantity, "order": number}
    print(json.dumps({"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}, **figures}), flush=True)
    return {"order": number}


@app.get("/orders/{number}")
def order(number: int) -> Order:
    if number not in orders:
        raise HTTPException(404, "there is no such order")
    return orders[number]
