import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from waybill_cli.command_line.exits import CommandError, Exit
from waybill_cli.session.config import Config, place
from waybill_testkit.certificates import Certificates


def config(
    folder: Path, flags: Mapping[str, str] | None = None, environment: Mapping[str, str] | None = None
) -> Config:
    # A file named in the environment, so that the developer's own is never read.
    file = folder / "config.toml"
    file.touch()
    return Config(flags or {}, {"WAYBILL_CONFIG": str(file)} | dict(environment or {}), folder)


def stack_in(folder: Path) -> None:
    (folder / ".waybill").mkdir()
    addresses = {
        "gateway": "http://127.0.0.1:8321",
        "amqp": "amqp://guest:guest@127.0.0.1:5999/",
        "service_settings": {"WAYBILL_INBOX_URL": "sqlite:///inbox-{service}.db"},
    }
    (folder / ".waybill/stack.json").write_text(json.dumps(addresses))


def test_flag_before_environment_before_file_before_local_stack(tmp_path: Path) -> None:
    stack_in(tmp_path)
    assert config(tmp_path).url().value == "http://127.0.0.1:8321"
    (tmp_path / "config.toml").write_text('url = "http://file"')
    assert config(tmp_path).url().value == "http://file"
    environment = {"WAYBILL_URL": "http://environment"}
    assert config(tmp_path, environment=environment).url().value == "http://environment"
    url = config(tmp_path, {"url": "http://flag/"}, environment).url()
    assert (url.value, url.source) == ("http://flag", "the command line")


def test_a_local_stack_is_found_from_a_folder_below_it(tmp_path: Path) -> None:
    stack_in(tmp_path)
    below = tmp_path / "a/b"
    below.mkdir(parents=True)
    assert config(below).amqp_url().source == str(tmp_path / ".waybill/stack.json")


def test_a_service_joins_the_local_stack_unless_another_is_configured(tmp_path: Path) -> None:
    assert config(tmp_path).local_service("invoices") == {}
    stack_in(tmp_path)
    joined = {"WAYBILL_INBOX_URL": "sqlite:///inbox-invoices.db"}
    assert config(tmp_path).local_service("invoices") == joined
    for variable in ("WAYBILL_URL", "WAYBILL_AMQP_URL", "WAYBILL_SECRETS_FOLDER"):
        elsewhere = config(tmp_path, environment={variable: "amqp://elsewhere"})
        assert elsewhere.local_service("invoices") == {}


def test_an_unfinished_stack_file_is_none(tmp_path: Path) -> None:
    stack_in(tmp_path)
    (tmp_path / ".waybill/stack.json").write_text('{"gateway": "http:')
    with pytest.raises(CommandError):
        config(tmp_path).url()


def test_key_and_actor_come_from_environment_or_file(tmp_path: Path) -> None:
    assert config(tmp_path).api_key() is None
    assert "@" in config(tmp_path).actor()
    (tmp_path / "config.toml").write_text('api_key = "from-file"\nactor = "ann"')
    assert config(tmp_path).api_key() == "from-file"
    assert config(tmp_path).actor() == "ann"
    assert config(tmp_path, environment={"WAYBILL_API_KEY": "k"}).api_key() == "k"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("url = ", "cannot be read"),
        ('uri = "http://x"', "unknown or wrong entries: uri"),
        ("url = 7", "unknown or wrong entries: url"),
        ("\xff", "cannot be read"),
    ],
)
def test_a_wrong_file_is_told_and_not_passed_over(tmp_path: Path, content: str, words: str) -> None:
    wanted = config(tmp_path)
    (tmp_path / "config.toml").write_bytes(content.encode("latin-1"))
    with pytest.raises(CommandError, match=words) as caught:
        wanted.url()
    assert caught.value.exit_code == Exit.USAGE


def test_a_named_file_that_is_missing_is_told(tmp_path: Path) -> None:
    wanted = Config({"config": str(tmp_path / "none.toml")}, {}, tmp_path)
    with pytest.raises(CommandError, match="there is no configuration file"):
        wanted.api_key()


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://host", "http://", "http://host:port", "http://[::1"]
)
def test_what_is_no_url_says_where_it_is_from(tmp_path: Path, url: str) -> None:
    with pytest.raises(CommandError, match="from WAYBILL_URL is no URL"):
        config(tmp_path, environment={"WAYBILL_URL": url}).url()


def test_nothing_configured_says_how_to(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no gateway is configured") as caught:
        config(tmp_path).url()
    assert any("WAYBILL_URL" in hint for hint in caught.value.hints)


def test_no_password_is_ever_shown() -> None:
    assert place("amqp://ann:s3cret@broker:5672/prod?x=1") == "amqp://broker:5672/prod"


def test_a_file_of_authorities_that_holds_none_is_the_configurations_fault(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing of the kind")
    flags = {"url": "https://gateway", "ca_file": str(tmp_path / "ca.pem")}
    with pytest.raises(CommandError, match=r"ca\.pem \(from the command line\)") as refused:
        config(tmp_path, flags).url()
    assert refused.value.exit_code == Exit.USAGE


def test_only_the_named_authorities_are_trusted(tmp_path: Path, certificates: Certificates) -> None:
    assert config(tmp_path, {"url": "https://gateway"}).url().tls is None
    trusted = config(tmp_path, {"url": "https://gateway", "ca_file": str(certificates.ca)}).url().tls
    assert trusted is not None
    assert len(trusted.get_ca_certs()) == 1
