import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple

import pytest

from waybill_email.renderer import Renderer
from waybill_worker.errors import PermanentError

ALERT = {
    "task_id": "0198-task",
    "kind": "email.requested",
    "service": "email",
    "error_type": "PermanentError",
    "error_message": "550 no such user\n<script>alert(1)</script>",
    "attempts": 3,
    "failed_at": "2026-03-05T15:05:00+01:00",
    "task_url": "https://waybill.test/v1/tasks/1?a=1&b=2",
}

GROUP = {
    "service": "sync",
    "kind": "sync.requested",
    "error_type": "PermanentError",
    "error_message": "target 'crm' answered 422:\n<script>alert(1)</script>",
    "count": 1995,
    "last_at": "2026-03-05T15:04:00+01:00",
    "is_new": False,
    "task_url": "https://waybill.test/v1/tasks/1?a=1&b=2",
}
DIGEST = {
    "since": "2026-03-05T14:50:00+01:00",
    "until": "2026-03-05T15:05:00+01:00",
    "failures": 1997,
    "kinds": 3,
    "groups": [GROUP, GROUP | {"service": "email", "count": 1, "is_new": True}],
    "tasks_url": "https://waybill.test/v1/tasks?state=failed",
}


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer()


class WholeMail(NamedTuple):
    subject: str
    text: str
    html: str


def whole(renderer: Renderer, template: str, params: Mapping[str, Any]) -> WholeMail:
    mail = renderer.render(template, params)
    assert mail.text is not None
    assert mail.html is not None
    return WholeMail(mail.subject, mail.text, mail.html)


def test_welcome_greets_by_name_in_all_three_parts(renderer: Renderer) -> None:
    mail = whole(renderer, "welcome", {"name": "Ada"})

    assert mail.subject == "Welcome, Ada"
    assert "Hello Ada," in mail.text
    assert "Welcome, Ada</h1>" in mail.html
    assert "<title>Welcome, Ada</title>" in mail.html


def test_password_reset_shows_the_link_and_the_expiry_in_utc(renderer: Renderer) -> None:
    expires_at = datetime(2026, 3, 5, 16, 5, tzinfo=timezone(timedelta(hours=2)))

    mail = whole(renderer, "password_reset", {"link": "https://app.test/r?t=a&u=b", "expires_at": expires_at})

    assert "https://app.test/r?t=a&u=b\n" in mail.text
    assert 'href="https://app.test/r?t=a&amp;u=b"' in mail.html
    assert "5 March 2026, 14:05 UTC" in mail.text
    assert "5 March 2026, 14:05 UTC" in mail.html
    assert "app.test" not in mail.subject


def test_ops_alert_takes_its_time_as_text_and_keeps_the_error_harmless(renderer: Renderer) -> None:
    mail = whole(renderer, "ops_alert", ALERT)

    assert mail.subject == "[ops] email: email.requested failed (PermanentError)"
    assert "5 March 2026, 14:05 UTC" in mail.text
    assert "<script>alert(1)</script>" in mail.text
    assert "<script>" not in mail.html
    assert "&lt;script&gt;" in mail.html


def test_an_ops_digest_lists_the_groups_with_counts_samples_and_links(renderer: Renderer) -> None:
    mail = whole(renderer, "ops_digest", DIGEST)

    assert mail.subject == "[ops] 1997 more failed for good, 3 kinds of failure"
    for part in (mail.text, mail.html):
        assert "5 March 2026, 13:50 UTC" in part
        assert "5 March 2026, 14:04 UTC" in part
        assert "And 1 kind more." in part
    assert "1995 x sync: sync.requested, PermanentError\n" in mail.text
    assert "1 x email: sync.requested, PermanentError (new)\n" in mail.text
    assert mail.html.count(">new<") == 1
    assert "  target 'crm' answered 422: <script>alert(1)</script>\n" in mail.text
    assert "The latest, 5 March 2026, 14:04 UTC: https://waybill.test/v1/tasks/1?a=1&b=2\n" in mail.text
    assert "<script>" not in mail.html
    assert 'href="https://waybill.test/v1/tasks/1?a=1&amp;b=2"' in mail.html
    assert "\n\n\n" not in mail.text


def test_an_ops_digest_about_one_failure_speaks_of_one(renderer: Renderer) -> None:
    mail = whole(renderer, "ops_digest", DIGEST | {"failures": 1, "kinds": 1, "groups": [GROUP]})

    assert mail.subject == "[ops] 1 more failed for good, 1 kind of failure"
    assert "1 more subtask has failed for good and waits as a dead letter.\n" in mail.text
    assert "kind more" not in mail.text


def test_a_name_is_data_and_never_a_template(renderer: Renderer) -> None:
    mail = whole(renderer, "welcome", {"name": "{{ 7 * 7 }}{% raw %}"})

    assert mail.subject == "Welcome, {{ 7 * 7 }}{% raw %}"


def test_markup_in_a_name_is_escaped_in_html_only(renderer: Renderer) -> None:
    mail = whole(renderer, "welcome", {"name": '<img src=x onerror="x">'})

    assert "<img" not in mail.html
    assert "&lt;img src=x onerror=&#34;x&#34;&gt;" in mail.html
    assert '<img src=x onerror="x">' in mail.text


def test_a_name_brings_no_lines_of_its_own(renderer: Renderer) -> None:
    mail = whole(renderer, "welcome", {"name": "Ada\u2028Your account is blocked"})

    assert mail.subject == "Welcome, Ada Your account is blocked"
    assert "\u2028" not in mail.text + mail.html


def test_control_characters_of_an_error_show_and_keep_no_alert_back(renderer: Renderer) -> None:
    wrong = "\x1b[31mno\x00 such\x9f user\nat all"

    alert = whole(renderer, "ops_alert", ALERT | {"error_message": wrong, "error_type": wrong})
    digest = whole(renderer, "ops_digest", DIGEST | {"groups": [GROUP | {"error_message": wrong}]})

    assert "\ufffd[31mno\ufffd such\ufffd user\nat all" in alert.text
    assert alert.subject.endswith("failed (\ufffd[31mno\ufffd such\ufffd user at all)")
    assert "  \ufffd[31mno\ufffd such\ufffd user at all\n" in digest.text
    for part in (alert.text, alert.html, digest.text, digest.html):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", part)


@pytest.mark.parametrize(
    "faulty",
    [
        pytest.param({"link": "javascript:alert(1)"}, id="script link"),
        pytest.param({"link": 'https://a.test/" onclick="x'}, id="broken out of the attribute"),
    ],
)
def test_a_link_that_is_none_is_refused_without_being_repeated(
    renderer: Renderer, faulty: dict[str, str]
) -> None:
    params = {"expires_at": datetime.now(UTC), **faulty}

    with pytest.raises(PermanentError, match="link") as refused:
        whole(renderer, "password_reset", params)

    assert faulty["link"] not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("missing", sorted(ALERT))
def test_a_missing_parameter_is_named(renderer: Renderer, missing: str) -> None:
    params = {name: value for name, value in ALERT.items() if name != missing}

    with pytest.raises(PermanentError, match=rf"ops_alert got invalid parameters: {missing}: "):
        whole(renderer, "ops_alert", params)


def test_a_time_without_its_offset_is_refused(renderer: Renderer) -> None:
    params = {"link": "https://a.test/", "expires_at": "2026-03-05T15:05:00"}

    with pytest.raises(PermanentError, match="expires_at"):
        whole(renderer, "password_reset", params)


def test_an_unknown_template_names_the_known_ones(renderer: Renderer) -> None:
    with pytest.raises(PermanentError, match="choose one of ops_alert, ops_digest, password_reset, welcome"):
        whole(renderer, "../../etc/passwd", {})


def test_html_mails_load_nothing_from_elsewhere(renderer: Renderer) -> None:
    mails = [
        whole(renderer, "welcome", {"name": "Ada"}),
        whole(renderer, "password_reset", {"link": "https://a.test/", "expires_at": datetime.now(UTC)}),
        whole(renderer, "ops_alert", ALERT),
        whole(renderer, "ops_digest", DIGEST),
    ]
    for mail in mails:
        assert not re.search(r"<(img|link|script|style|iframe)\b|url\(|\bsrc=", mail.html)
        assert '<html lang="en"' in mail.html


def test_rendering_reads_no_files(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("rendering asked the file system")

    monkeypatch.setattr("os.stat", refuse)
    monkeypatch.setattr("os.path.getmtime", refuse)
    monkeypatch.setattr("builtins.open", refuse)

    assert whole(renderer, "welcome", {"name": "Ada"}).subject == "Welcome, Ada"
