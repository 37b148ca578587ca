import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from sqlalchemy import Engine, func, select

from waybill_database import Records
from waybill_ledger import Accepted, AcceptedBefore, KeyReusedError, Submission, accept
from waybill_ledger.acceptance.accept import Acceptance
from waybill_ledger.schema.tables import TASKS
from waybill_testkit.samples import email_event, keyed, new_task, sync_event


def accepted(engine: Engine, *submissions: Submission) -> list[Acceptance]:
    with engine.begin() as connection:
        return list(accept(connection, submissions))


def tasks(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(TASKS)) or 0


def test_a_key_twice_in_one_batch_makes_one_task(engine: Engine) -> None:
    first, second = new_task(), new_task()
    answers = accepted(engine, Submission(first, keyed("k")), Submission(second, keyed("k")))

    assert isinstance(answers[0], Accepted)
    assert answers[1] == AcceptedBefore(first.id, "email.requested", None)
    assert tasks(engine) == 1


def test_a_key_again_later_is_answered_as_the_first_time(engine: Engine) -> None:
    first = new_task(sync_event())
    accepted(engine, Submission(first, keyed("k")))
    (answer,) = accepted(engine, Submission(new_task(sync_event()), keyed("k")))

    assert answer == AcceptedBefore(first.id, "sync.requested", None)
    assert tasks(engine) == 1


def test_a_key_with_other_content_is_refused_and_harms_no_neighbour(engine: Engine) -> None:
    accepted(engine, Submission(new_task(), keyed("k")))
    answers = accepted(
        engine,
        Submission(new_task(), keyed("a")),
        Submission(new_task(email_event("bob@example.test")), keyed("k", "other")),
        Submission(new_task()),
    )

    assert [type(answer) for answer in answers] == [Accepted, KeyReusedError, Accepted]
    assert tasks(engine) == 3


def test_two_contents_with_one_key_in_one_batch(engine: Engine) -> None:
    answers = accepted(
        engine, Submission(new_task(), keyed("k", "one")), Submission(new_task(), keyed("k", "two"))
    )

    assert [type(answer) for answer in answers] == [Accepted, KeyReusedError]
    assert tasks(engine) == 1


def test_a_key_belongs_to_its_call(engine: Engine) -> None:
    answers = accepted(
        engine,
        Submission(new_task(), keyed("k", scope="POST /v1/emails")),
        Submission(new_task(sync_event()), keyed("k", scope="POST /v1/syncs")),
    )

    assert [type(answer) for answer in answers] == [Accepted, Accepted]


def test_keys_are_told_apart_by_case_and_length(engine: Engine) -> None:
    keys = ["k", "K", "k ", "ü", "x" * 255]
    answers = accepted(engine, *(Submission(new_task(), keyed(key)) for key in keys))

    assert {type(answer) for answer in answers} == {Accepted}


def test_a_full_batch_of_repeats(engine: Engine) -> None:
    keys = [keyed(f"k{n}") for n in range(500)]
    accepted(engine, *(Submission(new_task(), key) for key in keys))
    answers = accepted(engine, *(Submission(new_task(), key) for key in reversed(keys)))

    assert {type(answer) for answer in answers} == {AcceptedBefore}
    assert tasks(engine) == 500


def test_processes_that_use_the_same_keys_at_once(engine: Engine, ledger_url: str) -> None:
    names = [f"k{n}" for n in range(40)]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        # One from the front, one from the back: they meet, and each must get all of the other's answers.
        forth, back = pool.map(submit_all, [ledger_url] * 2, [names, names[::-1]])

    assert forth == back
    assert tasks(engine) == len(names)


def submit_all(url: str, names: list[str]) -> dict[str, str]:
    """Runs in a process of its own: the task that each key led to."""

    async def submit(records: Records, name: str) -> tuple[str, str]:
        task = new_task()
        answer = await records.write(accept, Submission(task, keyed(name)))
        return name, answer.task_id if isinstance(answer, AcceptedBefore) else task.id

    async def run() -> dict[str, str]:
        records = Records(url)
        answers = await asyncio.gather(*(submit(records, name) for name in names))
        await records.close()
        return dict(answers)

    return asyncio.run(run())
