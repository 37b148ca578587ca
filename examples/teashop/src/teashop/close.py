"""A script that closes the books of some months: `python -m teashop.close 2026-01 2026-02`."""

import sys

from waybill import Client

from teashop.tasks import close_month

#: Seconds for all of them.
WAIT_SECONDS = 60.0


def main(months: list[str]) -> int:
    """Submits a task for each month, and waits for them; however often it is run, each is closed once."""
    tasks = [close_month.using(key=f"close-{month}").submission(month) for month in months]
    with Client() as client:
        ended = [client.wait(task.id, WAIT_SECONDS) for task in client.submit_many(tasks)]
    for month, task in zip(months, ended, strict=True):
        print(month, task.state, task.result)
    return 0 if all(task.state == "completed" for task in ended) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
