"""Handler of dead letters: stores them in the ledger, valid or not."""

from waybill_contracts.privacy import Keyring
from waybill_database import Records
from waybill_ledger.deadletters.intake import DeadMessage, letter_of, take_in


async def keep(message: DeadMessage, records: Records, keyring: Keyring) -> bool:
    """Stores one dead letter; it is committed when this returns.

    Returns:
        Whether it is new.
    """
    return await records.write(take_in, letter_of(message, keyring))
