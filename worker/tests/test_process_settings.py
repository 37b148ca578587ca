from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from waybill_contracts.privacy.seal import Keyring
from waybill_worker.attempt.kind_policies import policy_of
from waybill_worker.attempt.retry_policy import RetryPolicy
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.runtime.settings import SECRETS_FOLDER, DatabaseUrl, ProcessSettings, SealingSettings


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*ProcessSettings.model_fields, *ServiceSettings.model_fields):
        monkeypatch.delenv(f"WAYBILL_{name.upper()}", raising=False)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "WAYBILL_AMQP_URL": "amqp://user:pass@broker:5673/vhost",
        "WAYBILL_INBOX_URL": "sqlite:///inbox.db",
        "WAYBILL_PREFETCH": "7",
        "WAYBILL_RETRY_MAX_ATTEMPTS": "3",
        "WAYBILL_RETRY_BASE_SECONDS": "0.5",
        "WAYBILL_LOG_FORMAT": "console",
        "WAYBILL_SOMETHING_ELSE": "ignored",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = ServiceSettings()

    assert settings.amqp_url == "amqp://user:pass@broker:5673/vhost"
    assert (settings.prefetch, settings.log_format) == (7, "console")
    assert policy_of(settings, "image.uploaded") == RetryPolicy(3, 0.5, 900, 0.2)


def test_a_setting_may_be_a_file_that_the_environment_overrides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "waybill_amqp_url").write_text("amqp://from:file@broker/\n")
    (tmp_path / "waybill_inbox_url").write_text("sqlite:///file.db\n")
    monkeypatch.setenv(SECRETS_FOLDER, str(tmp_path))
    monkeypatch.setenv("WAYBILL_INBOX_URL", "sqlite:///environment.db")
    settings = ServiceSettings()

    assert settings.amqp_url == "amqp://from:file@broker/"
    assert settings.inbox_url == "sqlite:///environment.db"


def test_a_folder_of_secrets_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRETS_FOLDER, str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"nowhere, which is no folder"):
        ServiceSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("amqp_url", "broker:5672"),
        ("amqp_url", "http://broker/"),
        ("prefetch", 0),
        ("lease_seconds", 0),
        ("retry_jitter", 1.5),
        ("log_level", "loud"),
        ("health_port", 70_000),
    ],
)
def test_a_wrong_setting_is_named_when_the_process_starts(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        ServiceSettings.model_validate({"inbox_url": "sqlite:///x.db", name: value})


def test_an_inbox_is_needed() -> None:
    with pytest.raises(ValidationError, match="inbox_url"):
        ServiceSettings()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(ProcessSettings(), "log_level", "debug")  # noqa: B010 - the type checker refuses it too


class _WithDatabase(SealingSettings, ProcessSettings):
    ledger_url: DatabaseUrl


def test_no_password_shows_in_settings_or_in_what_is_wrong_with_them() -> None:
    urls = {"amqp_url": "amqp://me:hush@broker/", "ledger_url": "postgresql://me:hush@db/ledger"}
    key = Keyring.new_key()
    settings = _WithDatabase.model_validate(urls | {"sealing_keys": SecretStr(key)})
    assert "hush" not in f"{settings!r} {settings!s}"
    assert key not in f"{settings!r} {settings!s}"
    for wrong in ({"amqp_url": "http://me:hush@broker/"}, {"health_port": "hush"}, {"sealing_keys": "hush"}):
        with pytest.raises(ValueError) as refused:  # noqa: PT011 - whichever it is
            _WithDatabase.model_validate(urls | wrong)
        assert next(iter(wrong)) in str(refused.value)
        assert "hush" not in str(refused.value)


def test_without_a_key_nothing_starts_unless_that_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYBILL_SEALING_KEYS", raising=False)
    with pytest.raises(ValueError, match="WAYBILL_SEALING_KEYS is not set"):
        _WithDatabase(ledger_url="sqlite:///l.db").keyring()
    assert _WithDatabase(ledger_url="sqlite:///l.db", sealing="off").keyring().names == ()


@pytest.mark.parametrize("days", [0, 3, 45])
def test_an_inbox_keeps_what_it_knows_for_three_days_or_for_good(
    monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    monkeypatch.setenv("WAYBILL_INBOX_URL", "sqlite:///inbox.db")
    monkeypatch.setenv("WAYBILL_INBOX_KEEP_DAYS", str(days))
    assert ServiceSettings().inbox_keep_days == days


@pytest.mark.parametrize("days", [-1, 0.5, 2.9])
def test_an_inbox_that_forgets_earlier_is_refused(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    monkeypatch.setenv("WAYBILL_INBOX_URL", "sqlite:///inbox.db")
    monkeypatch.setenv("WAYBILL_INBOX_KEEP_DAYS", str(days))
    with pytest.raises(ValidationError, match="at least 3 days, or 0 to keep them for good"):
        ServiceSettings()
