"""The mailbox as it is run: a process of its own, ended by a signal."""

import re
import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

COMMAND = [sys.executable, "-m", "waybill_devstack.mailbox", "--smtp-port", "0", "--http-port", "0"]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def ports_of(process: subprocess.Popen[str]) -> tuple[int, int]:
    assert process.stdout is not None
    smtp, http = re.findall(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
    return int(smtp), int(http)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_takes_a_mail_and_stops_cleanly_even_while_a_client_hangs(
    process: subprocess.Popen[str], number: signal.Signals
) -> None:
    assert process.stdout is not None
    smtp_port, http_port = ports_of(process)
    with smtplib.SMTP("127.0.0.1", smtp_port) as client:
        client.sendmail("a@example.com", ["b@example.com"], "Subject: hi\r\nX: y\r\n\r\nx")
    assert process.stdout.readline() == "mail 1 from a@example.com to b@example.com: hi\n"
    mailbox = f"http://127.0.0.1:{http_port}"
    assert [mail["subject"] for mail in httpx.get(f"{mailbox}/api/messages").json()] == ["hi"]

    httpx.post(f"{mailbox}/api/faults", json={"mode": "hang"})
    with socket.create_connection(("127.0.0.1", smtp_port)) as hanging:
        hanging.sendall(b"EHLO me\r\nMAIL FROM:<a@example.com>\r\n")
        assert process.stdout.readline().startswith("hang")
        process.send_signal(number)
        assert process.wait(timeout=30) == 0


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [*COMMAND[:-1], str(port)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
