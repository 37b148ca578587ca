"""`python -m bench.apps.serve APP PORT`: serves a peer's gateway, as Waybill serves its own."""

import sys

import uvicorn

if __name__ == "__main__":
    application, port = sys.argv[1:]
    uvicorn.run(
        application, port=int(port), loop="uvloop", http="httptools", log_level="warning", access_log=False
    )
