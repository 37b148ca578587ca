"""Problems of the failure desk, of keys, of persons, and of registering services."""

from waybill.problems.base import ProblemError


class AlreadyStartedError(ProblemError, code="already_started"):
    """The redrive has already been started."""


class BadActorError(ProblemError, code="bad_actor"):
    """X-Actor is 1 to 128 printable ASCII characters."""


class EmptyRangeError(ProblemError, code="empty_range"):
    """No time lies between since and until."""


class ErasedError(ProblemError, code="erased"):
    """The content was erased."""


class HashDiffersError(ProblemError, code="hash_differs"):
    """This is not the set of letters that you saw. Read the plan again."""


class NoAddressError(ProblemError, code="no_address"):
    """Persons are found by their whole mail address."""


class NoSuchGroupError(ProblemError, code="no_such_group"):
    """There is no group of this id."""


class NoSuchKeyError(ProblemError, code="no_such_key"):
    """There is no key of this id."""


class NoSuchLetterError(ProblemError, code="no_such_letter"):
    """There is no dead letter of this id, or it was deleted."""


class NoSuchRedriveError(ProblemError, code="no_such_redrive"):
    """There is no redrive of this number."""


class NothingSelectedError(ProblemError, code="nothing_selected"):
    """The selection has no letter that can be redriven."""


class OverlapsError(ProblemError, code="overlaps"):
    """Other redrives have started with letters of this one."""


class PayloadDeletedError(ProblemError, code="payload_deleted"):
    """The content is not kept any more."""


class RegistrationRefusedError(ProblemError, code="registration_refused"):
    """What is registered or in use forbids this release; errors lists each difference."""


class SealingKeyMissingError(ProblemError, code="sealing_key_missing"):
    """A sealing key that is needed is not configured here."""


class ServiceInUseError(ProblemError, code="service_in_use"):
    """The service has open tasks, or schedules that make tasks for it alone."""


class TooManyLettersError(ProblemError, code="too_many_letters"):
    """The selection has more letters than one redrive may have."""


class TooYoungError(ProblemError, code="too_young"):
    """The tasks are too young to be pruned."""


class WrongStateError(ProblemError, code="wrong_state"):
    """The redrive is in another state."""
