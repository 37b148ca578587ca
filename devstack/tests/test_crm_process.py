"""The crm as it is run: a process of its own, ended by a signal."""

import signal
import socket
import subprocess
import sys

import httpx
import pytest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_takes_a_record_and_stops_cleanly_even_while_an_answer_is_late(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "waybill_devstack.crm", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("crm: ").strip()
            assert httpx.put(f"{url}contacts/7", json={"a": 1}).status_code == 201
            assert process.stdout.readline() == "PUT /contacts/7 201 written key=-\n"
            httpx.post(f"{url}faults", json={"delay": 600})
            host, port = httpx.URL(url).host, httpx.URL(url).port
            with socket.create_connection((host, port or 0)) as late:
                late.sendall(b"PUT /contacts/7 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
                assert process.stdout.readline().startswith("PUT /contacts/7 200 written")
                process.send_signal(number)
                _, errors = process.communicate(timeout=30)
            assert process.returncode == 0
            assert "Traceback" not in errors
        finally:
            process.kill()
