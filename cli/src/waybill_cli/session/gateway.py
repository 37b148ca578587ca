"""HTTP client of the gateway: JSON in and out, errors as exit codes."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

import httpx

from waybill_cli.command_line import CommandError, Refused, Unreachable
from waybill_cli.session.config import Setting, place

#: To connect, and to wait for the next byte of an answer; enough for the largest plan.
CONNECT_SECONDS, ANSWER_SECONDS = 10, 120
#: Limit of the API.
MAX_PAGE_SIZE: Final = 500
_PROBLEM_TYPE: Final = "urn:waybill:problem:"


class Gateway:
    """A client of `/v1`.

    Every call raises `Unreachable` if the gateway is away or broken, `Refused` if it refuses the call.

    Args:
        url: of the gateway.
        api_key: sent as a bearer token; None: none is sent.
        actor: for the audit trail.
    """

    def __init__(self, url: Setting, *, api_key: str | None, actor: str) -> None:
        self._place = f"{place(url.value)} (from {url.source})"
        headers = {"Accept": "application/json", "X-Actor": actor}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        self._http = httpx.Client(
            base_url=url.value,
            headers=headers,
            verify=url.tls or True,
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        )

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        """Returns the resource at `path`; parameters that are None are left out."""
        with self._errors(is_safe=True):
            return self._document(self._http.get(path, params=_present(params)))

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, key: str | None = None) -> Any:
        """Posts `body` and returns the answer; with a key, a repeat gets the first answer."""
        headers = {} if key is None else {"Idempotency-Key": key}
        with self._errors(is_safe=key is not None):
            return self._document(self._http.post(path, json=body, headers=headers))

    def download(self, path: str, to: BinaryIO, **params: Any) -> None:
        """Writes the file at `path` to an open file."""
        with self._errors(is_safe=True), self._http.stream("GET", path, params=_present(params)) as answer:
            if answer.is_error:
                answer.read()
                raise self._error(answer)
            to.writelines(answer.iter_bytes())

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Changes the resource at `path` and returns it."""
        with self._errors(is_safe=False):
            return self._document(self._http.patch(path, json=body))

    def put(self, path: str, body: Mapping[str, Any], **params: Any) -> Any:
        """Puts `body` as the resource at `path` and returns the answer."""
        with self._errors(is_safe=False):
            return self._document(self._http.put(path, json=body, params=_present(params)))

    def delete(self, path: str) -> Any:
        """Deletes the resource at `path`; returns the answer, None if it is empty."""
        with self._errors(is_safe=False):
            answer = self._http.delete(path)
            return self._document(answer) if answer.content or answer.is_error else None

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
        with self._errors(is_safe=True), self._http.stream("GET", path, params=_present(params)) as answer:
            if answer.is_error:
                answer.read()
                self._document(answer)
            for line in answer.iter_lines():
                if line:
                    yield self._parsed(line)

    @contextmanager
    def _errors(self, *, is_safe: bool) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise Unreachable(f"the gateway {self._place} cannot be reached: {error}") from error
        except (httpx.TransportError, httpx.InvalidURL, httpx.TooManyRedirects) as error:
            what = str(error) or type(error).__name__
            hints = () if is_safe else ("The call may have taken effect: check before you repeat it.",)
            raise Unreachable(f"the gateway {self._place} did not answer: {what}", *hints) from error

    def _document(self, answer: httpx.Response) -> Any:
        if answer.is_success:
            return self._parsed(answer.text)
        raise self._error(answer)

    def _parsed(self, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError:
            raise Unreachable(f"the server at {self._place} is not Waybill's gateway") from None

    def _error(self, answer: httpx.Response) -> CommandError:
        try:
            problem = answer.json()
            detail = str(problem["detail"])
        except (ValueError, KeyError, TypeError):
            return Unreachable(f"the server at {self._place} answered {answer.status_code} without a reason")
        hints = [f"{each['field']}: {each['message']}" for each in problem.get("errors") or ()]
        if answer.is_server_error:
            return Unreachable(f"the gateway cannot answer now ({answer.status_code}): {detail}", *hints)
        if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            hints.append(
                "The key comes from --api-key, WAYBILL_API_KEY or `api_key` in the configuration file."
            )
        code = str(problem.get("type", "")).removeprefix(_PROBLEM_TYPE)
        return Refused(answer.status_code, code, detail, *hints)


def _present(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in params.items()
        if value is not None
    }
