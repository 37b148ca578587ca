"""Processes that fork, as servers of applications do."""

import subprocess
import sys
import textwrap

from clients_under_test import Scripted, scripted

#: Seconds for each program.
PATIENCE = 60


def run(program: str, *arguments: str) -> None:
    """Runs a program; from Python 3.12 on, a fork beside threads warns."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_fork_while_a_thread_makes_the_default_client_hangs_nothing() -> None:
    run(
        """
        import os, signal, sys, threading
        import waybill.client
        from waybill.submitting import sync_client

        is_being_made, may_be_made = threading.Event(), threading.Event()

        class Client(waybill.client.Client):
            def __init__(self):
                is_being_made.set()
                may_be_made.wait()
                super().__init__("http://127.0.0.1:1")

        waybill.client.Client = Client
        making = threading.Thread(target=sync_client)
        making.start()
        is_being_made.wait()
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            may_be_made.set()
            sync_client()
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        may_be_made.set()
        making.join()
        sys.exit(os.waitstatus_to_exitcode(status))
        """
    )


def test_a_forked_process_has_connections_of_its_own() -> None:
    program = """
        import os, sys
        from waybill import Client

        client = Client(sys.argv[1], connections=1)
        client.submit("order.placed", {"by": "parent"})
        child = os.fork()
        if child == 0:
            client.submit("order.placed", {"by": "child"})
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        client.submit("order.placed", {"by": "parent"})
        sys.exit(os.waitstatus_to_exitcode(status))
        """
    with scripted([Scripted()]) as gateway:
        run(program, gateway.url)

    used = [(received.document["data"]["by"], received.port) for received in gateway.received]
    parent, child, again = used
    assert [by for by, _ in used] == ["parent", "child", "parent"]
    assert parent == again
    assert child[1] != parent[1]
