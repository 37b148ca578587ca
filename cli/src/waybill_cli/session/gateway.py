"""The client of the gateway, with errors as exit codes."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from uuid import UUID

from waybill.problems import ProblemError, UnexpectedAnswerError, UnreachableError
from waybill_cli.command_line import CommandError, Refused, Unreachable
from waybill_cli.session.config import Setting, place

if TYPE_CHECKING:
    from waybill.client import TaskEvent

#: Enough for the largest plan.
ANSWER_SECONDS: Final = 120.0
#: Limit of the API.
MAX_PAGE_SIZE: Final = 500
_UNAUTHORIZED: Final = (401, 403)
_SERVER_ERROR: Final = 500
_ERROR: Final = 400


class Gateway:
    """A client of `/v1`.

    Every call raises `Unreachable` if the gateway is away or broken, `Refused` if it refuses the call. None
    but a stream of events is repeated: who types a command sees at once what is wrong.

    Args:
        url: of the gateway.
        api_key: sent as a bearer token; None: none is sent.
        actor: for the audit trail.
    """

    def __init__(self, url: Setting, *, api_key: str | None, actor: str) -> None:
        # Its models are slow to load; help, and commands without a gateway, do without.
        from waybill.client import AsyncClient, Client  # noqa: PLC0415

        self._place = f"{place(url.value)} (from {url.source})"
        options: dict[str, Any] = {
            "api_key": api_key,
            "timeout": ANSWER_SECONDS,
            "ca_file": url.tls,
            "headers": {"X-Actor": actor},
        }
        self._client = Client(url.value, deadline=0, **options)
        self._for_asyncio = partial(AsyncClient, url.value, **options)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def get(self, path: str, **params: Any) -> Any:
        """Returns the resource at `path`; parameters that are None are left out."""
        with self._errors(is_safe=True):
            return self._client.call("GET", path, params=params)

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, key: str | None = None) -> Any:
        """Posts `body` and returns the answer; with a key, a repeat gets the first answer."""
        with self._errors(is_safe=key is not None):
            return self._client.call("POST", path, body, key=key)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Changes the resource at `path` and returns it."""
        with self._errors(is_safe=False):
            return self._client.call("PATCH", path, body)

    def put(self, path: str, body: Mapping[str, Any], **params: Any) -> Any:
        """Puts `body` as the resource at `path` and returns the answer."""
        with self._errors(is_safe=False):
            return self._client.call("PUT", path, body, params=params)

    def delete(self, path: str) -> Any:
        """Deletes the resource at `path`; returns the answer, None if it is empty."""
        with self._errors(is_safe=False):
            return self._client.call("DELETE", path)

    def download(self, task_id: str, name: str, to: BinaryIO | Path, service: str | None) -> None:
        """Writes a file of a task to an open file or to a path."""
        with self._errors(is_safe=True):
            self._client.download(UUID(task_id), name, to, service=service)

    def items(self, path: str, *, most: int | None, **params: Any) -> Iterator[dict[str, Any]]:
        """Yields the items of a listing, fetched page by page.

        Args:
            path: of the listing.
            most: number of items at most; None: all.
            params: filters.
        """
        left = most
        cursor: str | None = None
        while left is None or left > 0:
            limit = MAX_PAGE_SIZE if left is None else min(left, MAX_PAGE_SIZE)
            page = self.get(path, **params, limit=limit, cursor=cursor)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return
            left = None if left is None else left - len(page["items"])

    def lines(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Yields the documents of a stream of JSON lines."""
        with self._errors(is_safe=True):
            yield from self._client.lines(path, params=params)

    async def events(self, task_id: str, *, outage: float) -> "AsyncIterator[TaskEvent]":
        """Yields what happens to a task, as it happens, until it has ended.

        Args:
            task_id: of the task.
            outage: seconds for which the gateway may be away meanwhile.
        """
        with self._errors(is_safe=True):
            async with self._for_asyncio(deadline=outage) as client:
                async for event in client.events(UUID(task_id)):
                    yield event

    @contextmanager
    def _errors(self, *, is_safe: bool) -> Iterator[None]:
        try:
            yield
        except ProblemError as problem:
            raise self._refused(problem) from problem
        except UnreachableError as error:
            what = str(error.__cause__ or error) or type(error.__cause__).__name__
            if not error.may_have_taken_effect:
                raise Unreachable(f"the gateway {self._place} cannot be reached: {what}") from error
            hints = () if is_safe else ("The call may have taken effect: check before you repeat it.",)
            raise Unreachable(f"the gateway {self._place} did not answer: {what}", *hints) from error
        except UnexpectedAnswerError as error:
            raise Unreachable(self._unexpected(error.status)) from error

    def _unexpected(self, status: int) -> str:
        if status < _ERROR:
            return f"the server at {self._place} is not Waybill's gateway"
        return f"the server at {self._place} answered {status} without a reason"

    def _refused(self, problem: ProblemError) -> CommandError:
        hints = [f"{each.field}: {each.message}" for each in problem.errors]
        if problem.status >= _SERVER_ERROR:
            return Unreachable(f"the gateway cannot answer now ({problem.status}): {problem.detail}", *hints)
        if problem.status in _UNAUTHORIZED:
            hints.append(
                "The key comes from --api-key, WAYBILL_API_KEY or `api_key` in the configuration file."
            )
        return Refused(problem.status, problem.code, problem.detail, *hints)
