"""Documents that people follow at a terminal: their commands, what these show, and a shell that runs both."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.wheels.built import ROOT, UV, index_setting

#: Seconds between two looks at what a shell has shown.
POLL_SECONDS: Final = 0.05
#: Longest, for one block of commands on a busy machine.
BLOCK_SECONDS: Final = 240.0
_FENCED: Final = re.compile(r"^```(\S*) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
#: In a document: any text.
_ANYTHING: Final = "…"


@dataclass(frozen=True, slots=True)
class Block:
    """Commands of a document, and the lines that it says they show."""

    commands: str
    #: Of what follows the `sh` of the fence, which no reader sees: `terminal` for commands that run until
    #: Ctrl-C, in a terminal of their own; `again` for those whose answer may take a moment.
    mark: str
    shown: tuple[str, ...]


def blocks_of(text: str) -> list[Block]:
    """The commands of a document in order, each with the block without a language that follows it."""
    found: list[Block] = []
    for language, mark, content in _FENCED.findall(text):
        if language == "sh":
            found.append(Block(content, mark, ()))
        elif not language:
            last = found.pop()
            found.append(Block(last.commands, last.mark, (*last.shown, *content.splitlines())))
    return found


def missing_from(said: str, shown: tuple[str, ...]) -> list[str]:
    """The lines of a document that are not in what was said, in their order; `…` stands for any text."""
    lines = iter(_COLOURS.sub("", said).splitlines())
    wanted = [line for line in shown if line.strip(f" {_ANYTHING}")]
    return [line for line in wanted if not any(_matches(line, each) for each in lines)]


def _matches(line: str, said: str) -> bool:
    # By words: columns are as wide as what is in them.
    parts = (re.escape(part) for part in " ".join(line.split()).split(_ANYTHING))
    return re.fullmatch(".*".join(parts), " ".join(said.split())) is not None


class Terminal:
    """A shell in a folder, in which a failed command ends all.

    Args:
        folder: where it begins.
        log: gets what it shows.
        environment: its variables.
    """

    def __init__(self, folder: Path, log: Path, environment: Mapping[str, str]) -> None:
        self._log = log
        self._seen = 0
        self._count = 0
        with log.open("wb") as output:
            self._shell = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-e"],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, commands: str, seconds: float = BLOCK_SECONDS) -> str:
        """Types commands, waits for their end, and returns what they have shown.

        Raises:
            AssertionError: one has failed, or they took too long.
        """
        self._count += 1
        end = f"-- the end of {self._count} --"
        self._type(f"{commands}\necho '{end}'\n")
        deadline = time.monotonic() + seconds
        while f"{end}\n" not in self._said():
            self._require(before=deadline, awaited=end)
        said = self._said()
        self._seen = self._log.stat().st_size
        return said.rpartition(end)[0]

    def begin(self, commands: str, shown: tuple[str, ...], seconds: float = BLOCK_SECONDS) -> None:
        """Types commands that run until Ctrl-C, and waits until they have shown these lines."""
        self._type(f"{commands}\nexit\n")
        deadline = time.monotonic() + seconds
        while missing := missing_from(self._said(), shown):
            self._require(before=deadline, awaited=missing)

    def interrupt(self, seconds: float = BLOCK_SECONDS) -> int:
        """Presses Ctrl-C, and returns the exit status of what was running."""
        os.killpg(self._shell.pid, signal.SIGINT)
        return self._shell.wait(seconds)

    def close(self) -> None:
        """Ends what still runs."""
        if self._shell.poll() is None:
            os.killpg(self._shell.pid, signal.SIGTERM)
            self._shell.wait(BLOCK_SECONDS)
        if self._shell.stdin is not None:
            self._shell.stdin.close()

    def _type(self, text: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(text.encode())
        self._shell.stdin.flush()

    def _said(self) -> str:
        return self._log.read_bytes()[self._seen :].decode(errors="replace")

    def _require(self, *, before: float, awaited: object) -> None:
        assert self._shell.poll() is None, f"a command failed:\n{self._said()}"
        assert time.monotonic() < before, f"{awaited} was not shown:\n{self._said()}"
        time.sleep(POLL_SECONDS)


@contextmanager
def reader_of(document: str, folder: Path, **variables: str) -> Iterator["Reader"]:
    """Somebody who follows a document in a folder, with nothing of the repository within reach."""
    reader = Reader(document, folder, outside(folder, **variables))
    try:
        yield reader
    finally:
        reader.close()


class Reader:
    """Follows a document: see `reader_of`."""

    def __init__(self, document: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._blocks = blocks_of(document)
        self._folder = folder
        self._environment = environment
        self.terminal = self._opened("main")
        self._running: list[Terminal] = []

    def follow(self) -> None:
        """Runs all commands in order, as written, and checks that each shows what the document says.

        Raises:
            AssertionError: one has failed, or has not shown it.
        """
        for number, block in enumerate(self._blocks):
            match block.mark:
                case "terminal":
                    terminal = self._opened(f"terminal-{number}")
                    self._running.append(terminal)
                    terminal.begin(block.commands, block.shown)
                case "again":
                    self._repeat(block)
                case "":
                    said = self.terminal.run(block.commands)
                    missing = missing_from(said, block.shown)
                    assert not missing, f"{block.commands}shows no {missing}, but\n{said}"
                case unknown:
                    raise AssertionError(f"a fence is marked {unknown}")

    def interrupt(self) -> list[int]:
        """Presses Ctrl-C in each terminal, the last one first; how each ended."""
        return [terminal.interrupt() for terminal in reversed(self._running)]

    def close(self) -> None:
        """Ends what still runs."""
        for terminal in (*reversed(self._running), self.terminal):
            terminal.close()

    def _repeat(self, block: Block) -> None:
        deadline = time.monotonic() + BLOCK_SECONDS
        while missing := missing_from(said := self.terminal.run(block.commands), block.shown):
            assert time.monotonic() < deadline, f"{block.commands}shows no {missing}, but\n{said}"

    def _opened(self, name: str) -> Terminal:
        logs = self._folder.with_name(f"{self._folder.name}-logs")
        logs.mkdir(exist_ok=True)
        return Terminal(self._folder, logs / f"{name}.log", self._environment)


def outside(folder: Path, **variables: str) -> dict[str, str]:
    """The environment of a person who has uv, and nothing of the repository."""
    tools = folder.with_name(f"{folder.name}-tools")
    tools.mkdir()
    (tools / "uv").symlink_to(UV)
    path = [each for each in os.environ["PATH"].split(os.pathsep) if not each.startswith(str(ROOT))]
    # uv must install into the environment that the reader has made, and nowhere else.
    own = (
        "PYTHONPATH",
        "PYTHONDONTWRITEBYTECODE",
        "PYTEST_",
        "VIRTUAL_ENV",
        "UV_PYTHON",
        "UV_SYSTEM_PYTHON",
        "WAYBILL_",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return (
        index_setting()
        | kept
        | {
            "PATH": os.pathsep.join([str(tools), *path]),
            "NO_COLOR": "1",
            # The tested versions of what others publish.
            "UV_CONSTRAINT": str(ROOT / "requirements" / "dev.txt"),
        }
        | variables
    )
