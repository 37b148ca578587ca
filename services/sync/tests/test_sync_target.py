import pytest

from waybill_sync.response_excerpt import MAX_EXCERPT_LENGTH, header_mask, masked_excerpt
from waybill_sync.target import configure_targets
from waybill_worker.errors import PermanentError


def url(resource: str, record_id: str, base: str = "https://crm.test/api/") -> str:
    return configure_targets({"crm": base}, {})["crm"].record_url(resource, record_id)


@pytest.mark.parametrize(
    ("record_id", "path"),
    [
        ("7", "7"),
        ("a b", "a%20b"),
        ("a/b", "a%2Fb"),
        ("a?x=1#y", "a%3Fx%3D1%23y"),
        ("%2e%2e", "%252e%252e"),
        ("..a", "..a"),
        ("é\r\n", "%C3%A9%0D%0A"),
        ("@evil.test:1", "%40evil.test%3A1"),
    ],
)
def test_an_id_stays_one_segment(record_id: str, path: str) -> None:
    assert url("users", record_id) == f"https://crm.test/api/users/{path}"


@pytest.mark.parametrize(
    "segment", ["", ".", "..", "../admin", "a/../../b", "..\\admin", "a/.", "x" * 257, "\ud800"]
)
def test_a_segment_that_steps_out_is_refused(segment: str) -> None:
    with pytest.raises(PermanentError, match="the resource"):
        url(segment, "7")
    with pytest.raises(PermanentError, match="the id"):
        url("users", segment)


@pytest.mark.parametrize(
    "base",
    [
        "",
        "crm.test",
        "ftp://crm.test",
        "https://",
        "https://a:s3cret@crm.test",
        "https://crm.test?k=s3cret",
        "http:///x",
    ],
)
def test_a_base_url_that_is_none_is_refused_without_being_shown(base: str) -> None:
    with pytest.raises(ValueError, match="target 'crm'") as refused:
        configure_targets({"crm": base}, {})

    assert "s3cret" not in str(refused.value)


def test_headers_for_nobody_are_refused() -> None:
    with pytest.raises(ValueError, match="erp"):
        configure_targets({"crm": "http://crm.test"}, {"erp": {}})


@pytest.mark.parametrize(
    "header",
    [
        {"Authorization": "Bearer s3cret\n"},
        {"Authorization": " s3cret"},
        {"Authorization": ""},
        {"X Y": "s3cret"},
        {"idempotency-Key": "s3cret"},
    ],
)
def test_a_malformed_header_is_refused_without_being_shown(header: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="target 'crm'") as refused:
        configure_targets({"crm": "http://crm.test"}, {"crm": header})

    assert "s3cret" not in str(refused.value)


def test_headers_are_not_in_the_representation() -> None:
    targets = configure_targets({"crm": "http://crm.test"}, {"crm": {"Authorization": "Bearer s3cret-word"}})

    assert "s3cret" not in repr(targets)


def test_words_are_masked_and_bounded() -> None:
    body = (
        b'{"t": "s3cret-token", "a": "Basic dXNlcjpw",\n "m": "ada@example.com \x1b[31m \xff"}' + b"x" * 2000
    )

    words = masked_excerpt(body, header_mask(["Bearer s3cret-token"]))

    assert words.startswith('{"t": "***", "a": "Basic ***", "m": "***@*** [31m \ufffd"}xxx')
    assert len(words) == MAX_EXCERPT_LENGTH
    assert words.isprintable()


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("Bearer ab/cd+ef==gh/ij", r'{"token": "ab\/cd+ef==gh\/ij"}'),
        ("Bearer ab/cd+ef==gh/ij", "?token=ab%2Fcd%2Bef%3D%3Dgh%2Fij"),
        ("Bearer ab/cd+ef==gh/ij", "ab/cd&#43;ef&#61;&#61;gh/ij"),
        ("Basic d2F5YmlsbDpzZXNhbWUsb3Blbg==", "no user waybill with sesame,open here: waybill:sesame,open"),
    ],
)
def test_our_secrets_are_masked_however_a_target_writes_them(header: str, said: str) -> None:
    words = masked_excerpt(said.encode(), header_mask([header]))

    assert "***" in words
    for part in ("ab", "gh", "sesame", "open"):
        assert part not in words
