"""What is done with dead letters: into the ledger, whatever they are."""

from contracts.sealing import Keyring
from database import Records
from ledger.deadletters.intake import take_in
from ledger.deadletters.letter import DeadMessage, letter_of


async def keep(message: DeadMessage, records: Records, keyring: Keyring) -> bool:
    """Keeps one dead letter; it is committed when this returns.

    Returns:
        Whether it is new.
    """
    return await records.write(take_in, letter_of(message, keyring))
