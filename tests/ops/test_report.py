"""`ops report`: one page for the reviewer's file, opened in a real browser; hostile text stays text."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from components.policies import identity
from ops.report.gather import Secret, Version
from ops.report.page import Timeline, short
from ops.report.reads import _counted
from tests.ops.conftest import Deployed, Ops

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>{{7*7}}\u202e\x1b[2J"
SHOWN = r"<script>document.title='owned'</script><img src=x onerror=alert(1)>{{7*7}}\u202e\x1b[2J"


def _event(arn: str | None, principal: str, **more: Any) -> dict[str, Any]:
    """A record as in AWS, "Log AWS Secrets Manager events with AWS CloudTrail"; a session's issuer as in "userIdentity"."""
    return {
        "eventVersion": "1.11",
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": "GetSecretValue",
        "eventTime": "2026-11-20T08:15:00Z",
        "userIdentity": {
            "type": "AssumedRole",
            "arn": f"{principal.replace(':iam:', ':sts:').replace('role/', 'assumed-role/')}/session",
            "sessionContext": {"sessionIssuer": {"type": "Role", "arn": principal}},
        },
        "requestParameters": {"secretId": arn} if arn else None,
        "responseElements": None,
        **more,
    }


@pytest.fixture
def reviewed(stack: Deployed, proxy: Any) -> Deployed:
    """A stack with hostile text in it; CloudTrail knows two readers and a refusal."""
    statement = {"Sid": HOSTILE, "Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}
    stack.allow(stack.role_name, statement)
    arn = stack.arn("jwt-secret")
    eve = f"arn:aws:iam::{stack.account}:role/eve"
    # Such a record is real: requestParameters null, the ARN in the message alone (issue tracker of terraform-aws-modules).
    refused = (
        f"User: {eve} is not authorized to perform: secretsmanager:GetSecretValue on resource: {arn} because no policy"
    )
    events = [
        _event(arn, stack.service["execution_role_arn"]),
        _event(arn, stack.service["execution_role_arn"]),
        _event(f"{stack.prefix}-app-config", f"arn:aws:iam::{stack.account}:role/{HOSTILE}"),
        _event(None, eve, errorCode="AccessDenied", errorMessage=refused),
        _event("somebody-elses", eve),
    ]
    answer = {"Events": [{"CloudTrailEvent": json.dumps(event)} for event in events]}
    proxy.before("LookupEvents", lambda: (200, json.dumps(answer).encode()))
    stack.endpoint = proxy.url
    return stack


def test_the_data_holds_what_the_page_holds(reviewed: Deployed, ops: Ops) -> None:
    done = ops(reviewed, "report", "--json")
    assert done.status == 1
    found = done.json
    role = reviewed.service["execution_role_arn"]
    assert found["made_as"].startswith(f"arn:aws:sts::{reviewed.account}:assumed-role/operator/")
    assert {(g["secret"], g["right"]) for g in found["access"]["grants"] if g["principal"] == role and g["wider"]} >= {
        ("jwt-secret", "delete")
    }
    assert {
        (r["principal"].rpartition(":")[2][:12], r["secret"], r["denied"], r["count"]) for r in found["reads"]["reads"]
    } == {
        (role.rpartition(":")[2][:12], "jwt-secret", "", 2),
        ("role/<script", "app-config", "", 1),
        ("role/eve", "jwt-secret", "AccessDenied", 1),
    }
    assert {secret["name"] for secret in found["secrets"]} == set(reviewed.outputs["secret_arns"])
    assert [len(way["variables"]) for way in found["ways"]] == [len(reviewed.service["container_secrets"])]
    assert found["cost"]["monthly_usd"] > 0
    assert any("--everybody" in gap for gap in found["not_looked_at"])
    assert not any(value in done.out + done.err for value in reviewed.values.values())


def test_the_reads_come_from_the_trails_log_group_where_there_is_one(stack: Deployed, ops: Ops, proxy: Any) -> None:
    stack.client("logs").create_log_group(logGroupName=f"/aws/cloudtrail/{stack.prefix}")
    row = {
        "principal": "arn:aws:iam::1:role/r",
        "secret": stack.arn("jwt-secret"),
        "reads": "12",
        "last": "2026-11-20T08:15:00Z",
    }
    cells = [{"field": field, "value": value} for field, value in row.items()]
    proxy.before("StartQuery", lambda: (200, b'{"queryId": "1"}'))
    answers = iter([{"status": "Running", "results": []}, {"status": "Complete", "results": [cells]}])
    proxy.before("GetQueryResults", lambda: (200, json.dumps(next(answers)).encode()))
    stack.endpoint = proxy.url
    done = ops(stack, "report", "--json")
    assert done.status == 0, done.json["not_looked_at"]
    assert [(r["secret"], r["count"]) for r in done.json["reads"]["reads"]] == [("jwt-secret", 12)]
    assert "LookupEvents" not in proxy.seen


def test_what_could_not_be_asked_is_named(stack: Deployed, ops: Ops, proxy: Any) -> None:
    proxy.refuse("LookupEvents", "AccessDeniedException")
    proxy.refuse("DescribeTrails", "AccessDeniedException")
    stack.endpoint = proxy.url
    done = ops(stack, "report", "--json")
    assert done.status == 0, done.err
    gaps = done.json["not_looked_at"]
    assert any(gap.startswith("reads: you are not allowed to call LookupEvents") for gap in gaps)
    assert any(gap.startswith("cost: you are not allowed to call DescribeTrails") for gap in gaps)


def test_nothing_is_overwritten_unasked(reviewed: Deployed, ops: Ops, tmp_path: Path) -> None:
    assert ops(reviewed, "report").status == 2  # a page or data must be asked for
    target, page = tmp_path / "elsewhere", tmp_path / "page.html"
    page.symlink_to(target)
    done = ops(reviewed, "report", "--html", str(page))
    assert (done.status, "--force" in done.err) == (2, True)
    assert ops(reviewed, "report", "--html", str(page), "--force").status == 1
    assert not target.exists()
    assert page.is_file()


def test_rows_of_one_reader_are_added_up() -> None:
    stack: Any = type("Stack", (), {"secret_arns": {"a": "arn:x-AbCdEf"}, "full_names": {"a": "p-a"}})
    row = {"principal": "r", "error": "", "reads": "2", "last": "2026-01-01"}
    rows = [row | {"secret": "arn:x-AbCdEf"}, row | {"secret": "arn:x", "last": "2026-02-01"}, row | {"secret": "p-a"}]
    rows += [row | {"secret": "other"}, {"principal": "r", "secret": "p-a"}]
    assert [(r.principal, r.count, r.last) for r in _counted(stack, rows)] == [("r", 6, "2026-02-01")]


NOW = datetime(2026, 11, 25, tzinfo=UTC)


def _secret(name: str, put: int, due: int | None = None) -> Secret:
    moment = NOW - timedelta(days=put)
    return Secret(
        name, "arn", "operator", moment, moment, None, "", None, NOW + timedelta(days=due) if due else None, (),
        (Version(moment, ("AWSCURRENT",)),),
    )  # fmt: skip


def test_the_time_line_spans_the_oldest_version_and_the_next_rotation() -> None:
    found = Timeline.of([_secret("a", 300), _secret("b", 0, due=100)], NOW)
    assert [found.at(NOW - timedelta(days=days)) for days in (300, 0, -100)] == [0, 75, 100]
    assert found.ticks[0] == (0, "2026-01-29")


@pytest.mark.parametrize(("text", "shown"), [("a" * 34, "a" * 34), ("a" * 17 + "b" * 18, "a" * 16 + "…" + "b" * 17)])
def test_a_box_shows_both_ends_of_a_long_name(text: str, shown: str) -> None:
    assert short(text) == shown


Browser = Callable[..., str]

PROBE = """<script>addEventListener('load', () => {
const rgb = text => text.match(/[\\d.]+/g).map(Number);
const light = text => { const [r, g, b] = rgb(text).map(c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b };
const behind = e => { for (; e; e = e.parentElement) {
  const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)$/.test(c)) return c } };
let worst = 21;
const texts = 'h1,h2,h3,p,td,th,li,dt,dd,a,caption,span,strong,code';
for (const e of document.querySelectorAll(texts)) {
  const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
  worst = Math.min(worst, (a + 0.05) / (b + 0.05)) }
const found = { text: document.body.innerText, worst, paper: getComputedStyle(document.body).backgroundColor,
  title: document.title, wide: document.documentElement.scrollWidth - innerWidth,
  headings: [...document.querySelectorAll('h1,h2,h3')].map(e => e.tagName),
  headless: [...document.querySelectorAll('table')].filter(t => !t.caption || !t.querySelector('th[scope]')).length,
  pictures: [...document.querySelectorAll('svg')].map(e => [e.getAttribute('role'), e.getBoundingClientRect().height]) };
const out = document.createElement('pre'); out.id = 'probe'; out.textContent = JSON.stringify(found);
document.body.replaceChildren(out) })</script>"""
"""What a reader sees, and what a screen reader needs. Contrast: W3C, "Web Content Accessibility Guidelines 2.2", 1.4.3."""


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    """Run headless Chromium on a file, with options; return its standard output."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("NOT RUN: the review page in a real browser; there is no Chromium here: apt-get install chromium")
    fixed = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"]
    fixed += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]

    def run(page: Path, *options: str) -> str:
        profile = tmp_path / "profile"
        command = [executable, *fixed, f"--user-data-dir={profile}", *options, page.as_uri()]
        done = subprocess.run(command, capture_output=True, check=True, timeout=120)
        shutil.rmtree(profile, ignore_errors=True)
        return done.stdout.decode()

    return run


def _probed(page: Path, browser: Browser, *options: str) -> Mapping[str, Any]:
    """What the browser reports about a copy of the page that can run the probe."""
    text = page.read_text(encoding="utf-8")
    copy = page.with_name("probed.html")
    changed = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', lambda _: PROBE, text)
    assert changed != text
    copy.write_text(changed, encoding="utf-8")
    shown = re.search(r'<pre id="probe">(.*?)</pre>', browser(copy, "--dump-dom", *options), re.DOTALL)
    assert shown
    return json.loads(shown[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


@pytest.mark.slow
def test_the_page_in_a_real_browser(reviewed: Deployed, ops: Ops, tmp_path: Path, browser: Browser) -> None:
    page = tmp_path / "page.html"
    assert ops(reviewed, "report", "--html", str(page)).status == 1

    seen = _probed(page, browser)
    # Hostile text is text: it is visible, and no element, no script and no template came of it.
    assert SHOWN in seen["text"]
    assert seen["title"].startswith("Secrets of dev, ")
    # It needs nothing from elsewhere: every address is a place in the page.
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r'(?:src|href|action)="(.)', text)) == {"#"}
    assert "url(" not in text
    dom = browser(page, "--dump-dom")
    assert "<img" not in dom
    assert "<script" not in dom
    assert "owned'" in dom
    # What a reader looks for.
    for text in ("Access", "From container to value", "Age and rotation", "Health", "Reads", "Cost", "Not checked"):
        assert f"\n{text}\n" in seen["text"]
    shown = "Needs attention|delete, not by design|JWT_SECRET|denied (AccessDenied)|administrators and every"
    assert all(text in seen["text"] for text in shown.split("|"))
    assert not any(value in seen["text"] for value in reviewed.values.values())
    # Accessible: one first heading, tables with captions and headers, drawings with a text.
    assert seen["headings"].count("H1") == 1
    assert seen["headless"] == 0
    assert all(role == "img" and height > 50 for role, height in seen["pictures"])
    assert len(seen["pictures"]) == 2
    assert seen["worst"] >= 4.5
    assert seen["wide"] <= 0

    dark = _probed(page, browser, "--blink-settings=preferredColorScheme=0")
    assert dark["paper"] != seen["paper"]
    assert dark["worst"] >= 4.5
    narrow = _probed(page, browser, "--window-size=500,900")
    assert narrow["wide"] <= 0

    paper = tmp_path / "page.pdf"
    browser(page, f"--print-to-pdf={paper}", "--no-pdf-header-footer")
    assert paper.read_bytes().startswith(b"%PDF")


def test_who_is_trusted_and_who_assumes_the_pipelines_roles_stands_in_page_and_data(
    stack: Deployed, ops: Ops, tmp_path: Path
) -> None:
    root, arn = "arn:aws:iam::999999999999:root", f"arn:aws:iam::{stack.account}:role/Platform"
    trust = identity.document([{"Effect": "Allow", "Principal": {"AWS": root}, "Action": "sts:AssumeRole"}])
    stack.client("iam").create_role(RoleName="service-ticket-system-reviewer", AssumeRolePolicyDocument=trust)
    page = tmp_path / "review.html"
    done = ops(stack, "report", "--html", str(page), "--json", "--everybody", "--trusted", arn)
    assert done.json["access"]["trusted"] == [arn]
    text = page.read_text()
    for shown in (
        f"python -m ops report --html review.html --stack dev --everybody --trusted {arn}",
        f"{arn} is trusted (--trusted)",
        "None of their permissions counts as too wide",
        "service-ticket-system-reviewer runs the nightly review",
        f"Assumed by {root}",
    ):
        assert shown in text
    assert not re.search(r"\b1 (statements|rights|failures|warnings|checks)\b", text)


def test_everything_that_scrolls_does_so_by_keyboard_and_a_caption_stays_with_its_table() -> None:
    template = Path("ops/report/page.html").read_text(encoding="utf-8")
    scrolled = re.findall(r'<div class="scroll"[^>]*>', template)
    assert len(scrolled) == template.count("<table>") + template.count("<svg ")
    assert all('tabindex="0"' in one and "aria-label" in one for one in scrolled)
    assert "caption { break-after: avoid" in template
    # A column is never narrower than a word, and a drawing never smaller than its text can be read.
    assert "min-width: 9ch" in template
    assert "min-width: 860px" in template
