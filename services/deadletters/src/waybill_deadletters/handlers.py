"""Handler of dead letters: stores them in the ledger, valid or not."""

from waybill_database import Records
from waybill_ledger.deadletters.intake import DeadMessage, letter_of, take_in
from waybill_ledger.deadletters.letters import ContractGate


async def keep(message: DeadMessage, records: Records, gate: ContractGate) -> bool:
    """Stores one dead letter; it is committed when this returns.

    Returns:
        Whether it is new.
    """
    return await records.write(take_in, letter_of(message, gate))
