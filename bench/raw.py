"""One round of the raw pipeline: what aio-pika and the broker can do, with no HTTP and no record."""

import time

from bench.figures import ACCEPTED, DRAIN, END_TO_END, Durations, Round, per_second
from bench.kit.place import Place
from bench.kit.programs import Program, ProgramError, Running, python, start, stop
from bench.measure import NANOSECONDS, POLL_SECONDS, InvalidError
from bench.systems.queues import consumed

NAME = "raw aio-pika"
RECORDS = "nothing"
SETUP = "quorum, confirms; 1 publisher, 1 consumer, 100 in flight each; no HTTP"
#: As `apps.raw_pipeline` names it.
QUEUE = "raw"
MODULE = "bench.apps.raw_pipeline"


def measure_raw(place: Place, durations: Durations) -> Round:
    """Publishes alone, then consumes what waits, then both at once."""
    messages, patience = durations.raw_messages, durations.patience
    result = Round(NAME, posted=2 * messages)
    consumer: list[Running] = []
    try:
        result.values[ACCEPTED.key] = per_second(messages, _publish(place, 0, messages))
        consumer = start([_consumer(place)], place.folder)
        begun = sorted(_until_run(place, 0, messages, patience))
        result.values[DRAIN.key] = per_second(messages, (begun[-1] - begun[0]) / NANOSECONDS)
        _publish(place, messages, messages)
        last = max(_until_run(place, messages, messages, patience))
        first = place.stamps.sent(2 * messages)[messages]
        result.values[END_TO_END.key] = per_second(messages, (last - first) / NANOSECONDS)
    except (ProgramError, InvalidError) as error:
        result.faults.append(str(error))
    finally:
        stop(consumer)
    result.run_twice = sum(times > 1 for times in place.stamps.runs(2 * messages))
    return result


def _publish(place: Place, first: int, messages: int) -> float:
    argv = python(MODULE, "publish", str(first), str(messages))
    (publisher,) = start([Program("publisher", argv, place.environment, lambda: True)], place.folder)
    if publisher.process.wait():
        publisher.require_alive()
    return float(publisher.log.read_text())


def _consumer(place: Place) -> Program:
    return Program("worker", python(MODULE, "consume"), place.environment, consumed(place.amqp_url, QUEUE))


def _until_run(place: Place, first: int, messages: int, patience: float) -> list[int]:
    """When each was begun, once all were."""
    begun: list[int] = []
    progress = time.monotonic()
    while len(begun) < messages:
        if time.monotonic() - progress > patience:
            raise InvalidError(f"{messages - len(begun)} of {messages} messages were not run")
        time.sleep(POLL_SECONDS)
        now = [at for at in place.stamps.begun(first + messages)[first:] if at]
        if len(now) > len(begun):
            begun, progress = now, time.monotonic()
    return begun
