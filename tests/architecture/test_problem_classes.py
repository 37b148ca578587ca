"""Each problem of the gateway has an error class, and no class stands for none."""

import inspect

from waybill import problems
from waybill.problems import ClientError, ProblemError
from waybill_gateway.docs.problem_types import PROBLEM_TYPES

CLASSES = [
    each
    for each in vars(problems).values()
    if inspect.isclass(each) and issubclass(each, ProblemError) and each is not ProblemError
]
CODES = {code for codes in PROBLEM_TYPES.values() for code in codes}


def test_each_code_has_a_class_of_its_own() -> None:
    assert sorted(each.code for each in CLASSES) == sorted(CODES)


def test_a_class_is_named_after_its_code() -> None:
    named = {each.code: "".join(word.capitalize() for word in each.code.split("_")) for each in CLASSES}
    assert {each.__name__.removesuffix("Error") for each in CLASSES} == {
        name.removesuffix("Error") for name in named.values()
    }


def test_a_class_says_what_its_code_means() -> None:
    meanings: dict[str, list[str]] = {}
    for codes in PROBLEM_TYPES.values():
        for code, meaning in codes.items():
            meanings.setdefault(code, []).append(meaning)
    differ = [
        each.__name__
        for each in CLASSES
        # A code of two statuses has a text for both.
        if len(meanings[each.code]) == 1
        and meanings[each.code][0].rstrip(".") not in " ".join((each.__doc__ or "").split())
    ]
    assert differ == []


def test_all_errors_have_one_base() -> None:
    assert all(
        issubclass(getattr(problems, name), ClientError)
        for name in problems.__all__
        if name not in {"FieldError", "error_of"}
    )
