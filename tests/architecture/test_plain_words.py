"""Public docstrings, messages and documents do without the private words that Waybill once used."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest

from waybill_cli.main import root as waybill_command

ROOT = Path(__file__).resolve().parents[2]

#: Each with the word to write instead; matched without regard to case, and across the ends of lines.
BANNED: Final = {
    r"\bsurely\b": "retry until success",
    r"\bwhile_held\b": "retry while delivered",
    r"\bstubborn\w*": "stuck",
    r"\bmishaps?\b": "transient error",
    r"\bwhereabouts\b": "failure location",
    r"\bdoorkeepers?\b": "authenticator",
    r"\bfootprints?\b": "memory",
    r"\bh[au]ng(?:s|ing)?[ _-]up\b": "disconnect",
    r"\bdeeds?\b": "audit entry",
    r"\bput(?:s|ting)?[ _-]away\b": "archive",
    r"\bsigns? of life\b": "heartbeat",
    r"\bcall(?:s|ed|ing)?(?:[ _]\w+){0,3}[ _-]off\b": "cancel",
    r"\birrevocabl\w*": "say what cannot be undone",
    r"\bgently\b": "throttled",
    r"\bforg[eo]t(?:s|ten|ting)?\b": "delete, prune or erase",
    r"\btell(?:s|ing)?\b|\btold\b": "report, emit, log, say or return",
    r"\bwhoever\b": "name who it is",
    r"\bnobody's\b": "say what owns it",
    r"\bas above\b": "name it again",
    r"\bthe same[,.;]": "name what is the same",
}
PATTERN: Final = re.compile("|".join(f"(?:{pattern})" for pattern in BANNED), re.IGNORECASE)

#: File and banned word that stays there, and why.
EXCEPTIONS: Final = {
    ("docs/services-api.md", "irrevocably"): "a method of `Attempt`",
    ("worker/README.md", "irrevocably"): "a method of `Attempt`",
    ("worker/src/waybill_worker/attempt/attempt.py", "irrevocably"): "a method of `Attempt`",
    ("sdk/src/waybill/attempt/attempt.py", "irrevocably"): "a method of `Attempt`",
}

DOCUMENTS: Final = ("README.md", "CONTRIBUTING.md", "bench", "docs", "examples")
MEMBERS: Final = sorted(
    path.parent.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]
)


@pytest.mark.parametrize("folder", [*MEMBERS, *DOCUMENTS])
def test_words_are_plain(folder: str) -> None:
    found = [finding for path in texts_of(folder) for finding in findings(path)]
    assert found == [], instead(found)


def test_help_of_the_command_is_plain() -> None:
    # A word with an underscore is a value of the API, which the command passes on.
    found = [
        (name, word)
        for name, text in help_texts(waybill_command, "waybill")
        for word in banned(text)
        if "_" not in word
    ]
    assert found == []


def test_an_exception_is_needed_and_has_its_reason() -> None:
    for (name, word), reason in EXCEPTIONS.items():
        assert reason
        assert word in {word for _, word in all_findings(ROOT / name)}, f"{name} says no {word!r} any more"


@pytest.mark.parametrize(
    "text",
    [
        "Whoever asks.",
        "calls a\ntask off",
        "put_away",
        "It is told again",
        "the same; as above",
        "hung up",
        "Forgets it",
    ],
)
def test_what_is_banned_is_found(text: str) -> None:
    assert banned(text)


@pytest.mark.parametrize("text", ["the same task", "indeed", "a call of the handler", "storytelling"])
def test_what_is_allowed_is_not_found(text: str) -> None:
    assert not banned(text)


def banned(text: str) -> list[str]:
    return [match.group().lower() for match in PATTERN.finditer(" ".join(text.split()))]


def instead(found: list[tuple[str, str]]) -> str:
    """What a developer reads who used a banned word: each place, and what to write there."""
    advice = {
        word: next(better for pattern, better in BANNED.items() if re.search(pattern, word, re.IGNORECASE))
        for _, word in found
    }
    return "\n".join(f"{place}: {word!r}; better: {advice[word]}" for place, word in found)


def texts_of(folder: str) -> list[Path]:
    """The Python sources of a member and its documents, as far as they are in the repository."""
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (Path(line) for line in tracked.stdout.splitlines())
    return [
        ROOT / path
        for path in paths
        if path.suffix == ".md" or (path.suffix == ".py" and "src" in path.parts)
        if (ROOT / path).exists()
    ]


def findings(path: Path) -> list[tuple[str, str]]:
    name = path.relative_to(ROOT).as_posix()
    return [(place, word) for place, word in all_findings(path) if (name, word) not in EXCEPTIONS]


def all_findings(path: Path) -> list[tuple[str, str]]:
    name = path.relative_to(ROOT).as_posix()
    if path.suffix == ".md":
        text = path.read_text()
        return [
            (f"{name}:{text.count(chr(10), 0, match.start()) + 1}", " ".join(match.group().lower().split()))
            for match in re.finditer(PATTERN.pattern.replace(" ", r"\s"), text, re.IGNORECASE)
        ]
    return [
        (f"{name}:{line}", word)
        for line, text in python_texts(ast.parse(path.read_text()))
        for word in banned(text)
    ]


def python_texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Public docstrings, and all other strings of more than one word: messages, help, texts of the API."""
    private = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("_") and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if id(node) not in private and len(node.value.split()) > 1:
            yield node.lineno, node.value


def help_texts(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    with click.Context(command, info_name=name) as context:
        yield name, command.get_help(context)
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                assert found is not None
                yield from help_texts(found, f"{name} {child}")
