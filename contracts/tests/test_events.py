import pytest
from pydantic import ValidationError

from waybill_contracts.kinds.catalog import CATALOG, WORK_SERVICES
from waybill_contracts.kinds.emails import EmailRequested
from waybill_contracts.kinds.password_resets import PasswordResetRequested
from waybill_contracts.kinds.syncs import SyncRequested
from waybill_contracts.kinds.users import UserCreated

MAIL = {"to": "ann@example.com", "subject": "Hello", "text": "Hi."}


def test_mail_with_own_words() -> None:
    assert EmailRequested.model_validate(MAIL).to == "ann@example.com"


def test_international_domain_is_stored_in_ascii() -> None:
    assert (
        EmailRequested.model_validate(MAIL | {"to": "ann@bücher.example"}).to == "ann@xn--bcher-kva.example"
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"to": "nobody"}, "not a mail address"),
        ({"to": "a@b.example\r\nBcc: c@d.example"}, "not a mail address"),
        ({"to": f"{'a' * 250}@example.com"}, "at most 254"),
        ({"subject": "two\nlines"}, "pattern"),
        ({"subject": "x" * 256}, "at most 255"),
        ({"text": "x" * (256 * 1024 + 1)}, "at most 262144"),
        ({"text": None}, "subject and text or html"),
        ({"params": {"name": "Ann"}}, "params need a template"),
        ({"template": "welcome", "params": {"name": "Ann"}}, "a template has its own subject"),
        ({"cc": "x@example.com"}, "Extra inputs"),
    ],
)
def test_refused_mails(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        EmailRequested.model_validate(MAIL | change)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"reply_to": "Ada <ada@example.com>"}, "not a mail address"),
        ({"reply_to": f"{'a' * 65}@example.com"}, "more than 64 characters"),
        ({"reply_to": "=?utf-8?q?a?=@example.com"}, "encoded word"),
        ({"list_unsubscribe": ["http://example.com/u"]}, "pattern"),
        ({"list_unsubscribe": ["https://example.com/u>,<https://x.test"]}, "pattern"),
        ({"list_unsubscribe": ["https://example.com/u\r\nBcc: x"]}, "pattern"),
        ({"list_unsubscribe": ["https://example.com/ü"]}, "pattern"),
        ({"list_unsubscribe": ["https://example.com/?a=?utf-8?q?x?="]}, "write =%3F"),
        ({"list_unsubscribe": [f"https://example.com/{'u' * 900}"]}, "at most 900"),
        ({"list_unsubscribe": ["mailto:nobody"]}, "pattern"),
        ({"list_unsubscribe": ["https://a.test/", "https://b.test/"]}, "at most one https link"),
        ({"list_unsubscribe": ["https://a.test/"] * 3}, "at most 2 items"),
    ],
)
def test_refused_ways_back(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        EmailRequested.model_validate(MAIL | change)


def test_what_an_event_does_not_say_is_left_out_where_the_last_release_would_not_know_it() -> None:
    said = {"reply_to": "team@example.com", "list_unsubscribe": ["https://a.test/", "mailto:u@a.test?x"]}
    plain = EmailRequested.model_validate(MAIL).model_dump(mode="json")

    assert not plain.keys() & said.keys()
    assert EmailRequested.model_validate(MAIL | said).model_dump(mode="json") == plain | said


def test_template_params_are_checked_against_the_template() -> None:
    EmailRequested.model_validate({"to": "a@b.example", "template": "welcome", "params": {"name": "Ann"}})
    with pytest.raises(ValidationError, match="name"):
        EmailRequested.model_validate({"to": "a@b.example", "template": "welcome", "params": {}})
    with pytest.raises(ValidationError, match="pattern"):
        EmailRequested.model_validate({"to": "a@b.example", "template": "../welcome"})


def test_params_of_a_template_that_is_none_of_ours_are_left_to_who_knows_it() -> None:
    mail = {"to": "a@b.example", "template": "invoice", "params": {"total": 12}}
    assert EmailRequested.model_validate(mail).params == {"total": 12}


@pytest.mark.parametrize("record_id", ["", ".", "..", "../admin", "a/b", "a?b", "a#b", "-", "x" * 129, "a\n"])
def test_record_ids_that_could_leave_their_path_segment_are_refused(record_id: str) -> None:
    with pytest.raises(ValidationError):
        SyncRequested(target="crm", resource="users", id=record_id, data={})


def test_what_is_sensitive_is_decided_field_by_field() -> None:
    # A new field stands in one of the two columns: sealed wherever it is kept and sent, or for all to see.
    decided = {
        "email.requested": (
            {"to", "subject", "text", "html", "params", "reply_to", "list_unsubscribe"},
            {"category", "template", "if_uncertain"},
        ),
        "password_reset.requested": ({"email", "link"}, {"expires_at"}),
        "image.uploaded": (
            set(),
            {"source_key", "sha256", "content_type", "width", "height", "size_bytes", "variants"},
        ),
        "user.created": ({"email", "name", "attributes"}, {"user_id"}),
        "sync.requested": ({"data"}, {"target", "resource", "id"}),
    }
    events = {kind: entry.event for kind, entry in CATALOG.items()}
    found = {
        kind: (set(event.sensitive_fields()), event.model_fields.keys() - event.sensitive_fields())
        for kind, event in events.items()
    }
    assert found == decided
    assert {kind for kind, event in events.items() if event.holds_secrets()} == {PasswordResetRequested.KIND}


def test_catalog_names_each_consumer() -> None:
    assert CATALOG[UserCreated.KIND].services == ("email", "sync")
    assert WORK_SERVICES == ("email", "images", "sync")
