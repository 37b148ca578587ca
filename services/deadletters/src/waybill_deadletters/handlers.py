"""Handler of dead letters: stores them in the ledger, valid or not."""

from waybill_contracts.privacy.seal import Keyring
from waybill_database import Records
from waybill_ledger.deadletters.intake.intake import take_in
from waybill_ledger.deadletters.intake.letter import DeadMessage, letter_of


async def keep(message: DeadMessage, records: Records, keyring: Keyring) -> bool:
    """Stores one dead letter; it is committed when this returns.

    Returns:
        Whether it is new.
    """
    return await records.write(take_in, letter_of(message, keyring))
