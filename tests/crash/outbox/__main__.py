"""Runs the shop: `python -m tests.crash.outbox DATABASE_URL PORT`."""

import sys

import uvicorn

from tests.crash.outbox.shop import make_app

if __name__ == "__main__":
    uvicorn.run(make_app(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
