"""The table of the inbox, and the statements that write to it."""

from sqlalchemy import (
    Boolean,
    Column,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    false,
    literal_column,
    select,
    update,
)

from waybill_database import DriverStatement, Instant, among, insert_new_in
from waybill_worker.inbox.claims import RowState

METADATA = MetaData()
INBOX = Table(
    "inbox",
    METADATA,
    Column("service", String(64), primary_key=True),
    Column("task_id", String(64), primary_key=True),
    Column("redrive_no", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("owner", String(32), nullable=False),
    Column("lease_until", Instant, nullable=False),
    Column("outcome", Text),
    # Runs of this attempt that have begun: more than one if processes died during it.
    Column("starts", Integer, nullable=False, server_default="1"),
    # The run that holds the claim has begun an effect that cannot be undone or recognised.
    Column("effect_begun", Boolean, nullable=False, server_default=false()),
    # An earlier run or attempt may have had its effect; it is not known.
    Column("in_doubt", Boolean, nullable=False, server_default=false()),
    # How often this attempt was snoozed before.
    Column("snooze_no", Integer, nullable=False, server_default="0"),
    # When the first attempt was first claimed, and when this one was.
    Column("life_since", Instant),
    Column("attempt_since", Instant),
)

#: As text: SQLAlchemy leaves out the names of tables here, which the condition needs.
_IS_CANCELLED = literal_column(
    "EXISTS (SELECT 1 FROM cancelled c WHERE c.service = inbox.service AND c.task_id = inbox.task_id)",
    Boolean,
).label("is_cancelled")
#: Claims of subtasks that have no row; returns those that got it.
CLAIM_NEW = DriverStatement(
    lambda dialect: insert_new_in(dialect, INBOX, INBOX.c.owner, _IS_CANCELLED), whole=True
)
ROWS_OF_TASKS = DriverStatement(
    lambda dialect: (
        select(INBOX)
        .where(INBOX.c.service == bindparam("service"), among(dialect, INBOX.c.task_id, "task_ids"))
        .order_by(INBOX.c.task_id, INBOX.c.redrive_no)
        .with_for_update()
    )
)
_THIS_ROW = (
    (INBOX.c.service == bindparam("b_service"))
    & (INBOX.c.task_id == bindparam("b_task_id"))
    & (INBOX.c.redrive_no == bindparam("b_redrive_no"))
)
TAKE_OVER = DriverStatement(
    update(INBOX)
    .where(_THIS_ROW)
    .values(
        attempt=bindparam("b_attempt"),
        state=bindparam("b_state"),
        owner=bindparam("b_owner"),
        lease_until=bindparam("b_lease_until"),
        outcome=bindparam("b_outcome"),
        starts=bindparam("b_starts"),
        effect_begun=False,
        in_doubt=bindparam("b_in_doubt"),
        snooze_no=bindparam("b_snooze_no"),
        life_since=bindparam("b_life_since"),
        attempt_since=bindparam("b_attempt_since"),
    )
)
#: For a row that is locked.
FINISH = DriverStatement(
    update(INBOX)
    .where(_THIS_ROW)
    .values(
        state=bindparam("b_state"),
        outcome=bindparam("b_outcome"),
        effect_begun=False,
        in_doubt=bindparam("b_in_doubt"),
    )
)
#: Outcomes that no further attempt follows; returns those whose claim still holds.
FINISH_FOR_GOOD = DriverStatement(
    update(INBOX)
    .where(_THIS_ROW, INBOX.c.owner == bindparam("b_owner"), INBOX.c.state == RowState.CLAIMED)
    .values(state=RowState.DONE, outcome=bindparam("b_outcome"), effect_begun=False)
    .returning(INBOX.c.owner)
)
