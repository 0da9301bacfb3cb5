"""Every command, each API in turn broken in five ways: one clear error, no traceback, and nothing half done that isn't reported.

The whole table is `slow`; a sample of it runs always.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

Stack = Any  # conftest.Deployed

COMMANDS: dict[str, tuple[tuple[str, ...], bytes]] = {
    "list": (("list",), b""),
    "describe": (("describe", "jwt-secret"), b""),
    "history": (("history", "jwt-secret"), b""),
    "reveal": (("reveal", "jwt-secret", "--yes"), b""),
    "set": (("set", "jwt-secret", "--yes"), b"a-new-value-of-the-operator-1"),
    "set a key": (("set", "app-config", "--key", "API_KEY", "--yes"), b"a-new-value-of-the-operator-2"),
    "rollback": (("rollback", "jwt-secret", "--yes"), b""),
    "exec": (("exec", "--yes"), b""),
    "access": (("access",), b""),
    "cost": (("cost",), b""),
    "doctor": (("doctor",), b""),
    "report": (("report", "--json"), b""),
    "backup": (("backup", "--to", "{path}", "--kms-key", "{key}"), b""),
}
MODES = ("403", "throttled", "500", "html", "nothing")
GAPS = {"doctor", "report", "access", "history", "cost", "list", "exec"}
"""Commands that name what they could not check: they show the rest, or run nothing, and the status is about the stack."""


def answer(mode: str, action: str, *, in_json: bool) -> tuple[int, bytes]:
    code, status = {"403": ("AccessDeniedException", 403), "throttled": ("ThrottlingException", 400)}.get(
        mode, ("InternalFailure", 500)
    )
    if mode == "nothing":
        return 0, b""
    if mode == "html":
        return 200, b"<html><body>Sign in to the hotel's network</body></html>"
    if in_json:
        return status, json.dumps({"__type": code, "message": f"not authorized to perform: {action}"}).encode()
    error = f"<Error><Code>{code}</Code><Message>not authorized to perform: {action}</Message></Error>"
    return status, f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>".encode()


def state(stack: Stack) -> dict[str, Any]:
    """Every secret with its versions and labels."""
    return {
        name: stack.secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
        for name, arn in stack.outputs["secret_arns"].items()
    }


@dataclass(frozen=True)
class Trial:
    """A command on a stack behind a proxy."""

    stack: Stack
    ops: Any
    proxy: Any
    name: str
    folder: Path
    key: str

    def run(self, path: Path) -> Any:
        arguments, stdin = COMMANDS[self.name]
        words = [word.format(path=path, key=self.key) for word in arguments]
        environment = {"AWS_MAX_ATTEMPTS": "1"}
        if self.name == "exec":
            words += ["--outputs", str(self.stack.outputs_file), "--", "true"]
            with mock.patch(
                "ops.execute.os.execve", side_effect=SystemExit(0)
            ):  # it would replace the tests' own process
                return self.ops(None, *words, env=self.stack.variables | environment)
        return self.ops(self.stack, *words, stdin=stdin, env=environment)

    def cases(self) -> list[tuple[str, str]]:
        """Return each API that the command asks, with each way in which it can break."""
        done = self.run(self.folder / "whole")
        assert done.status in {0, 1}, done.err
        return [(action, mode) for action in dict.fromkeys(self.proxy.seen) for mode in MODES]

    def look(self, action: str, mode: str) -> None:
        before = state(self.stack)
        self.proxy.forget()
        self.proxy.before(action, lambda: answer(mode, action, in_json=action in self.proxy.in_json))
        path = self.folder / f"{action.replace('/', '_')[:40]}-{mode}"

        done = self.run(path)

        self.proxy.forget()
        told = f"{self.name}, {action}, {mode}: {done.status}\n{done.out[-600:]}\n{done.err}"
        assert "Traceback" not in done.out + done.err, told
        assert "a bug in this tool" not in done.err, told
        assert done.err.count("error: ") <= 1, told
        if self.name not in GAPS and done.status:
            assert done.status == 2, told
            assert done.err.count("error: ") == 1, told
        if state(self.stack) != before:  # done, or reported as done
            assert done.status == 0 or "is AWSCURRENT now" in done.err, told
        assert not [one for one in self.folder.iterdir() if "partial" in one.name], told
        assert done.status == 0 or not path.exists(), told


@pytest.fixture
def trial(deploy: Any, ops: Any, proxy: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Trial:
    stack = deploy("dev")
    stack.secrets.put_secret_value(SecretId=stack.arn("jwt-secret"), SecretString="a-value-from-before-0123456789")
    key = stack.client("kms").create_key()["KeyMetadata"]["Arn"]
    stack.described = {name: {**one, "parts": {}} for name, one in stack.described.items()}  # the operator's own
    stack.write_outputs()
    stack.endpoint = proxy.url
    folder = tmp_path / "files"
    folder.mkdir()
    return Trial(stack, ops, proxy, request.param, folder, key)


@pytest.mark.parametrize("trial", COMMANDS, indirect=True)
def test_a_broken_answer_is_one_clear_error(trial: Trial) -> None:
    every = trial.cases()
    # The first API and the last one, and two between, each broken in another way.
    for at in dict.fromkeys((0, len(every) // 3 + 1, 2 * len(every) // 3 + 2, len(every) - 1)):
        trial.look(*every[at])


@pytest.mark.slow
@pytest.mark.parametrize("trial", COMMANDS, indirect=True)
def test_every_broken_answer_is_one_clear_error(trial: Trial) -> None:
    for case in trial.cases():
        trial.look(*case)
