"""Problems of tasks, files, images, schedules and kinds."""

from waybill.problems.base import ProblemError


class BodyBrokenError(ProblemError, code="body_broken"):
    """The body of this schedule was altered. Send the body again."""


class CannotRunError(ProblemError, code="cannot_run"):
    """No task can be made of this schedule any more. Change its body, or delete it."""


class ChangedMeanwhileError(ProblemError, code="changed_meanwhile"):
    """Another call changed this just now. Read it again, and repeat your change."""


class DamagedError(ProblemError, code="damaged"):
    """The image is damaged or incomplete. Send the original."""


class EmptyError(ProblemError, code="empty"):
    """The file is empty."""


class InvalidDataError(ProblemError, code="invalid_data"):
    """The data breaks its contract; errors has a JSON Pointer for each fault."""


class KindRetiredError(ProblemError, code="kind_retired"):
    """No service handles this kind any more."""


class NameTakenError(ProblemError, code="name_taken"):
    """Another schedule has this name."""


class NameTooLongError(ProblemError, code="name_too_long"):
    """The schedule's name is too long for this tenant."""


class NeverDueError(ProblemError, code="never_due"):
    """This schedule would never be due."""


class NeverProducedError(ProblemError, code="never_produced"):
    """The task failed or was cancelled: no variant was made."""


class NoLongerKeptError(ProblemError, code="no_longer_kept"):
    """This file was made, but is not kept any more."""


class NoSuchFileError(ProblemError, code="no_such_file"):
    """The task has no such file, or refers to files that are not there."""


class NoSuchFormatError(ProblemError, code="no_such_format"):
    """The variant has no such format."""


class NoSuchKindError(ProblemError, code="no_such_kind"):
    """There is no kind of this name."""


class NoSuchScheduleError(ProblemError, code="no_such_schedule"):
    """There is no schedule of this id; it may have been deleted."""


class NoSuchServiceError(ProblemError, code="no_such_service"):
    """There is no service of this name, or it is retired already."""


class NoSuchTaskError(ProblemError, code="no_such_task"):
    """There is no task of this id, or it was pruned."""


class NoSuchVariantError(ProblemError, code="no_such_variant"):
    """The task was not asked for such a variant."""


class NotAnImageError(ProblemError, code="not_an_image"):
    """The file is not an image, even if its name says so."""


class NotProducedYetError(ProblemError, code="not_produced_yet"):
    """The task is not completed. Repeat the call in a moment."""


class ScheduleDeletedError(ProblemError, code="schedule_deleted"):
    """This call made a schedule that has been deleted since."""


class SendAtPassedError(ProblemError, code="send_at_passed"):
    """send_at is in the past."""


class SeveralFilesError(ProblemError, code="several_files"):
    """Several services have made a file of this name."""


class TasksRefusedError(ProblemError, code="tasks_refused"):
    """Nothing was accepted: errors has a JSON Pointer for each fault; see `ProblemError.refused`."""


class TokenBrokenError(ProblemError, code="token_broken"):
    """The address that the token belongs to was altered."""


class TokenExpiredError(ProblemError, code="token_expired"):
    """The token is too old. Ask for a new one."""


class TokenRedeemedError(ProblemError, code="token_redeemed"):
    """The token has already been used."""


class TokenUnknownError(ProblemError, code="token_unknown"):
    """This token was never mailed."""


class TooCostlyError(ProblemError, code="too_costly"):
    """Decoding the image takes too much memory or processor time."""


class TooLateError(ProblemError, code="too_late"):
    """The task has already ended."""


class TooManySchedulesError(ProblemError, code="too_many_schedules"):
    """The limit of schedules is reached."""


class UnknownKindError(ProblemError, code="unknown_kind"):
    """There is no such kind of task."""


class UnknownServiceError(ProblemError, code="unknown_service"):
    """There is no such service."""


class UnknownTargetError(ProblemError, code="unknown_target"):
    """No target of this name is configured."""


class UnknownVariantError(ProblemError, code="unknown_variant"):
    """There is no such variant."""


class UnknownVersionError(ProblemError, code="unknown_version"):
    """The services of the kind read no such version of its contract."""


class UnsupportedFormatError(ProblemError, code="unsupported_format"):
    """Images of this format are not supported."""
