"""`ops doctor --explain`: the errors of tasks that do not start, as ECS words them."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ops.doctor.explain import DOCTOR, explain, known, signs

CORPUS: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "corpus" / "stopped.toml").read_text(encoding="utf-8")
)["text"]

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:service-ticket-system-prod-app-config-AbCdEf"
PULL = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed:"
ASM = f"{PULL} unable to retrieve secret from asm:"

CASES = {
    # what nobody in the corpus has had
    "ResourceInitializationError: failed to configure ENI: failed to setup regular eni: netplugin failed with no error message":
    "network-interface",
    'CannotPullContainerError: Get "https://registry.example.com/v2/": net/http: TLS handshake timeout': "network",
    f"{ASM} unexpected ARN format with parameters when trying to retrieve ASM secret": "malformed-arn",
    f"{PULL} invalid ARN format": "malformed-arn",
    f"{ASM} KMSInvalidStateException: key arn:aws:kms:eu-west-1:123456789012:key/1 is pending deletion.": "key-state",
    f"{ASM} ResourceNotFoundException: Secrets Manager can't find the specified secret value for staging label: AWSCURRENT":
    "no-value",
    f"{ASM} InvalidRequestException: You can't perform this operation on the secret because it was marked for deletion.":
    "pending-deletion",
    f"{ASM} ResourceNotFoundException: Secrets Manager can't find the specified secret.": "missing",
    f"{PULL} The task can\N{RIGHT SINGLE QUOTATION MARK}t retrieve the secret with ARN '{ARN}' from AWS Secrets Manager. Check "
    "whether the secret exists in the specified Region.": "missing",
    f"{PULL} unable to retrieve ecr registry auth: AccessDeniedException: not authorized to perform: ecr:GetAuthorizationToken":
    "registry",
    "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
    "ResourceNotFoundException: The specified log group does not exist.": "log-driver",
    "Essential container in task exited": "application",
}  # fmt: skip


@pytest.mark.parametrize("text", CASES)
def test_known_error_is_classified(text: str) -> None:
    found = explain(text)

    assert found is not None
    assert found.cause == CASES[text]
    assert found.fix or found.remark
    assert "{" not in found.fix + found.means


@pytest.mark.parametrize("text", CORPUS, ids=lambda text: text["source"].partition("github.com/")[2] or text["source"])
def test_real_text(text: dict[str, Any]) -> None:
    found = explain(text["said"])

    # What is known not to be told apart stands in the corpus as missed.
    assert (found.cause if found else "") == text.get("missed", text["cause"])
    assert found is None or set(text.get("otherwise", ())) <= set(found.otherwise)


def test_corpus_of_real_texts_is_explained() -> None:
    right = [text for text in CORPUS if "missed" not in text]

    assert len(CORPUS) >= 170
    assert len(right) / len(CORPUS) > 0.95


def test_every_source_can_be_opened() -> None:
    for source in (text["source"] for text in (*CORPUS, *known()["cause"].values()) if "source" in text):
        assert re.fullmatch(_PLACE, source), source


# A page, or of GitHub a thread or a file, with its path.
_OF_GITHUB = r"github\.com/[\w.-]+/[\w.-]+(/(issues|pull|discussions|blob|tree)/\S+| \(\S+/\S+\))"
_PLACE = rf"https://({_OF_GITHUB}|(?!github\.com/)\S+).*"


def test_every_explanation_has_a_fix_or_a_remark_and_no_gap() -> None:
    for text in CORPUS:
        if found := explain(text["said"]):
            assert found.fix or found.remark
            assert not re.search(r"\b(NAME|CLUSTER|SERVICE|KEY)\b|[{]|  ", found.fix)
            assert set(found.otherwise) <= set(known()["cause"])


FETCH = "failed to fetch secret arn:aws:secretsmanager:eu-w..."
DENIED = f"{ASM} AccessDeniedException: User: x is not authorized to perform: secretsmanager:GetSecretValue"
BY_ANOTHER = "because no resource-based policy allows the secretsmanager:GetSecretValue action"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        # Cut off: all causes in their order, and the command that decides.
        (f"{ASM} service call has been retried 1 time(s): {FETCH}", {"cause": "permission", "otherwise": (
            "missing", "no-value", "key-access", "explicit-deny", "pending-deletion", "network"), "fix": DOCTOR}),
        (f"{ASM} service call has been retried 5 time(s): {FETCH}", {"cause": "network", "fix": DOCTOR}),
        (f"{DENIED} on re...", {"cause": "permission", "otherwise": (
            "explicit-deny", "resource-policy", "endpoint-policy", "boundary", "organization-policy")}),
        (f"{ASM} AccessDeniedException: Access to KMS is n...", {"cause": "key-access", "otherwise": ()}),
        (DENIED, {"cause": "permission", "sure": "likely"}),
        (f"{DENIED} on resource: {ARN} {BY_ANOTHER}",
         {"cause": "resource-policy", "fix": f"aws secretsmanager get-resource-policy --secret-id {ARN}"}),
        (f"{DENIED} with an explicit deny in a VPC endpoint policy", {
            "means": "a policy denies secretsmanager:GetSecretValue, whatever others allow: a VPC endpoint policy"}),
        ("... DID NOT\n   contain JSON key\tSMTP_PASSWORD ...",
         {"cause": "json-key", "means": "the secret's JSON has no key SMTP_PASSWORD"}),
        (f"{ASM} failed to fetch secret {ARN}: did not contain json key API_KEY",
         {"fix": f"python -m ops set {ARN} --key API_KEY"}),
    ],
)  # fmt: skip
def test_what_is_said_of_a_text(said: str, expected: dict[str, Any]) -> None:
    found = explain(said)

    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("said", "host"),
    [
        ("dial tcp: lookup secretsmanager.eu-west-1.amazonaws.com: i/o timeout", "secretsmanager.eu-west-1.amazonaws.com"),
        ("CannotPullContainerError: ref pull has been retried 5 time(s): dial tcp 10.0.0.1:443: i/o timeout",
         "the image's registry"),
    ],
)  # fmt: skip
def test_what_can_not_be_reached_is_named(said: str, host: str) -> None:
    found = explain(said)

    assert found is not None
    assert f"can't reach {host}" in found.means


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("because no identity-based policy allows the {} action", {"secretsmanager": "permission", "ssm": "parameter",
            "s3": "environment-file", "ecr": "registry", "logs": "log-driver", "kms": "key-access", "sqs": "denied"}),
        ("because no VPC endpoint policy allows the {} action", "endpoint-policy"),
        ("because no service control policy allows the {} action", "organization-policy"),
        ("because no resource control policy allows the {} action", "organization-policy"),
        ("because no permissions boundary allows the {} action", "boundary"),
        ("because no session policy allows the {} action", "session-policy"),
        ("with an explicit deny in a service control policy", "explicit-deny"),
    ],
)  # fmt: skip
def test_what_iam_names_decides_whatever_was_asked_for(reason: str, cause: str | dict[str, str]) -> None:
    """A right that a VPC endpoint's policy lacks ended as "its policy lacks exactly this ARN"."""
    for service in ("secretsmanager", "ssm", "s3", "ecr", "logs", "kms", "sqs"):
        for action in (f"{service}:GetSomething", f'"{service}:GetSomething"'):
            said = f"{ASM} AccessDeniedException: User: x is not authorized to perform: {action} on resource: y"

            found = explain(f"{said} {reason.format(action)}")

            assert found is not None
            assert found.cause == (cause if isinstance(cause, str) else cause[service])
            assert (found.sure, found.otherwise) == ("certain", ())
            assert "{" not in found.means + found.fix


def test_the_data_is_whole() -> None:
    data = known()
    every = [sign for when in ("", "denial", "later") for sign in signs(when)]
    used = {cause for sign in every for cause in (sign.cause, *sign.otherwise)} | set(data["denied"].values())
    used |= {cause for given in data["undecided"].values() for causes in given.values() for cause in causes}
    used |= {"explicit-deny", "image-missing", "denied"}

    assert used == {name for name, cause in data["cause"].items() if "means" in cause}
    assert len(every) == sum("texts" in cause for cause in data["cause"].values())
    for sign in every:
        assert sign.source, sign.cause
        assert all(text == text.lower() for text in sign.texts)
        assert sign.sure in {"certain", "likely"}
    assert {key for cause in data["cause"].values() for key in cause} == {
        "means", "fix", "remark", "texts", "sure", "otherwise", "source", "when", "of",
    }  # fmt: skip


def test_unknown_error_is_not_guessed() -> None:
    assert explain("the moon is in the wrong quarter") is None


@pytest.mark.parametrize(
    ("text", "stdin", "status", "said"),
    [
        ("Access to KMS is not allowed", b"", 0, "key-access: "),
        ("-", b"... marked for deletion ...", 0, "pending-deletion: "),
        ("no such thing", b"", 1, "ops/doctor/explain.toml has the known ones"),
        ("  ", b"", 2, "--explain needs the text of an error"),
    ],
)
def test_command_needs_no_stack_and_no_credentials(ops: Any, text: str, stdin: bytes, status: int, said: str) -> None:
    done = ops(None, "doctor", "--explain", text, stdin=stdin)

    assert (done.status, said in (done.err if status else done.out)) == (status, True)
