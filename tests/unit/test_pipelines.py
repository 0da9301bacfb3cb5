"""The pipelines of GitHub and GitLab, the hooks before a commit, the updates of dependencies: every command runs or is checked.

Commands on a stack run on the sandbox, in tests/sandbox/test_pipeline.py.
"""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from account.place import place
from tools import pulumi_cli

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
GITLAB = ROOT / ".gitlab-ci.yml"


def load(path: Path) -> dict[Any, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in load(path)["jobs"].items():
            yield path.stem, name, job


def steps() -> Iterator[Mapping[str, Any]]:
    for _, _, job in jobs():
        yield from job["steps"]
    for path in ACTIONS:
        yield from load(path)["runs"]["steps"]


def of_github() -> list[str]:
    return sorted({step["run"] for step in steps() if "run" in step})


def of_gitlab() -> list[str]:
    found: set[str] = set(load(GITLAB)["default"]["before_script"])
    for job in load(GITLAB).values():
        for key in ("before_script", "script", "after_script"):
            found |= set(job.get(key, ())) if isinstance(job, dict) else set()
    return sorted(found)


EVERYTHING = sorted({*of_github(), *of_gitlab()})
ON_THE_SANDBOX = {
    ".ci/stack preview dev", ".ci/stack preview prod", ".ci/stack up dev", ".ci/stack up prod", '.ci/stack review "$STACK"',
}  # fmt: skip
"""Run by tests/sandbox/test_pipeline.py."""
ON_A_BACKUP = {'.ci/stack outputs "$STACK"', '.ci/stack backup "$STACK"'}
"""Run by tests/ops/test_backup_pipeline.py."""
ON_BOTH_PLUGINS = {'make compare STACK="$STACK"'}
"""Run by tests/sandbox/test_official.py."""
THIS_IS_IT = {"make .venv/installed", "make check", ".ci/run"}
"""What runs these tests."""
HERE = {
    '.venv/bin/python -m account.place "$STACK" >> "$GITHUB_OUTPUT"',
    ".venv/bin/pre-commit run secrets --all-files",
    'cat preview.md >> "$GITHUB_STEP_SUMMARY"',
    "cat preview.md",
    'gh pr comment "$NUMBER" --edit-last --create-if-none --body-file preview.md',
}
"""Run below."""


def run(command: str, folder: Path, *, seconds: int = 60, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env={"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": os.devnull, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )


def test_every_command_of_the_pipelines_is_run_by_a_test() -> None:
    assert set(EVERYTHING) == ON_THE_SANDBOX | ON_A_BACKUP | ON_BOTH_PLUGINS | THIS_IS_IT | HERE


@pytest.mark.parametrize("command", EVERYTHING)
def test_every_command_is_good_bash(command: str, tmp_path: Path) -> None:
    script = tmp_path / "command"
    script.write_text(f"#!/usr/bin/env bash\n{command}\n")
    assert run(f"bash -n {script}", tmp_path).returncode == 0
    checked = run(f"shellcheck {script}", tmp_path)
    assert checked.returncode == 0, checked.stdout


def test_no_command_holds_an_expression_that_somebody_outside_could_fill() -> None:
    assert not [command for command in of_github() if "${{" in command]


def test_the_place_is_handed_to_the_steps_that_follow(tmp_path: Path) -> None:
    (command,) = [c for c in EVERYTHING if "account.place" in c]
    (tmp_path / ".venv").symlink_to(BIN.parent)
    environment: dict[str, Any] = {
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "PYTHONPATH": str(ROOT),
        "PYTHONSAFEPATH": "1",
    }
    done = run(command, tmp_path, STACK="prod", **environment)
    assert done.returncode == 0, done.stderr
    found = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert found == place("prod")
    assert re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/.+-deployer", found["deployer"])
    for step in steps():
        for name in re.findall(r"steps\.place\.outputs\.(\w+)", json.dumps(step)):
            assert name in found
    wanted = {step["with"]["role"] for step in steps() if str(step.get("uses", "")).startswith("./")}
    assert wanted == {"backup", "deployer", "previewer", "reviewer"} <= set(found)


@pytest.mark.parametrize("stack", ["nope", "../account/dev"])
def test_a_stack_that_is_none_has_no_place(stack: str) -> None:
    with pytest.raises(SystemExit, match="no stack"):
        place(stack)


def test_the_preview_goes_to_the_summary_and_the_comment(tmp_path: Path) -> None:
    (tmp_path / "preview.md").write_text("No changes.\n")
    (tmp_path / "gh").write_text('#!/bin/sh\nprintf "%s\\n" "$@" > asked\n')
    (tmp_path / "gh").chmod(0o755)
    assert run("cat preview.md", tmp_path).stdout == "No changes.\n"
    summary = tmp_path / "summary"
    assert run('cat preview.md >> "$GITHUB_STEP_SUMMARY"', tmp_path, GITHUB_STEP_SUMMARY=str(summary)).returncode == 0
    assert summary.read_text() == "No changes.\n"
    (command,) = [c for c in EVERYTHING if c.startswith("gh ")]
    done = run(f'PATH="{tmp_path}:$PATH"; {command}', tmp_path, NUMBER="7")
    assert done.returncode == 0, done.stderr
    asked = (tmp_path / "asked").read_text().split()
    assert asked == ["pr", "comment", "7", "--edit-last", "--create-if-none", "--body-file", "preview.md"]


def test_actions_are_official_and_pinned_by_commit_with_their_version() -> None:
    for path in (*WORKFLOWS, *ACTIONS):
        for line in re.findall(r"uses: (.*)", path.read_text(encoding="utf-8")):
            pinned = re.fullmatch(r"(actions|aws-actions)/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
            assert pinned or line == "./.github/actions/stack", line
    # One commit for each action, so that an update leaves none behind.
    used = {step["uses"] for step in steps() if "@" in step.get("uses", "")}
    assert len({name.partition("@")[0] for name in used}) == len(used)


def test_rights_are_the_least_and_stand_at_the_job() -> None:
    for path in WORKFLOWS:
        assert load(path)["permissions"] == {}
        assert "pull_request_target" not in path.read_text(encoding="utf-8")
    for _, name, job in jobs():
        aws = any(str(step.get("uses", "")).startswith("./") for step in job["steps"])
        expected = {"contents": "read", "id-token": "write"} if aws else {"contents": "read"}
        assert job["permissions"] == ({"pull-requests": "write"} if name == "comment" else expected)
        for step in job["steps"]:
            if "checkout@" in step.get("uses", ""):
                assert step["with"] == {"persist-credentials": False}
                assert name != "comment", "the job that writes runs no code of the pull request"


def test_one_update_of_a_stack_at_a_time_and_prod_waits_for_somebody() -> None:
    github = {name: job for _, name, job in jobs()}
    deploying = {
        (n, job["environment"], job["concurrency"]["group"]) for n, job in github.items() if "environment" in job
    }
    assert deploying == {("dev", "dev", "stack-dev"), ("prod", "prod", "stack-prod")}
    assert github["dev"]["needs"] == ["check", "test"]
    assert (github["prod-preview"]["needs"], github["prod"]["needs"]) == ("dev", "prod-preview")
    assert "refs/heads/main" in github["dev"]["if"]
    gitlab = load(GITLAB)
    for stack in ("dev", "prod"):
        assert (gitlab[stack]["resource_group"], gitlab[stack]["environment"]) == (f"stack-{stack}", stack)
    assert gitlab["prod"]["rules"][0]["when"] == "manual"


def test_an_unanswered_approval_of_prod_holds_no_later_run_of_main() -> None:
    """A workflow group lasts as long as its run, approvals included. GitHub keeps one waiting run and cancels the others."""
    pipeline = load(ROOT / ".github" / "workflows" / "pipeline.yml")
    assert "concurrency" not in pipeline
    groups = {name: job.get("concurrency", {}) for name, job in pipeline["jobs"].items()}
    for name in ("check", "test"):
        each = "${{ github.ref == 'refs/heads/main' && github.run_id || github.ref }}"
        assert groups[name]["group"] == f"{name}-{each}"
    assert groups["prod-preview"] == {}, "the preview is finished before anybody approves"
    assert {name for name, group in groups.items() if group.get("cancel-in-progress")} == {"check", "test"}
    named = [group["group"] for group in groups.values() if group]
    assert len({*named}) == len(named)


def test_gitlab_does_what_github_does() -> None:
    stacks = [c for c in of_github() if c.startswith((".ci/", "make", ".venv/bin/pre-commit"))]
    assert set(stacks) - ON_BOTH_PLUGINS == {c for c in of_gitlab() if not c.startswith("cat")}
    for name in ("preview", "dev", "prod-preview", "prod", "review", "backup-outputs", "backup"):
        assert load(GITLAB)[name]["extends"] == ".aws"
    assert load(GITLAB)[".aws"]["id_tokens"] == {"AWS_ID_TOKEN": {"aud": "sts.amazonaws.com"}}


def recipe(target: str) -> list[str]:
    body = re.search(rf"^{target}:[^\n]*\n((?:\t[^\n]*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert body
    lines = [line.strip() for line in body[1].splitlines()]
    return [line.replace("$(BIN)", ".venv/bin") for line in lines if not line.startswith("@#")]


def hooks() -> dict[str, Mapping[str, Any]]:
    (local,) = load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    return {hook["id"]: hook for hook in local["hooks"]}


def test_the_hooks_are_the_commands_of_make_check_and_a_scan_for_secrets(tmp_path: Path) -> None:
    found = hooks()
    scan = found.pop("secrets")
    types = found.pop("types")  # of the files that are committed
    changed, *others = recipe("check")
    assert changed.endswith(f"| xargs -r {types['entry']}")
    assert types["pass_filenames"] is True
    assert [hook["entry"] for hook in found.values()] == [*recipe("style"), *others]
    assert scan["entry"] == ".venv/bin/python tools/scan_secrets.py"
    assert all(hook["pass_filenames"] is False for hook in found.values())
    assert run("pre-commit validate-config", ROOT, HOME=str(tmp_path)).returncode == 0


def test_every_workflow_is_among_those_that_are_checked() -> None:
    commands = " ".join(recipe("style"))
    assert all(
        str(path.relative_to(ROOT)) in commands for path in (*WORKFLOWS, *ACTIONS, GITLAB, ROOT / "renovate.json")
    )


class Releases:
    """A release of the Pulumi CLI, as files."""

    def __init__(self, folder: Path) -> None:
        self.tools = folder / "tools"
        self.tools.mkdir()
        (self.tools / "go.mod").write_text((ROOT / "tools" / "go.mod").read_text())
        (self.tools / "pulumi.sha256").write_text("")
        self.number = pulumi_cli.version(self.tools)
        self.folder = folder / "releases" / f"v{self.number}"
        self.folder.mkdir(parents=True)
        self.url = f"file://{folder}/releases"
        self.publish(b"#!/bin/sh\necho good\n")
        systems = ("darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64")
        names = [f"pulumi-v{self.number}-{name}.tar.gz" for name in systems]
        found = hashlib.sha256((self.folder / pulumi_cli.archive(self.number)).read_bytes()).hexdigest()
        lines = [f"{found}  {name}" for name in (*names, "pulumi-v1.0.0-windows-x64.zip")]
        (self.folder / f"pulumi-{self.number}-checksums.txt").write_text("\n".join(lines))

    def publish(self, program: bytes) -> None:
        with tarfile.open(self.folder / pulumi_cli.archive(self.number), "w:gz") as packed:
            entry = tarfile.TarInfo("pulumi/pulumi")
            entry.size, entry.mode = len(program), 0o755
            packed.addfile(entry, io.BytesIO(program))


def test_a_pipeline_runs_the_cli_of_the_recorded_checksum(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    with pytest.raises(SystemExit, match="make cli-checksums"):
        pulumi_cli.verified(releases.tools, releases.url)
    pulumi_cli.record(releases.tools, releases.url)
    folder = pulumi_cli.verified(releases.tools, releases.url)
    assert run(f"{folder}/pulumi", tmp_path).stdout == "good\n"
    shutil.rmtree(releases.folder)
    assert pulumi_cli.verified(releases.tools, releases.url) == folder, "kept"


@pytest.mark.parametrize("where", ["release", "cache"])
def test_a_cli_with_another_checksum_is_not_unpacked(tmp_path: Path, where: str) -> None:
    releases = Releases(tmp_path)
    pulumi_cli.record(releases.tools, releases.url)
    if where == "cache":
        pulumi_cli.verified(releases.tools, releases.url)
        kept = releases.tools / "bin" / pulumi_cli.archive(releases.number)
        kept.write_bytes(kept.read_bytes() + b"more")
        shutil.rmtree(releases.tools / "bin" / "verified")
    else:
        releases.publish(b"#!/bin/sh\necho evil\n")
    with pytest.raises(SystemExit, match=r"has the checksum .*Nothing was unpacked"):
        pulumi_cli.verified(releases.tools, releases.url)
    assert not list((releases.tools / "bin").glob("*")) if where == "cache" else not (releases.tools / "bin").exists()


def test_with_credentials_a_pipeline_takes_no_cli_from_the_path() -> None:
    script = (ROOT / ".ci" / "stack").read_text(encoding="utf-8")
    assert re.search(r'if \[ -n "\$\{CI:-\}" \]; then\n\s+cli=\$\(python tools/pulumi_cli.py\)\nelse', script)
    assert script.index("tools/pulumi_cli.py") < script.index("AWS_WEB_IDENTITY_TOKEN_FILE")


def test_a_forks_pull_request_is_tested_and_gets_no_credentials() -> None:
    pipeline = load(ROOT / ".github" / "workflows" / "pipeline.yml")
    assert set(pipeline[True]) == {"push", "pull_request"}
    fork = "github.event.pull_request.head.repo.full_name != github.repository"
    for name, job in pipeline["jobs"].items():
        if name in {"check", "test"}:
            assert fork in job["if"]
            assert job["permissions"] == {"contents": "read"}
        else:
            assert "github.event_name == 'push'" in job.get("if", "") or job["needs"] in {"dev", "prod-preview"}
    preview = load(ROOT / ".github" / "workflows" / "preview.yml")["jobs"]["preview"]
    assert preview["if"] == "github.event.pull_request.head.repo.full_name == github.repository"


def test_packages_and_the_build_of_the_cli_are_cached() -> None:
    python = [step for step in steps() if "setup-python@" in step.get("uses", "")]
    assert python
    assert all(step["with"]["cache"] == "pip" for step in python)
    cached = {step["with"]["path"]: step["with"]["key"] for step in steps() if "actions/cache@" in step.get("uses", "")}
    assert "hashFiles('tools/go.sum')" in cached["tools/bin"]
    assert "hashFiles('tools/pulumi.sha256')" in cached["tools/bin/*.tar.gz"]
    assert [part["paths"] for part in load(GITLAB)["default"]["cache"]] == [[".cache/pip"], ["tools/bin"]]


INVENTED = "Zk3vN8qLw2RtXy7BmC5dHf9GjP1sKaE0uTiO"  # each in parts, or the scan would find it here
_LINES = 3 * f"{INVENTED}\n"
_HEX = "97572" + "9fae923d5a4fd12aabfe228f219e9cb0eb5"
PLANTED = {
    "settings.py: AWS": "id = 'AKIA" + "Q3EGRZ7PXLDN5TWV'\nsecret_access_key = '" + INVENTED + "Qm4z'\n",
    "settings.py: GitHub, classic": "token: ghp_" + INVENTED + "\n",
    "settings.py: GitHub, fine-grained": "token = 'github_pat_" + INVENTED[:22] + "_" + (INVENTED + INVENTED)[:59] + "'\n",
    "settings.py: GitLab": "token = 'glpat-" + INVENTED[:20] + "'\n",
    "settings.py: Pulumi": "token = 'pul-" + _HEX + "'\n",
    "settings.py: database URL": "url = 'postgresql://tickets:" + INVENTED[:20] + "@db.internal:5432/tickets'\n",
    "settings.py: private key": "-----BEGIN RSA " + f"PRIVATE KEY-----\n{_LINES}-----END RSA PRIVATE KEY-----\n",
    "Pulumi.prod.yaml: supplied value": f"config:\n  tickets:smtpPassword: {INVENTED}\n",
    "Pulumi.prod.yaml: supplied token": f"config:\n  tickets:cloudflareToken: {INVENTED}\n",
}  # fmt: skip
CLEAN = {
    "settings.py": "host = 'db.internal'\nurl = f'postgresql://{user}:{password}@{host}:5432/tickets'\n",
    "Pulumi.prod.yaml": "config:\n  tickets:host: db.internal\n  tickets:rotatedSecretName: database\n"
    "  tickets:smtpPassword:\n    secure: v1:AbCdEfGhIjKl:MnOpQrStUvWx\n",
    "README.md": "Set it with `pulumi config set --secret smtpPassword`. AKIAIOSFODNN7EXAMPLE is an example.\n",
}


def scan(command: str, folder: Path, home: str) -> subprocess.CompletedProcess[str]:
    """The scanner compiles its rules at its first run: seconds of a processor, minutes of a busy one."""
    return run(command, folder, HOME=home, seconds=600)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A home for the scanner's compiled rules: it spends seconds on them once."""
    return str(tmp_path_factory.mktemp("home"))


def test_the_scan_finds_each_planted_secret_passes_the_rest_and_names_no_value(tmp_path: Path, home: str) -> None:
    folders = {kind: f"{number}/{kind.partition(':')[0]}" for number, kind in enumerate(PLANTED)}
    texts = {path: PLANTED[kind] for kind, path in folders.items()} | {f"clean/{name}": CLEAN[name] for name in CLEAN}
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    done = scan(f"{BIN}/python {ROOT}/tools/scan_secrets.py {' '.join(texts)}", tmp_path, home)
    assert done.returncode == 1, done.stderr
    found = {line.partition(":")[0] for line in done.stdout.splitlines()[:-1]}
    assert found == set(folders.values())
    for value in (INVENTED, INVENTED[:20], _HEX):
        assert value not in done.stdout + done.stderr


def test_the_hook_scans_what_is_committed_and_what_is_known_stays_known(tmp_path: Path, home: str) -> None:
    (tmp_path / ".venv").symlink_to(BIN.parent)
    (tmp_path / "tools").mkdir()
    for name in (".pre-commit-config.yaml", "tools/scan_secrets.py"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    url = PLANTED["settings.py: database URL"]
    (tmp_path / "settings.py").write_text(url)
    hook = "git add -A && .venv/bin/pre-commit run secrets --all-files"
    known = f"git init -q . && git add -A && {BIN}/python tools/scan_secrets.py --all"
    assert scan(known, tmp_path, home).returncode == 0
    (tmp_path / "settings.py").write_text(f"\n\n{url}")  # further down
    assert scan(hook, tmp_path, home).returncode == 0
    (tmp_path / "settings.py").write_text(PLANTED["settings.py: Pulumi"])
    assert scan(hook, tmp_path, home).returncode == 1


LOCKS = ("requirements.txt", "requirements-ops.txt", "requirements-dev.txt")
RENOVATE_TAKES = {
    "--universal", "--generate-hashes", "--python-version", "--output-file", "--constraints", "--no-strip-extras",
    "--no-emit-package", "--index-url", "--emit-index-url", "-v",
}  # fmt: skip
"""Source: renovate, lib/modules/manager/pip-compile/common.ts, allowedOptions of `uv`; options with a value need the `=`."""


@pytest.mark.parametrize("name", LOCKS)
def test_renovate_can_repeat_the_command_that_made_a_lock(name: str) -> None:
    header = re.match(r"(?:#.*\n)+?# {4}(\S+)(.*)\n", (ROOT / name).read_text())
    assert header
    words = f"{header[1]}{header[2]}".split()
    assert words[:3] == ["uv", "pip", "compile"]
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= RENOVATE_TAKES
    assert words[-1] == name.replace(".txt", ".in")
    assert " ".join(words) + " >/dev/null" in [line.replace("$(LOCK)", lock()) for line in recipe("lock")]


def lock() -> str:
    found = re.search(r"^LOCK = (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found
    return found[1]


def test_renovate_keeps_engine_sdk_and_providers_together() -> None:
    config = json.loads((ROOT / "renovate.json").read_text())
    (group,) = [rule for rule in config["packageRules"] if rule.get("groupName") == "pulumi"]
    python = re.findall(r"^(pulumi[\w-]*)==", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    go = re.findall(r"^\s*(github\.com/pulumi/pulumi/\S+) v", (ROOT / "tools" / "go.mod").read_text(), re.MULTILINE)
    assert set(group["matchPackageNames"]) == {*python, *go}
    assert {"pip-compile", "gomod", "github-actions", "gitlabci"} == set(config["enabledManagers"])
    for pattern in config["pip-compile"]["managerFilePatterns"]:
        assert all(re.search(pattern.strip("/"), name) for name in LOCKS)


@pytest.mark.parametrize("folder", [ROOT, ROOT / "account"])
def test_the_cli_itself_refuses_to_be_older_than_what_the_program_needs(folder: Path) -> None:
    assert load(folder / "Pulumi.yaml")["requiredPulumiVersion"] == ">=3.208.0"
    assert "Pulumi CLI 3.208 or later" in (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


def test_the_page_names_no_region_outside_of_the_files_that_it_shows() -> None:
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    commands = re.findall(r"^```(?:bash|console|sh)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert commands
    assert not [command for command in commands if re.search(r"[a-z]{2}-[a-z]+-\d", command)]
