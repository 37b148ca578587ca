import base64
import hashlib
import json
from pathlib import Path

import pytest
from yarl import URL

from waybill_contracts.privacy.seal import Keyring
from waybill_contracts.registry import (
    HandledKind,
    Manifest,
    built_in_manifests,
    built_in_registry,
    registry_of,
    retire,
)
from waybill_deploy.definitions import ADMINISTRATOR
from waybill_deploy.secret_files import Places, SecretFiles
from waybill_ledger.access.keys import Scope

PLACES = Places("broker:5672", "database:5432")


def stated(service: str, kind: str, **fields: object) -> Manifest:
    data = {"type": "object", "properties": fields}
    return Manifest(service=service, release="1", handles=(HandledKind(kind=kind, reads=(1,), data=data),))


SCANS = stated("scan-desk", "scan.requested", page={"type": "integer"})
INVOICES = stated("invoices", "invoice.requested", email={"type": "string", "sensitive": True})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    SecretFiles(tmp_path / "secrets").make_missing(PLACES, built_in_registry())
    return tmp_path / "secrets"


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()
    }


def test_the_first_keys_are_tokens_that_allow_what_they_are_for(folder: Path) -> None:
    keys = {key.name: key for key in SecretFiles(folder).first_keys()}

    assert {name: set(key.scopes) for name, key in keys.items()} == {
        "operator": {Scope.ADMIN},
        "prometheus": {Scope.METRICS},
    }
    for name, key in keys.items():
        assert (folder / name / "waybill_api_key").read_text().strip() == key.secret.token


def test_a_file_that_holds_no_token_is_named(folder: Path) -> None:
    path = folder / "operator" / "waybill_api_key"
    path.chmod(0o600)
    path.write_text("secret\n")
    with pytest.raises(ValueError, match="operator/waybill_api_key has no token") as refused:
        list(SecretFiles(folder).first_keys())
    assert "secret" not in str(refused.value).replace(str(path), "")


def test_every_process_is_given_its_own_urls_and_no_other(folder: Path) -> None:
    for service in built_in_registry().services:
        keys = {"waybill_sealing_keys"} if service != "images" else set()
        assert {path.name for path in (folder / service).iterdir()} == {
            "waybill_amqp_url",
            "waybill_inbox_url",
        } | keys
        broker = URL((folder / service / "waybill_amqp_url").read_text().strip())
        inbox = URL((folder / service / "waybill_inbox_url").read_text().strip())
        assert (broker.user, broker.host, broker.port) == (service, "broker", 5672)
        assert (inbox.user, inbox.host, inbox.path) == (service, "database", f"/inbox_{service}")
    for process in ("gateway", "status", "deadletters"):
        ledger = URL((folder / process / "waybill_ledger_url").read_text().strip())
        assert (ledger.user, ledger.path) == (process, "/ledger")


def test_no_two_passwords_are_the_same(folder: Path) -> None:
    passwords = [
        URL(text.strip()).password for name, text in contents(folder).items() if name.endswith("_url")
    ]
    passwords += [text.strip() for name, text in contents(folder).items() if name.endswith("password")]
    assert len(set(passwords)) == len(passwords)
    assert all(password and len(password) >= 32 for password in passwords)


def test_all_who_make_digests_of_persons_have_one_key(folder: Path) -> None:
    (folder / "status" / "waybill_persons_key").unlink()
    SecretFiles(folder).make_missing(PLACES, built_in_registry())
    keys = [(folder / name / "waybill_persons_key").read_text() for name in ("gateway", "status")]
    assert keys[0] == keys[1]


def test_all_who_seal_and_open_have_one_key_that_stays(folder: Path) -> None:
    sealers = ("gateway", "status", "deadletters", "email", "sync")
    (folder / "email" / "waybill_sealing_keys").unlink()
    SecretFiles(folder).make_missing(PLACES, built_in_registry())
    keys = {(folder / name / "waybill_sealing_keys").read_text().strip() for name in sealers}
    assert len(keys) == 1
    assert len(Keyring.of(keys.pop()).names) == 1


def test_only_its_owner_gets_into_the_folder(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_broker_is_given_hashes_of_the_same_passwords(folder: Path) -> None:
    text = (folder / "rabbitmq" / "definitions.json").read_text()
    users = {user["name"]: user for user in json.loads(text)["users"]}
    assert users.keys() == {"gateway", "status", "deadletters", ADMINISTRATOR, *built_in_registry().services}
    password = URL((folder / "email" / "waybill_amqp_url").read_text().strip()).password or ""
    assert password not in text
    hashed = base64.b64decode(users["email"]["password_hash"])
    assert hashed[4:] == hashlib.sha256(hashed[:4] + password.encode()).digest()
    assert {name for name, user in users.items() if user["tags"]} == {ADMINISTRATOR}


def test_a_second_start_changes_nothing_and_a_file_of_ones_own_stays(folder: Path) -> None:
    own = folder / "email" / "waybill_amqp_url"
    own.chmod(0o644)
    own.write_text("amqp://email:my-own-choice@elsewhere/\n")
    before = contents(folder)
    SecretFiles(folder).make_missing(PLACES, built_in_registry())
    after = contents(folder)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"rabbitmq/definitions.json"}, "its hashes are salted anew"


def test_a_url_without_a_password_is_refused_with_its_file(folder: Path) -> None:
    own = folder / "sync" / "waybill_amqp_url"
    own.chmod(0o644)
    own.write_text("amqp://broker/\n")
    with pytest.raises(ValueError, match=r"sync/waybill_amqp_url has no password"):
        SecretFiles(folder).make_missing(PLACES, built_in_registry())


def test_a_registered_service_gets_what_the_others_have_and_keeps_it(folder: Path) -> None:
    before = contents(folder)
    registry = registry_of(*built_in_manifests(), SCANS, INVOICES)
    SecretFiles(folder).make_missing(PLACES, registry)
    # As at every start, which knows nothing of what is registered.
    SecretFiles(folder).make_missing(PLACES, built_in_registry())

    new = {name: text for name, text in contents(folder).items() if name not in before}
    assert new.keys() == {
        "invoices/waybill_amqp_url",
        "invoices/waybill_inbox_url",
        "invoices/waybill_sealing_keys",
        "scan-desk/waybill_amqp_url",
        "scan-desk/waybill_inbox_url",
    }
    assert new["invoices/waybill_sealing_keys"] == before["gateway/waybill_sealing_keys"]
    document = json.loads((folder / "rabbitmq" / "definitions.json").read_text())
    rights = {each["user"]: each for each in document["permissions"]}
    assert {"invoices", "scan-desk"} <= {user["name"] for user in document["users"]} & rights.keys()
    assert rights["scan-desk"]["read"] == r"^(scan\-desk\.control|scan\-desk\.work)$"


def test_status_and_desk_need_no_new_right_for_a_service_that_is_new(folder: Path) -> None:
    def rights() -> dict[str, dict[str, str]]:
        document = json.loads((folder / "rabbitmq" / "definitions.json").read_text())
        return {each["user"]: each for each in document["permissions"]}

    before = rights()
    SecretFiles(folder).make_missing(PLACES, registry_of(*built_in_manifests(), SCANS))
    assert {user: rights()[user] for user in before} == before


def test_a_retired_service_gets_nothing_and_keeps_what_it_has(tmp_path: Path) -> None:
    registry = registry_of(*built_in_manifests(), SCANS)
    retired = retire(registry, "scan-desk").registry
    files = SecretFiles(tmp_path)
    files.make_missing(PLACES, retired)
    assert not (tmp_path / "scan-desk").exists()
    files.make_missing(PLACES, registry)
    before = (tmp_path / "scan-desk" / "waybill_amqp_url").read_text()
    files.make_missing(PLACES, retired)
    assert (tmp_path / "scan-desk" / "waybill_amqp_url").read_text() == before
