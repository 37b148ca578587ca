"""The files of an attempt: what its task refers to, and what it writes into its result."""

import asyncio
import hashlib
import pickle
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from test_attempts_cut_off import CutOff

from waybill_contracts.files import FileRef, files_in, results_of
from waybill_contracts.privacy.mask import Mask
from waybill_contracts.wire.lifecycle import LIFECYCLE_BATCH
from waybill_database import Records
from waybill_testkit.bucket import Bucket
from waybill_testkit.samples import email_event, envelope_of
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.sync_attempt import Portal, SyncAttempt
from waybill_worker.errors import PermanentError
from waybill_worker.files import AttemptFiles, NoObjectStoreError
from waybill_worker.inbox.claims import Claimed
from waybill_worker.object_store.store import ObjectStore
from waybill_worker.outcome import OUTCOME, Cancelled, Completed, Outcome, RetryLater, Snoozed
from waybill_worker.publish.lifecycle_events import outcome_event

TASK = "01a20797-6d09-71fe-b759-803ec3a459ee"
UPLOADED = b"what the caller has uploaded"
LARGE = bytes(range(256)) * 30_000


@pytest.fixture(params=["file", "s3", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "s3":
        bucket: Bucket = request.getfixturevalue("bucket")
        return bucket.store()
    return ObjectStore.from_url("memory:///" if request.param == "memory" else f"file://{tmp_path}/objects")


async def reference(store: ObjectStore, content: bytes = UPLOADED) -> FileRef:
    return FileRef(key=await store.put(content, prefix="files/default"))


async def test_a_file_is_read_whole_or_copied_to_a_path_for_a_while(store: ObjectStore) -> None:
    files = AttemptFiles(store, TASK)
    ref, large = await reference(store), await reference(store, LARGE)

    assert await files.read(ref) == await files.read(ref.key) == UPLOADED
    async with files.open(large) as path:
        assert path.read_bytes() == LARGE
    assert not path.parent.exists()
    assert files.in_result({"done": True}) == {"done": True}
    assert not files.has_begun


async def test_a_file_that_is_gone_too_large_or_no_upload_fails_for_good(store: ObjectStore) -> None:
    files = AttemptFiles(store, TASK)
    ref = await reference(store)
    written = await files.write("a.txt", b"a result, which is no file of the event")
    with pytest.raises(PermanentError, match="larger than it may be"):
        await files.read(ref, max_bytes=3)
    await store.delete(ref.key)
    with pytest.raises(PermanentError, match="no longer in the object store"):
        await files.read(ref)
    with pytest.raises(PermanentError, match="no longer in the object store"):
        async with files.open(ref):
            raise AssertionError("it is not there")
    for key in ("../../etc/passwd", "files/../x", "", written.key):
        with pytest.raises(PermanentError, match="no valid key"):
            await files.read(key)


async def test_what_is_written_is_named_by_the_result_and_equal_content_is_stored_once(
    store: ObjectStore, tmp_path: Path
) -> None:
    path = tmp_path / "large"
    path.write_bytes(LARGE)
    results = []
    for _ in range(2):
        files = AttemptFiles(store, TASK)
        await files.write("invoice.pdf", b"replaced below", content_type="application/pdf")
        await files.write("invoice.pdf", b"an invoice", content_type="application/pdf")
        await files.write("data.bin", path)
        results.append(files.in_result({"pages": 3}))

    assert results[0] == results[1]
    assert results[0]["pages"] == 3
    found = files_in(results[0], results_of(TASK))
    assert {name: file.size_bytes for name, file in found.items()} == {
        "invoice.pdf": 10,
        "data.bin": len(LARGE),
    }
    assert await store.get(found["invoice.pdf"].key) == b"an invoice"
    assert await store.get(found["data.bin"].key) == LARGE
    assert found["data.bin"].sha256 == hashlib.sha256(LARGE).hexdigest()
    assert found["invoice.pdf"].content_type == "application/pdf"


async def test_names_types_and_numbers_of_files_are_limited() -> None:
    secret = email_event().to
    files = AttemptFiles(ObjectStore.from_url("memory:///"), TASK, Mask([secret, "s3cret-value"]))
    for name in ("", ".hidden", "a/b", "../a", "a b", "é", 129 * "a", 'a"b', "a\n"):
        with pytest.raises(ValueError, match="pattern"):
            await files.write(name, b"")
    with pytest.raises(ValueError, match="pattern"):
        await files.write("a", b"", content_type="text/html\r\nSet-Cookie: a=b")
    with pytest.raises(ValueError, match="sensitive"):
        await files.write("s3cret-value.pdf", b"")
    assert not files.has_begun
    for number in range(100):
        await files.write(f"{number}.txt", b"")
    await files.write("7.txt", b"again")
    with pytest.raises(ValueError, match="at most 100"):
        await files.write("100.txt", b"")


async def test_a_service_without_an_object_store_says_so_and_loses_no_task() -> None:
    attempt: Attempt = pickle.loads(pickle.dumps(Attempt("t", "s", "k", "c", 1, 3, 0, None)))
    with pytest.raises(NoObjectStoreError, match="WAYBILL_OBJECT_STORE_URL"):
        await attempt.files.write("a.txt", b"")
    with pytest.raises(NoObjectStoreError):
        await attempt.files.read("files/default/aa/a")


@pytest.fixture
async def cut_off(tmp_path: Path) -> AsyncIterator[CutOff]:
    records = Records(f"sqlite:///{tmp_path}/inbox.db")
    yield CutOff(records, ObjectStore.from_url(f"file://{tmp_path}/objects"))
    await records.close()


async def writes(attempt: Attempt) -> dict[str, object]:
    await attempt.files.write("a.txt", f"by attempt {attempt.attempt}".encode())
    return {"done": True}


def reported_files(outcome: Outcome) -> bool | None:
    """The outcome in the report to the ledger, after it was stored in the inbox and read again."""
    event = outcome_event(
        "email", envelope_of(email_event(), "t1"), OUTCOME.validate_json(outcome.model_dump_json())
    )
    [again] = LIFECYCLE_BATCH.validate_json(LIFECYCLE_BATCH.dump_json([event], exclude_none=True))
    return again.data.has_files


async def test_each_outcome_says_whether_files_may_have_been_stored(cut_off: CutOff) -> None:
    async def fails(attempt: Attempt) -> dict[str, object]:
        await writes(attempt)
        raise RuntimeError("after it has written")

    async def snoozes(attempt: Attempt) -> dict[str, object]:
        del attempt
        raise NoObjectStoreError

    async def stopped(attempt: Attempt) -> dict[str, object]:
        await writes(attempt)
        cut_off.attempts.running.stop("t4")
        await asyncio.Event().wait()
        raise AssertionError("it was stopped")

    first = Claimed("owner")
    completed = await cut_off.run(writes, first, task_id="t1")
    assert isinstance(completed, Completed)
    [file] = files_in(completed.result, results_of("t1")).values()
    assert file.sha256 == hashlib.sha256(b"by attempt 1").hexdigest()
    assert reported_files(completed) is True
    for function, expected, task_id, has_files in (
        (fails, RetryLater, "t2", True),
        (snoozes, Snoozed, "t3", None),
        (stopped, Cancelled, "t4", True),
    ):
        outcome = await cut_off.run(function, first, task_id=task_id)
        assert isinstance(outcome, expected)
        assert reported_files(outcome) is has_files


async def test_a_run_after_one_that_was_cut_off_speaks_for_both(cut_off: CutOff) -> None:
    async def writes_nothing(attempt: Attempt) -> dict[str, object]:
        del attempt
        return {}

    # The first one is killed between its file and its outcome; nobody knows of the file but the store.
    await cut_off.run(writes, await cut_off.claim())
    outcome = await cut_off.run(writes_nothing, await cut_off.claim())

    assert isinstance(outcome, Completed)
    assert outcome.result == {}
    assert reported_files(outcome) is True


async def test_a_repeat_after_a_crash_has_the_result_of_the_run_that_was_cut_off(cut_off: CutOff) -> None:
    killed = await cut_off.run(writes, await cut_off.claim())
    again = await cut_off.run(writes, await cut_off.claim())
    assert isinstance(killed, Completed)
    assert isinstance(again, Completed)
    assert killed.result == again.result


async def test_a_plain_handler_reads_and_writes_from_its_thread(tmp_path: Path) -> None:
    store = ObjectStore.from_url("memory:///")
    ref = await reference(store)
    attempt = Attempt(TASK, "s", "k", "c", 1, 3, 0, None, files=AttemptFiles(store, TASK))
    plain = SyncAttempt.of(attempt, Portal(attempt).call)
    path = tmp_path / "b"
    path.write_bytes(b"from a path")

    def handle() -> bytes:
        plain.files.write("a.txt", b"from a thread", content_type="text/plain")
        plain.files.write("b.txt", path)
        return plain.files.read(ref)

    assert await asyncio.to_thread(handle) == UPLOADED
    found = files_in(attempt.files.in_result({}), results_of(TASK))
    assert {name: await store.get(file.key) for name, file in found.items()} == {
        "a.txt": b"from a thread",
        "b.txt": b"from a path",
    }
    with pytest.raises(NoObjectStoreError):
        SyncAttempt("t", "s", "k", "c", 1, 3, 0, None).files.read(ref)
