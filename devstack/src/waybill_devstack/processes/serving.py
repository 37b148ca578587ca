"""Runs the HTTP application of a stand-in in this process until SIGTERM or SIGINT."""

import asyncio
import logging
import signal
import socket
import sys

import uvicorn
from fastapi import FastAPI

#: The process ends with this when a port cannot be had; the message is on stderr.
CANNOT_LISTEN = 1
#: Python 3.12 and later wait for open connections when a server closes; this ends that wait.
GRACE_SECONDS = 1


def listen(host: str, port: int) -> socket.socket:
    """Bind `port` of `host` (0 lets the kernel choose).

    Raises:
        SystemExit: the port cannot be bound; a line on stderr names it and says what to do.
    """
    try:
        return socket.create_server((host, port))
    except OSError as error:
        print(
            f"cannot listen on {host}:{port} ({error.strerror}): stop what uses it or give another port",
            file=sys.stderr,
        )
        raise SystemExit(CANNOT_LISTEN) from error


async def serve_until_stopped(app: FastAPI, listener: socket.socket) -> None:
    """Serve `app` on `listener` until SIGTERM or SIGINT, then drop what is open and return.

    A stand-in keeps nothing, so there is nothing to finish: requests that wait on purpose (faults) must not
    hold up the end of the stack.
    """
    # Set before uvicorn sets its own handlers: these are what it restores and raises into at its end, so that
    # the process ends with 0 and not by the signal.
    stopping = _stop_requested()
    config = uvicorn.Config(
        app, lifespan="off", access_log=False, log_level="warning", timeout_graceful_shutdown=GRACE_SECONDS
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    # Answers that are cut off here are cut off on purpose: no error, no traceback.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    server.should_exit = server.force_exit = True
    await serving
    stopped.cancel()


def _stop_requested() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set from now on, instead of ending this process.

    For the main thread, inside the running loop.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


def print_line(text: str) -> None:
    """Print `text` on stdout at once, as one line whatever it holds: no input can forge lines or colours."""
    print("".join(c if c.isprintable() else " " for c in text), flush=True)
