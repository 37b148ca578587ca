import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from sqlalchemy import Engine, func, select

from waybill_contracts.wire.lifecycle import ErrorInfo, LifecycleType
from waybill_ledger import AlertPolicy, Digest, Failure, count_failures, digest_due, end_window
from waybill_ledger.progress.alerts import MOST_DOUBLINGS, MOST_GROUPS
from waybill_ledger.schema.tables import ALERT_GROUPS
from waybill_testkit.samples import NOON, reported

MINUTE, DAY, JUST = timedelta(minutes=1), timedelta(days=1), timedelta(microseconds=1)
POLICY = AlertPolicy(window=15 * MINUTE, most_at_once=5, quiet=DAY)


def failure(words: str, task_id: str = "t1") -> Failure:
    data = reported(LifecycleType.DEAD, task_id).data
    data = data.model_copy(update={"error": ErrorInfo(type="PermanentError", message=words)})
    return Failure(task_id, "email.requested", "ann@example.test", "order-7", data, NOON)


def counted(engine: Engine, *words: str, now: datetime = NOON) -> list[str]:
    failures = [failure(each, f"t{number}") for number, each in enumerate(words)]
    with engine.begin() as connection:
        at_once = count_failures(connection, failures, POLICY, now)
    return [f"{each.task_id} {each.data.error.message}" for each in at_once if each.data.error]


def ended(engine: Engine, now: datetime) -> Digest | None:
    with engine.begin() as connection:
        return end_window(connection, POLICY, now)


def due(engine: Engine) -> datetime | None:
    with engine.begin() as connection:
        return digest_due(connection)


def digest_of(engine: Engine, now: datetime) -> Digest:
    digest = ended(engine, now)
    assert digest is not None
    return digest


def test_a_new_kind_is_told_at_once_and_its_repeats_in_the_digest(engine: Engine) -> None:
    assert counted(engine, "order 1 refused", "order 2 refused", "no such user") == [
        "t0 order 1 refused",
        "t2 no such user",
    ]
    assert counted(engine, "order 3 refused", now=NOON + MINUTE) == []
    assert due(engine) == NOON + POLICY.window
    assert ended(engine, NOON + POLICY.window - JUST) is None
    digest = digest_of(engine, NOON + POLICY.window)

    assert (digest.failures, digest.kinds) == (2, 1)
    assert (digest.since, digest.until) == (NOON, NOON + POLICY.window)
    (group,) = digest.groups
    assert (group.count, group.error_message, group.is_new) == (2, "order 3 refused", False)
    assert (group.service, group.kind, group.error_type) == ("email", "email.requested", "PermanentError")
    assert group.last_at == NOON + MINUTE


def test_one_failure_alone_makes_no_digest(engine: Engine) -> None:
    counted(engine, "refused")

    assert ended(engine, NOON + POLICY.window) is None
    assert due(engine) is None
    assert ended(engine, NOON + DAY) is None


def test_nothing_opens_no_window(engine: Engine) -> None:
    assert counted(engine) == []
    assert due(engine) is None


def test_a_storm_of_new_kinds_makes_a_few_mails_and_one_digest(engine: Engine) -> None:
    words = [f"word{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(26 * 26)]

    assert len(counted(engine, *words[:300])) == POLICY.most_at_once
    assert counted(engine, *words[300:], now=NOON + MINUTE) == []
    digest = digest_of(engine, NOON + POLICY.window)
    assert (digest.failures, digest.kinds) == (len(words) - 5, len(words) - 5)
    assert len(digest.groups) == MOST_GROUPS
    assert all(group.is_new for group in digest.groups)
    # The next window tells new kinds again, and those it has told no more.
    assert len(counted(engine, "another", words[0], words[-1], now=NOON + POLICY.window)) == 1


def test_the_largest_groups_come_first(engine: Engine) -> None:
    counted(engine, "a", "b", "b", "c", "c", "c", "c")
    digest = digest_of(engine, NOON + POLICY.window)

    assert [(group.error_message, group.count) for group in digest.groups] == [("c", 3), ("b", 1)]


def test_windows_grow_while_failures_go_on_and_begin_anew_afterwards(engine: Engine) -> None:
    now, lengths = NOON, []
    counted(engine, "refused", now=now)
    for _ in range(MOST_DOUBLINGS + 3):
        counted(engine, "refused", now=now)
        end = due(engine)
        assert end is not None
        lengths.append((end - now) / POLICY.window)
        now = end
        digest_of(engine, now)
    assert lengths == [1, 2, 4, 8, 16, 16, 16]

    last = due(engine)
    assert last is not None
    assert ended(engine, last) is None
    counted(engine, "refused", now=last)
    assert due(engine) == last + POLICY.window


def test_a_kind_that_was_quiet_for_long_is_new_again(engine: Engine) -> None:
    counted(engine, "refused")
    ended(engine, NOON + POLICY.window)

    assert counted(engine, "refused", now=NOON + DAY) == []
    digest_of(engine, NOON + DAY + POLICY.window)
    assert counted(engine, "refused", now=NOON + 2 * DAY + JUST) == ["t0 refused"]


def test_what_is_not_told_yet_is_not_forgotten(engine: Engine) -> None:
    counted(engine, "refused", "refused")
    counted(engine, "another", now=NOON + 3 * DAY)

    assert digest_of(engine, NOON + 3 * DAY).failures == 1


def test_kinds_of_long_ago_are_not_kept(engine: Engine) -> None:
    counted(engine, "a", "b", "c")
    counted(engine, "d", now=NOON + 2 * DAY)
    with engine.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(ALERT_GROUPS)) == 1


def test_any_words_can_be_kept(engine: Engine) -> None:
    words = "\x00 é \u2028" + "x" * 1000
    assert len(counted(engine, words, words)) == 1

    assert digest_of(engine, NOON + POLICY.window).groups[0].error_message.startswith("\x00 é")


def test_two_services_at_once_tell_each_kind_once_and_send_one_digest(engine: Engine) -> None:
    """Nor do they lose a count."""
    together = threading.Barrier(3)

    def work(_: int) -> int:
        together.wait()
        return sum(len(counted(engine, "one", "two", "three", "one")) for _ in range(20))

    def end(_: int) -> Digest | None:
        together.wait()
        return ended(engine, NOON + POLICY.window)

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(work, range(3))) == 3
        digests = [digest for digest in pool.map(end, range(3)) if digest is not None]

    assert [digest.failures for digest in digests] == [3 * 20 * 4 - 3]
