"""The supervisor's terminal: one column of names, each in its colour, and a raw log file for each process."""

import asyncio
from pathlib import Path
from typing import BinaryIO

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style

from waybill_devstack.processes.log_lines import render

#: Readable on dark and light backgrounds; red and yellow are left to the levels.
NAME_COLOURS = (
    "cyan",
    "green",
    "magenta",
    "blue",
    "bright_cyan",
    "bright_green",
    "bright_magenta",
    "bright_blue",
)
#: Levels without an entry are not coloured.
LEVEL_STYLES = {"warning": "yellow", "error": "bold red", "critical": "bold red", "debug": "dim"}
#: Bytes read at once from a child.
CHUNK_BYTES = 64 * 1024
#: A longer line goes on in the log file only, so that a child cannot fill our memory.
MAX_LINE_BYTES = 64 * 1024


class Terminal:
    """Prints lines; colours only where `console` is a terminal and NO_COLOR is unset (rich decides both).

    rich is asked once a style and not once a line: its own printing costs a hundred times more.
    """

    def __init__(self, console: Console) -> None:
        self._file = console.file
        coloured = console.color_system is not None and not console.no_color
        self._system = ColorSystem.STANDARD if coloured else None  # every terminal's sixteen colours
        self._styles = {level: Style.parse(style) for level, style in LEVEL_STYLES.items()}
        self._colours: dict[str, Style] = {}
        self._width = 0

    def reserve(self, name: str) -> None:
        """Give a process its colour, and its name room in the column."""
        colour = NAME_COLOURS[len(self._colours) % len(NAME_COLOURS)]
        self._colours.setdefault(name, Style.parse(colour))
        self._width = max(self._width, len(name))

    def show(self, name: str, line: str) -> None:
        """Print a line of the process `name`."""
        colour = self._colours.get(name)

        def paint(word: str, text: str) -> str:
            style = colour if word == "name" else self._styles.get(word)
            return style.render(text, color_system=self._system) if style else text

        self._file.write(render(line, name.ljust(self._width), paint) + "\n")
        self._file.flush()


async def copy_output(reader: asyncio.StreamReader, name: str, terminal: Terminal, log: Path) -> None:
    """Copy a child's output until it ends: raw to the end of the file `log`, line by line to the terminal."""
    with log.open("ab", buffering=0) as file:
        rest = b""
        skipping = False
        while chunk := await reader.read(CHUNK_BYTES):
            _write_all(file, chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if not skipping:
                    terminal.show(name, line.decode(errors="replace").rstrip("\r"))
                skipping = False
            if len(rest) > MAX_LINE_BYTES:
                if not skipping:
                    terminal.show(name, rest.decode(errors="replace"))
                rest, skipping = b"", True
        if rest and not skipping:
            terminal.show(name, rest.decode(errors="replace"))


def _write_all(file: BinaryIO, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]
