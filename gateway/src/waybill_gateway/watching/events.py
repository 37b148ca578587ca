"""The events of tasks, as blocks of a stream."""

from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from typing import Final

from waybill_gateway.following import Watch, Watches
from waybill_gateway.http import GatewayMetrics
from waybill_gateway.tasks import view_of
from waybill_gateway.watching.event_stream import HEARTBEAT_SECONDS, RETRY_MILLISECONDS, block
from waybill_gateway.watching.models import ChangeView, LinkView
from waybill_ledger.following import Change

#: Events that are sent at once.
_TOGETHER: Final = 50
_BEGIN: Final = f"retry: {RETRY_MILLISECONDS}\n\n".encode()
#: In the id of the last event of a task that has ended.
END: Final = "-end"
#: The id of the last event of a link, which has no others.
LINK_END: Final = f"0{END}"


async def events_of_task(
    watches: Watches, watch: Watch, task_id: str, after: int, metrics: GatewayMetrics
) -> AsyncGenerator[bytes]:
    """The events of a task, until it has ended.

    Args:
        watches: all watches.
        watch: of the task.
        task_id: which the caller may see.
        after: number of the last event that the caller knows.
        metrics: are counted.
    """
    yield _BEGIN
    while watch.over is None:
        watch.expect()
        # In this order: the events of a task that has ended are all there.
        task = await watches.task(task_id, watch.caller.sees)
        changes = await watches.changes_of(task_id, after)
        for part in _blocks(changes, metrics):
            yield part
        if changes:
            after = changes[-1].seq
        if task is None or (task.state.is_terminal and not _was_reopened(changes)):
            if task is not None:
                yield block(view_of(task).model_dump_json(), id_=f"{after}{END}", event="end")
            return
        while not await watch.wait(HEARTBEAT_SECONDS):
            yield block()
    yield _why(watch)


async def events_of_all(
    watches: Watches, watch: Watch, kinds: Collection[str], after: int | None, metrics: GatewayMetrics
) -> AsyncGenerator[bytes]:
    """The events of all tasks that the caller of a watch may see.

    Args:
        watches: all watches.
        watch: of all tasks.
        kinds: of tasks; none: all kinds.
        after: number of the last event that the caller knows; None: it begins now.
        metrics: are counted.
    """
    place = sent = watches.end_of_all() if after is None else after
    yield _BEGIN + block(id_=str(place))
    while watch.over is None:
        watch.expect()
        changes, until = await watches.changes_of_all(watch.caller.sees, place)
        wanted = [change for change in changes if not kinds or change.kind in kinds]
        for part in _blocks(wanted, metrics):
            yield part
        if wanted:
            sent = wanted[-1].seq
        if until > place:
            place = until
            continue
        while not await watch.wait(HEARTBEAT_SECONDS):
            # The caller need not read again what is not for it.
            yield block() if place == sent else block(id_=str(place))
            sent = place
    yield _why(watch)


async def events_of_link(watches: Watches, watch: Watch, task_id: str) -> AsyncGenerator[bytes]:
    """What a link shows of its task, at each change, until it has ended.

    Args:
        watches: all watches.
        watch: of the task.
        task_id: of the task.
    """
    yield _BEGIN
    shown = None
    while watch.over is None:
        watch.expect()
        task = await watches.task(task_id, watch.caller.sees)
        if task is None:
            return
        view = LinkView.of(task)
        if task.state.is_terminal:
            yield block(view.model_dump_json(), id_=LINK_END, event="end")
            return
        if view != shown:
            yield block(view.model_dump_json())
            shown = view
        while not await watch.wait(HEARTBEAT_SECONDS):
            yield block()
    yield _why(watch)


def _was_reopened(changes: Sequence[Change]) -> bool:
    """Whether a redrive has begun after the state of the task was read."""
    return bool(changes) and not changes[-1].task_state.is_terminal


def _blocks(changes: Sequence[Change], metrics: GatewayMetrics) -> Iterator[bytes]:
    for several in _several(changes):
        yield b"".join(
            block(ChangeView.of(change).model_dump_json(), id_=str(change.seq)) for change in several
        )
        metrics.streamed(len(several))


def _several(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    for begin in range(0, len(changes), _TOGETHER):
        yield changes[begin : begin + _TOGETHER]


def _why(watch: Watch) -> bytes:
    return f": {watch.over}\n\n".encode()
