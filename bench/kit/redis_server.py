"""A private Redis for the peers' results: installed if it may be, and as fast as it can be."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from bench.kit.programs import Program, Running, start, stop
from waybill_testkit.broker import install_server, privilege
from waybill_testkit.machine import LOOPBACK, free_ports

PACKAGE = "redis-server"


class RedisError(Exception):
    """There is no Redis to be had; `str()` says what to do."""


@contextmanager
def private_redis(folder: Path) -> Iterator[tuple[str, Running]]:
    """A Redis that runs for the time of the `with` block; yields its URL and its process.

    It keeps nothing on disk: the peers' results are as cheap as Redis can make them.
    """
    program = _find()
    (port,) = free_ports(1)
    url = f"redis://{LOOPBACK}:{port}/0"
    argv = [program, "--bind", LOOPBACK, "--port", str(port), "--save", "", "--appendonly", "no"]
    folder.mkdir(parents=True)
    running = start([Program("redis", [*argv, "--dir", str(folder)], {}, lambda: _answers(url))], folder)
    try:
        yield url, running[0]
    finally:
        stop(running)


def _find() -> str:
    program = shutil.which("redis-server")
    apt_get = shutil.which("apt-get")
    prefix = privilege() if apt_get and program is None else None
    if program is None and apt_get and prefix is not None:
        print("installing redis-server with apt-get (once)")
        install_server(apt_get, prefix, package=PACKAGE)
        program = shutil.which("redis-server", path=os.environ.get("PATH", os.defpath))
    if program is None:
        raise RedisError("the peers keep their results in Redis: install redis-server and try again")
    return program


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
