"""The stand-ins under the real Pulumi engine: a small program goes up, stays, changes and goes away."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_random as random
import pytest
from pulumi import automation as auto

from sandbox import plugins
from sandbox.providers._resource import ProviderError
from sandbox.providers.aws import AwsPlugin
from sandbox.providers.aws._session import Connection
from sandbox.providers.random_ import RandomPlugin

ACCOUNT = "123456789012"


@pytest.fixture(scope="module")
def engine_environment(
    tmp_path_factory: pytest.TempPathFactory, pulumi_cli: Path, connection: Connection
) -> Iterator[dict[str, str]]:
    """A Pulumi home with both plugins, a state of its own and a passphrase, and nothing of the user's."""
    home = tmp_path_factory.mktemp("engine")
    (home / "state").mkdir()
    with plugins.served({"aws": lambda: AwsPlugin(connection), "random": RandomPlugin}) as places:
        yield {
            "PATH": f"{pulumi_cli.parent}:/usr/bin:/bin",
            "HOME": str(home),
            "PULUMI_HOME": str(home / "pulumi"),
            "PULUMI_BACKEND_URL": (home / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "a passphrase of the test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            **places,
        }


@pytest.fixture
def stack(
    tmp_path: Path, pulumi_cli: Path, engine_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], None]], auto.Stack]:
    """`stack(program)`: a stack of its own for the test, configured as a committed stack file would."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "PULUMI_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "Pulumi.yaml").write_text(f"name: {tmp_path.name.replace('_', '-')}\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text(
        f"config:\n  aws:region: us-east-1\n  aws:allowedAccountIds: ['{ACCOUNT}']\n"
        "  aws:defaultTags: {tags: {project: tickets}}\n"
    )

    def make(program: Callable[[], None]) -> auto.Stack:
        return auto.create_or_select_stack(
            "dev",
            project_name=tmp_path.name.replace("_", "-"),
            program=program,
            opts=auto.LocalWorkspaceOptions(
                work_dir=str(tmp_path),
                env_vars=engine_environment,
                pulumi_command=auto.PulumiCommand(str(pulumi_cli.parent.parent), skip_version_check=True),
            ),
        )

    return make


def program(*, special: bool = False, note: str = "first") -> Callable[[], None]:
    def run() -> None:
        password = random.RandomPassword("password", length=24, special=special)
        secret = aws.secretsmanager.Secret("secret", recovery_window_in_days=0, description=note)
        value = aws.secretsmanager.SecretVersion("value", secret_id=secret.id, secret_string=password.result)
        role = aws.iam.Role(
            "role",
            assume_role_policy=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Action": "sts:AssumeRole",
                            "Effect": "Allow",
                            "Principal": {"Service": "ecs-tasks.amazonaws.com"},
                        }
                    ],
                }
            ),
        )
        task = aws.ecs.TaskDefinition(
            "task",
            family="tickets",
            cpu="256",
            memory="512",
            network_mode="awsvpc",
            requires_compatibilities=["FARGATE"],
            execution_role_arn=role.arn,
            container_definitions=pulumi.Output.json_dumps(
                [
                    {
                        "name": "app",
                        "image": "nginx:1.27",
                        "secrets": [{"name": "DB_PASSWORD", "valueFrom": secret.arn}],
                        "dockerLabels": {"version": value.version_id},
                    }
                ]
            ),
        )
        pulumi.export("account", aws.get_caller_identity().account_id)
        pulumi.export("secret", secret.arn)
        pulumi.export("task", task.arn)
        pulumi.export("password", password.result)

    return run


def operations(result: auto.UpResult | auto.RefreshResult | auto.DestroyResult) -> dict[str, int]:
    return {str(kind): count for kind, count in (result.summary.resource_changes or {}).items()}


def test_a_program_goes_up_stays_changes_and_goes(stack: Any, boto: Any) -> None:
    made = stack(program())
    first = made.up()
    assert operations(first) == {"create": 6}
    assert first.outputs["account"].value == ACCOUNT
    assert first.outputs["password"].secret
    arn = first.outputs["secret"].value
    stored = boto("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    assert stored == first.outputs["password"].value
    assert boto("secretsmanager").describe_secret(SecretId=arn)["Tags"] == [{"Key": "project", "Value": "tickets"}]

    assert operations(made.up(expect_no_changes=True)) == {"same": 6}
    assert operations(made.refresh()) == {"same": 6}

    changed = stack(program(note="second")).up()
    assert operations(changed) == {"update": 1, "same": 5}
    assert boto("secretsmanager").describe_secret(SecretId=arn)["Description"] == "second"

    replaced = stack(program(note="second", special=True)).up()
    assert operations(replaced) == {"replace": 3, "same": 3}  # password, value, task
    assert replaced.outputs["task"].value != first.outputs["task"].value

    assert operations(made.destroy()) == {"delete": 6}
    names = [item["ARN"] for item in boto("secretsmanager").list_secrets()["SecretList"]]
    assert arn not in names


def test_the_state_and_the_log_hold_no_secret_in_the_clear(stack: Any, engine_environment: dict[str, str]) -> None:
    printed: list[str] = []
    made = stack(program())
    value = made.up(on_output=printed.append, debug=True).outputs["password"].value
    state = Path(engine_environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
    files = [path.read_text() for path in state.rglob("*.json*") if path.is_file()]
    assert any("RandomPassword" in text for text in files)
    assert not any(value in text for text in (*files, *printed))
    made.destroy()


def test_what_aws_refuses_is_one_line(stack: Any) -> None:
    def invalid() -> None:
        aws.iam.Role("role", tags={"not:a<tag>": "x"}, assume_role_policy="{}")

    made = stack(invalid)
    with pytest.raises(auto.CommandError) as failure:
        made.up()
    errors = [line for line in str(failure.value).splitlines() if "error:" in line and "IAM" in line]
    assert errors
    assert "creating IAM Role" in errors[0]
    assert "operation error IAM: CreateRole" in errors[0]
    assert "Member must satisfy regular expression pattern" in errors[0]
    assert "Traceback" not in str(failure.value)


def test_an_account_that_is_not_allowed_is_refused(stack: Any, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text(
        "config:\n  aws:region: us-east-1\n  aws:allowedAccountIds: ['999999999999']\n"
    )
    made = stack(program())
    (tmp_path / "Pulumi.dev.yaml").write_text(
        "config:\n  aws:region: us-east-1\n  aws:allowedAccountIds: ['999999999999']\n"
    )
    with pytest.raises(auto.CommandError, match=f"AWS account ID not allowed: {ACCOUNT}"):
        made.up()


@pytest.mark.slow
def test_an_import_takes_a_secret_over_as_it_is(stack: Any, boto: Any) -> None:
    existing = boto("secretsmanager").create_secret(Name="made-by-hand", SecretString="its value", Description="old")
    version = f"{existing['ARN']}|{existing['VersionId']}"

    def adopting() -> None:
        secret = aws.secretsmanager.Secret(
            "secret",
            name="made-by-hand",
            description="old",
            recovery_window_in_days=0,
            opts=pulumi.ResourceOptions(import_=existing["ARN"]),
        )
        aws.secretsmanager.SecretVersion(
            "value", secret_id=secret.id, secret_string="its value", opts=pulumi.ResourceOptions(import_=version)
        )

    made = stack(adopting)
    made.up()
    assert operations(made.up(expect_no_changes=True)) == {"same": 3}
    now = boto("secretsmanager").get_secret_value(SecretId="made-by-hand")
    assert (now["ARN"], now["VersionId"], now["SecretString"]) == (existing["ARN"], existing["VersionId"], "its value")
    made.destroy()


@pytest.mark.slow
def test_each_provider_of_a_program_has_a_configuration_of_its_own(stack: Any, boto: Any) -> None:
    def two_regions() -> None:
        other = aws.Provider("other", region="eu-west-1", default_tags={"tags": {"from": "other"}})
        for name, options in (("here", None), ("there", pulumi.ResourceOptions(provider=other))):
            secret = aws.secretsmanager.Secret(
                name, name=f"two-regions-{name}", recovery_window_in_days=0, opts=options
            )
            pulumi.export(name, secret.arn)

    made = stack(two_regions)
    outputs = made.up().outputs
    assert [outputs[name].value.split(":")[3] for name in ("here", "there")] == ["us-east-1", "eu-west-1"]
    tags = boto("secretsmanager").describe_secret(SecretId="two-regions-here")["Tags"]
    assert tags == [{"Key": "project", "Value": "tickets"}]
    made.destroy()


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://secretsmanager.us-east-1.amazonaws.com",
        "http://10.0.0.1:5000",
        "http://localhost.example.com",
        "file:///127.0.0.1",
        "",
    ],
)
def test_the_stand_in_of_aws_talks_to_this_machine_only(endpoint: str) -> None:
    with pytest.raises(ProviderError, match="only talks to this machine"):
        Connection(endpoint, "test", "test")
