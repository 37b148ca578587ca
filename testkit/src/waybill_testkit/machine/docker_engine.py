"""Whether Docker answers on this machine."""

import gc
import warnings
from contextlib import closing

from docker.errors import DockerException  # type: ignore[import-untyped] # docker ships no types
from testcontainers.core.docker_client import DockerClient


def why_no_docker() -> str | None:
    """Ask the Docker engine; None if it answers, else what went wrong."""
    with warnings.catch_warnings():
        # Its client leaves the socket of an attempt that failed to the garbage collector, which complains.
        warnings.simplefilter("ignore", ResourceWarning)
        reason = _docker_error()
        gc.collect()
    return reason


def _docker_error() -> str | None:
    try:
        with closing(DockerClient().client) as client:
            client.ping()
    except DockerException as error:
        return str(error)
    return None
