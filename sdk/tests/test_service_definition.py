"""Definitions of services: valid ones, and the errors of invalid ones."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from invoice_service import (
    InvoicePaid,
    InvoiceRequested,
    InvoiceSettings,
    close_month,
    remind,
    render,
    service,
)
from pydantic import Field, TypeAdapter, ValidationError

from waybill import (
    Attempt,
    DefinitionError,
    Event,
    Sensitive,
    Service,
    ServiceSettings,
    SyncAttempt,
)
from waybill.definition import options
from waybill_contracts.registry import Manifest, built_in_registry
from waybill_contracts.registry.applying import apply
from waybill_worker.attempt.handlers import Handler, Runs, by_kind
from waybill_worker.attempt.retry_policy import RetryPolicy
from waybill_worker.attempt.settings import PolicyOverride
from waybill_worker.limits.time_limits import TimeLimits


def settings_of(**values: Any) -> InvoiceSettings:
    return InvoiceSettings(inbox_url="sqlite:///inbox.db", sealing_keys="A" * 43 + "=", **values)


def test_the_manifest_states_contracts_versions_and_policies() -> None:
    manifest = service.manifest()

    assert (manifest.service, manifest.release, manifest.emits) == ("invoices", "1.4.2", ("invoice.paid",))
    assert manifest.kinds == (
        "invoice.paid",
        "invoice.requested",
        "invoices.close_month",
        "invoices.remind",
    )
    requested = manifest.handled("invoice.requested")
    assert requested is not None
    assert (requested.version, requested.reads) == (2, (1, 2))
    assert requested.contract.sensitive == {"email"}
    assert requested.contract.about({"order_id": "17"}) == "order 17"
    assert (requested.policy.attempts, requested.policy.concurrency) == (5, 8)
    assert (requested.policy.soft_limit_seconds, requested.policy.hard_limit_seconds) == (30, 300)
    paid = manifest.handled("invoice.paid")
    assert paid is not None
    assert paid.policy.attempts == 7, "the default of the service's settings"


def test_the_manifest_can_be_registered_and_read_again() -> None:
    manifest = service.manifest()

    assert Manifest.model_validate_json(manifest.text()) == manifest
    assert apply(built_in_registry(), manifest).refusals == ()


def test_the_manifest_does_not_depend_on_the_process() -> None:
    print_it = "from invoice_service import service; print(service.manifest().text(), end='')"
    texts = {
        subprocess.run(
            [sys.executable, "-c", print_it],
            cwd=str(__file__).rpartition("/")[0],
            env={"PYTHONHASHSEED": seed, "WAYBILL_RETRY_MAX_ATTEMPTS": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {service.manifest().text()}


def test_a_release_can_be_given_when_it_is_built() -> None:
    assert service.manifest(release="1.5.0").release == "1.5.0"
    assert Service("nothing-installed").release == "unreleased"


def test_the_functions_stay_as_they_are() -> None:
    assert render.__name__ == "render"
    assert pickle.loads(pickle.dumps(render)) is render
    assert pickle.loads(pickle.dumps(remind)) is remind


def test_a_service_is_found_again_in_another_process() -> None:
    assert pickle.loads(pickle.dumps(service)) is service
    make = pickle.loads(pickle.dumps(service.process))
    assert make.__self__ is service


def test_a_service_within_a_function_cannot_be_found_again() -> None:
    with pytest.raises(DefinitionError, match="not defined at the top of its module"):
        pickle.dumps(Service("hidden"))


def test_a_task_has_the_contract_of_its_signature() -> None:
    handled = service.manifest().handled("invoices.remind")
    assert handled is not None
    assert handled.data == {
        "additionalProperties": False,
        "description": "Reminds a customer of an unpaid invoice.",
        "properties": {
            "days": {"default": 3, "title": "Days", "type": "integer"},
            "email": {"person": True, "sensitive": True, "title": "Email", "type": "string"},
        },
        "required": ["email"],
        "title": "Remind",
        "type": "object",
    }
    assert remind.kind == "invoices.remind"


def test_the_event_of_a_task_is_made_as_the_function_is_called() -> None:
    event = remind.event("ann@example.com", days=4)

    assert event.model_dump() == {"email": "ann@example.com", "days": 4}
    assert event == remind.event(email="ann@example.com", days=4)
    assert event.is_sensitive()
    assert pickle.loads(pickle.dumps(event)) == event
    assert close_month.event("2026-01", regions=("eu",)).VERSION == 3
    with pytest.raises(TypeError, match="missing a required argument: 'email'"):
        remind.event(days=4)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="days"):
        remind.event("ann@example.com", days="many")  # type: ignore[arg-type]


def test_what_the_code_says_is_the_policy_unless_operators_override_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: dict[str, Handler] = {}

    def note(_name: str, _settings: object, handlers: tuple[Handler, ...], **_more: object) -> None:
        made.update(by_kind(handlers))

    monkeypatch.setattr("waybill.definition.running.ServiceProcess", note)
    service.process(settings_of(retry_base_seconds=9))
    assert made["invoice.requested"].policy == RetryPolicy(5, 9, 900)
    assert made["invoice.requested"].limits == TimeLimits(30, 300)
    assert made["invoice.requested"].concurrency == 8

    service.process(settings_of(policy_overrides={"invoice.requested": {"max_attempts": 2}}))
    assert made["invoice.requested"].policy.max_attempts == 2
    assert made["invoice.requested"].limits == TimeLimits(30, 300)


class Unnamed(Event):
    order_id: str


class Misnamed(Event, kind="Invoice"):
    order_id: str


class Shown(Event, kind="invoice.shown", about="for {email}"):
    email: Annotated[str, Sensitive]


class LookingAround(Event, kind="invoice.looked"):
    order_id: Annotated[str, Field(pattern=r"^a\w+$", json_schema_extra={"pattern": "(?=a)b"})]


class Called(Event, kind="invoice.called"):
    back: Callable[[], None]


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (Unnamed, "Unnamed has no kind: class Unnamed"),
        (Misnamed, "'Invoice' of Misnamed is no kind: at least two words"),
        (Shown, "the contract of Shown cannot be registered: about: {email} is sensitive"),
        (LookingAround, "/pattern: the pattern is not a regular expression that is matched in linear time"),
        (Called, "Called cannot be described in JSON"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_contract_that_could_not_be_registered_is_refused_where_it_is_defined(
    event: type[Event], why: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        Service("invoices").handles(event)(_handle)
    assert why in str(caught.value)


async def _handle(event: Event, attempt: Attempt) -> None:
    del event, attempt


@pytest.mark.parametrize(
    ("name", "why"),
    [("Invoices", "is no name of a service"), ("gateway", "a name of Waybill's own"), ("a_b", "no name")],
)
def test_names_of_services_are_checked(name: str, why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        Service(name)


def test_a_kind_is_handled_once() -> None:
    twice: Service[None] = Service("twice")
    twice.handles(InvoicePaid)(_handle)
    with pytest.raises(DefinitionError, match=r"invoice\.paid has a handler"):
        twice.handles(InvoicePaid)(_handle)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"attempts": 0}, "attempts: Input should be greater than or equal to 1"),
        ({"soft_limit": 400}, "give soft_limit and hard_limit"),
        ({"retries": 3}, "unknown options: retries; there are attempts"),
    ],
)
def test_options_are_checked(options: Any, why: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Service("invoices").handles(InvoicePaid, **options)
    assert why in str(caught.value)


async def _alone(event: InvoicePaid) -> None:
    del event


async def _too_many(event: InvoicePaid, attempt: Attempt, more: str) -> None:
    del event, attempt, more


async def _by_name(event: InvoicePaid, *, attempt: Attempt) -> None:
    del event, attempt


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (_alone, "_alone takes 1 arguments; a handler takes event and attempt"),
        (_too_many, "_too_many takes 3 arguments; a handler takes event and attempt"),
        (_by_name, "a handler takes its arguments by position"),
    ],
)
def test_a_handler_takes_event_and_attempt(function: Any, why: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Service("invoices").handles(InvoicePaid)(function)
    assert why in str(caught.value)


async def _untyped(month) -> None:  # type: ignore[no-untyped-def]
    del month


async def _many(*months: str) -> None:
    del months


async def _late(month: str, attempt: Attempt) -> None:
    del month, attempt


async def _shadowing(copy: str) -> None:
    del copy


async def _no_json(back: Callable[[], None]) -> None:
    del back


class Session:
    pass


async def _with_an_object(order_id: str, session: Session) -> None:
    del order_id, session


async def _nested(backs: list[Callable[[], None]]) -> None:
    del backs


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (_untyped, "give month a type"),
        (_many, "a contract has fields with names"),
        (_late, "the attempt comes first"),
        (_shadowing, "cannot be named copy; rename the parameter"),
        (_no_json, "back cannot be JSON"),
        (
            _with_an_object,
            "session cannot be JSON: test_service_definition.Session; another",
        ),
        (_nested, "backs cannot be JSON"),
    ],
)
def test_the_parameters_of_a_task_are_fields(function: Any, why: str) -> None:
    function.__name__ = function.__name__.strip("_")
    with pytest.raises(DefinitionError) as caught:
        Service("invoices").task(function)
    assert why in str(caught.value)


def plain(event: InvoicePaid, attempt: SyncAttempt) -> None:
    attempt.checkpoint()
    del event


def test_where_a_plain_function_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, Handler] = {}
    monkeypatch.setattr(
        "waybill.definition.running.ServiceProcess",
        lambda _name, _settings, handlers, **_more: made.update(by_kind(handlers)),
    )
    for processes, runs in ((False, Runs.IN_THREAD), (True, Runs.IN_PROCESS)):
        one: Service[None] = Service("one")
        one.handles(InvoicePaid, processes=processes)(plain)
        one.process(settings_of())
        assert made["invoice.paid"].runs is runs


def test_only_plain_functions_run_in_processes() -> None:
    with pytest.raises(DefinitionError, match="only a plain def function runs in processes"):
        Service("invoices").handles(InvoicePaid, processes=True)(_handle)


def test_upcasters_are_of_older_versions_of_a_kind_that_is_handled() -> None:
    one: Service[None] = Service("one")
    with pytest.raises(DefinitionError, match=r"invoice\.paid is at version 1, and only older ones"):
        one.upcasts(InvoicePaid, from_version=1)
    one.upcasts(InvoiceRequested, from_version=1)(dict)
    with pytest.raises(DefinitionError, match="has an upcaster already"):
        one.upcasts(InvoiceRequested, from_version=1)(dict)
    with pytest.raises(DefinitionError, match="handles no kind"):
        one.manifest()
    one.handles(InvoicePaid)(_handle)
    with pytest.raises(DefinitionError, match=r"upcasters of invoice\.requested, which one does not handle"):
        one.manifest()


def test_resources_of_a_task_need_their_type() -> None:
    def opens(_settings: Any) -> Any:
        raise AssertionError("it is not opened here")

    untyped: Service[Any] = Service("untyped", resources=opens)
    with pytest.raises(DefinitionError, match="say what the resources of untyped are"):

        @untyped.task
        async def act(attempt: Attempt, shop: object) -> None: ...


#: What a web application must not load to submit a task: what runs a service, seals, and compiles schemas.
HEAVY = {"faststream", "sqlalchemy", "aio_pika", "pydantic_settings", "cryptography", "jsonschema_rs"}
WEB_PROCESS = """
import sys
from typing import Annotated
from waybill import *
import waybill.definition

service = Service("invoices")

@service.task(attempts=3, soft_limit=20)
async def remind(attempt: Attempt, email: Annotated[str, Sensitive, Person], days: int = 3) -> None:
    raise PermanentError("never")

remind.event("ann@example.com")
print("\\n".join({name.partition(".")[0] for name in sys.modules} | {"-"}))
"""


def test_an_application_that_imports_tasks_loads_nothing_of_what_runs_them() -> None:
    program = WEB_PROCESS.replace("*", "Attempt, Event, Person, PermanentError, Sensitive, Service")
    names = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()

    assert (HEAVY | {"waybill_worker", "waybill_database", "waybill_cli"}) & set(names) == set()
    assert "waybill" in names


def test_the_ranges_and_defaults_of_options_are_those_of_the_worker() -> None:
    ours, theirs = (
        TypeAdapter(each).json_schema()["properties"] for each in (options.CHECKED, PolicyOverride)
    )
    names = {name: options.RENAMED.get(name, name) for name in ours if name != "processes"}
    assert {name: ours[name]["anyOf"] for name in names} == {
        name: theirs[field]["anyOf"] for name, field in names.items()
    }
    assert {name: ServiceSettings.model_fields[name].default for name in options.DEFAULTS} == options.DEFAULTS
