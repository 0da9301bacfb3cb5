"""The files that a task definition is read from. The shapes are those of the documentation named beside each."""

import json
from pathlib import Path
from typing import Any

import pytest

from ops.migrate._plan import Variables, make
from ops.migrate._target import target_of
from ops.migrate._task_definition import TaskDefinition, TaskDefinitionError, read
from tests.conftest import TICKETS

VALUE = "geheim-geheim-geheim"
CONTAINER = {"name": "api", "image": "app:1", "environment": [{"name": "A", "value": "1"}]}


def _read(tmp_path: Path, name: str, content: object, family: str | None = None) -> TaskDefinition:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read(str(path), family=family)


# AWS CLI reference: describe-task-definition's output, register-task-definition --cli-input-json; Terraform, jsonencode()
FORMS: dict[str, object] = {
    "describe-task-definition": {"taskDefinition": {"family": "old", "containerDefinitions": [CONTAINER]}, "tags": []},
    "register-task-definition": {"family": "old", "containerDefinitions": [CONTAINER]},
    "array": [CONTAINER],
    "one container": CONTAINER,
    "terraform output -json": json.dumps([CONTAINER]),
    "list of describe": [{"taskDefinition": {"containerDefinitions": [CONTAINER]}}],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_each_form_of_json_is_read(tmp_path: Path, form: str, encoding: str) -> None:
    (tmp_path / "td.json").write_text(json.dumps(FORMS[form]), encoding=encoding)
    assert read(str(tmp_path / "td.json")).container("api").plain == {"A": "1"}


def _attributes(**more: Any) -> dict[str, Any]:
    return {
        "arn": "arn:aws:ecs:eu-west-1:123456789012:task-definition/tickets:7", "family": "tickets", "id": "tickets",
        "container_definitions": json.dumps([CONTAINER]), "cpu": "512", "memory": "1024", "network_mode": "awsvpc",
        "requires_compatibilities": ["FARGATE"], "task_role_arn": "arn:aws:iam::123456789012:role/tickets",
        "runtime_platform": [{"cpu_architecture": "ARM64", "operating_system_family": "LINUX"}],
        "volume": [{"name": "d", "host_path": "", "efs_volume_configuration": [{"file_system_id": "fs-0a1b2c3d",
            "authorization_config": [{"access_point_id": "fsap-1"}]}], "docker_volume_configuration": []}],
        "tags_all": {"a": "b"}, "skip_destroy": False, "track_latest": False, **more,
    }  # fmt: skip


# Terraform: "JSON Output Format" (show -json), state version 4, plan
def _module(**more: Any) -> dict[str, Any]:
    return {"root_module": {"resources": [{"address": "t", "values": _attributes(**more)}]}}


_OUTPUTS = {"family": "tickets", "networkMode": "awsvpc", "containerDefinitions": json.dumps([CONTAINER])}
TERRAFORM: dict[str, dict[str, Any]] = {
    "state": {
        "version": 4,
        "resources": [{"type": "aws_ecs_task_definition", "name": "t", "instances": [{"attributes": _attributes()}]}],
    },
    "show -json": {"format_version": "1.0", "values": {"root_module": {"child_modules": [_module()["root_module"]]}}},
    "show -json of a plan": {
        "planned_values": _module(),
        "prior_state": {"values": _module(family="before")},
        "resource_changes": [{"change": {"after": _attributes(family="other")}}],
    },
    "pulumi stack export": {
        "deployment": {
            "resources": [{"inputs": {"family": "x", "containerDefinitions": "[]"}, "outputs": _OUTPUTS}],
        }
    },
}


@pytest.mark.parametrize("form", TERRAFORM)
def test_terraforms_and_pulumis_states_are_read(tmp_path: Path, form: str) -> None:
    task = _read(tmp_path, "terraform.tfstate", TERRAFORM[form])
    assert (task.family, task.document["networkMode"]) == ("tickets", "awsvpc")
    assert task.container("api").plain == {"A": "1"}
    if form != "pulumi stack export":
        assert (task.cpu, task.memory, task.architecture) == ("512", "1024", "ARM64")
        (volume,) = task.document["volumes"]
        assert volume["efsVolumeConfiguration"] == {
            "fileSystemId": "fs-0a1b2c3d",
            "authorizationConfig": {"accessPointId": "fsap-1"},
        }
        assert not {"tagsAll", "id", "skipDestroy"} & set(task.document)


# CloudFormation user guide, AWS::ECS::TaskDefinition; what `cdk synth --json` writes for ecs.Secret and ecs.LogDrivers
TEMPLATE = """
Parameters:
  Tag: {Type: String, Default: "2.4"}
  Password: {Type: String, NoEcho: true}
Resources:
  Other: {Type: AWS::SNS::Topic}
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: tickets
      Cpu: 1 vCPU
      RequiresCompatibilities: [FARGATE]
      Volumes: [{Name: d, EFSVolumeConfiguration: {FilesystemId: fs-0a1b2c3d}}]
      ContainerDefinitions:
        - Name: api
          Image: !Join [":", [app, !Ref Tag]]
          Essential: true
          PortMappings: [{ContainerPort: 3000}]
          Environment:
            - {Name: LEVEL, Value: info}
            - {Name: NUMBER, Value: 010}
            - {Name: FLAG, Value: yes}
            - {Name: URL, Value: !Sub "https://${Host}/"}
            - {Name: DB_PASSWORD, Value: !Ref Password}
            - !Ref AWS::NoValue
          Secrets:
            - {Name: JWT_SECRET, ValueFrom: !Ref Secret}
          DockerLabels: {Com.Example.Owner: tickets}
          LogConfiguration: {LogDriver: awslogs, Options: {awslogs-group: !Ref Logs}}
"""


def test_a_cloudformation_template_is_read(tmp_path: Path) -> None:
    task = _read(tmp_path, "template.yaml", TEMPLATE)
    api = task.container("api")
    assert (task.family, task.cpu, api.image, api.port) == ("tickets", "1024", "app:2.4", 3000)
    assert api.plain == {"LEVEL": "info", "NUMBER": "010", "FLAG": "yes"}
    assert {name: why.partition(" returns")[0] for name, why in api.unread.items()} == {
        "URL": "CloudFormation's Fn::Sub",
        "DB_PASSWORD": "CloudFormation's Ref",
        "JWT_SECRET": "CloudFormation's Ref",
    }
    assert task.document["volumes"] == [{"name": "d", "efsVolumeConfiguration": {"fileSystemId": "fs-0a1b2c3d"}}]
    assert api.document["dockerLabels"] == {"Com.Example.Owner": "tickets"}


def test_a_file_with_several_task_definitions_wants_a_choice(tmp_path: Path) -> None:
    both = {
        "Resources": {name: {"Properties": {"ContainerDefinitions": [{**CONTAINER, "Name": name}]}} for name in "AB"}
    }
    with pytest.raises(TaskDefinitionError, match=r"has 2 task definitions: --family A \| B"):
        _read(tmp_path, "t.json", both)
    with pytest.raises(TaskDefinitionError, match="has no task definition C, but A, B"):
        _read(tmp_path, "t.json", both, "C")
    assert _read(tmp_path, "t.json", both, "B").name == "B"


# Compose Specification: services, environment, ports, healthcheck, interpolation
COMPOSE = """
name: tickets
x-common: &common
  environment:
    LEVEL: info
services:
  api:
    build: .
    image: app:${TAG:-2.4}
    command: node server.js --port "3000"
    ports: ["127.0.0.1:8080:3000", "9090-9092:9090-9092/udp"]
    environment:
      - PLAIN=1
      - FROM_SHELL
      - EMPTY=
      - URL=postgres://app:${DB_PASSWORD}@db/x
      - PRICE=5$$
    env_file: [.env, {path: more.env}]
    healthcheck: {test: curl -f localhost, interval: 10s}
    cap_add: [NET_ADMIN]
    depends_on: [db]
    gpus: all
  db:
    <<: *common
    image: postgres:16
    ports: [22:22]
    environment:
      POSTGRES_PASSWORD: geheim-geheim-geheim
      OCTAL: 0755
      SWITCH: on
      NOTHING:
volumes: {}
"""


def test_a_compose_file_is_read(tmp_path: Path) -> None:
    task = _read(tmp_path, "docker-compose.yml", COMPOSE)
    api, db = task.containers
    assert (task.name, api.image, api.ports) == ("tickets", "app:2.4", [("3000", "tcp"), ("9090-9092", "udp")])
    assert api.plain == {"PLAIN": "1", "EMPTY": "", "PRICE": "5$"}
    assert api.unread["FROM_SHELL"].startswith("Compose takes it from the shell")
    assert api.unread["URL"].startswith("Compose takes DB_PASSWORD from the shell or .env: `docker compose config")
    assert api.document["command"] == ["node", "server.js", "--port", "3000"]
    assert api.texts["healthCheck.command"] == "CMD-SHELL curl -f localhost"
    assert [file["value"] for file in api.document["environmentFiles"]] == [".env", "more.env"]
    assert api.document["linuxParameters"] == {"cap_add": ["NET_ADMIN"]}
    assert api.document["compose.gpus"] == "all"
    assert db.plain == {"POSTGRES_PASSWORD": VALUE, "OCTAL": "0755", "SWITCH": "on"}
    assert (set(db.unread), db.ports) == ({"NOTHING"}, [("22", "tcp")])


# python-dotenv's documentation, "File format"
ENV = """# a comment
export A=1
B='single ${X}'
C="double ${A}"
D=two words # a comment
E=
F
A=last
MULTI="one
two"
"""


def test_an_env_file_is_read(tmp_path: Path) -> None:
    (container,) = _read(tmp_path, ".env.production", ENV).containers
    assert container.plain == {"A": "last", "B": "single ${X}", "D": "two words", "E": "", "F": "", "MULTI": "one\ntwo"}
    assert container.unread == {"C": "the file takes it from A"}


NOT = "which is not supported; supported are a task definition"

# Of serverless/examples, aws-node-rest-api-with-dynamodb/serverless.yml, rebuilt.
SERVERLESS = f"""
service: todo-api
provider: {{name: aws, environment: {{TODO_TOKEN: {VALUE}}}}}
functions: {{create: {{handler: todos/create.create}}}}
resources: {{Resources: {{Table: {{Type: 'AWS::DynamoDB::Table'}}}}}}
"""

# Of actions/starter-workflows, deployments/aws.yml, rebuilt.
WORKFLOW = f"""
name: Deploy to Amazon ECS
on: {{push: {{branches: [main]}}}}
env: {{ECS_TASK_DEFINITION: .aws/task-definition.json, TOKEN: {VALUE}}}
jobs: {{deploy: {{runs-on: ubuntu-latest, steps: [{{uses: actions/checkout@v4}}]}}}}
"""
HELM = f"replicaCount: 1\nimage: {{repository: nginx}}\nenv: {{A: {VALUE}}}\n"
GITLAB = f"deploy:\n  script: [echo]\n  variables: {{A: {VALUE}}}\n"
DOCKERFILE = f"FROM python:3.10\nENV TOKEN {VALUE}\n"
PIPELINE = "name: p\nsource: {provider: GitHub}\nstages: [{name: test}]\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("main.tf", 'resource "x" "y" {}', "is Terraform's language: `terraform show -json > FILE`"),
        ("t.json", '{"cpu": ${cpu}}', "line 1, column 9.*; it is a template: scan what it renders to"),
        ("t.json", f'{{"a": "{VALUE}"', "is not JSON: line 1, column"),
        ("t.json", {"apiVersion": "v1", "kind": "Pod", "spec": VALUE}, f"is a Kubernetes manifest, {NOT}"),
        ("serverless.yml", SERVERLESS, f"is a serverless.yml of the Serverless Framework, {NOT}"),
        ("values.yaml", f"app:\n  env: {{A: {VALUE}}}\n", f"is a file of Helm, {NOT}"),
        ("prod.yaml", HELM, f"is a file of Helm, {NOT}"),
        ("deployment.yaml", "kind: Deployment\nspec: {{ .Values.replicaCount }}\n", f"is a file of Helm, {NOT}"),
        ("aws.yml", WORKFLOW, f"is a workflow of GitHub Actions, {NOT}"),
        (".gitlab-ci.yml", GITLAB, f"is a pipeline of GitLab, {NOT}"),
        ("application.properties", f"spring.datasource.password={VALUE}\n", f"is a .properties file of Java, {NOT}"),
        ("Dockerfile", DOCKERFILE, "is a Dockerfile, whose ENV lines every task .*; supported are"),
        ("Dockerfile.backend", DOCKERFILE, "is a Dockerfile"),
        ("manifest.yml", "name: web\ntype: Static Site\n", f"is a Static Site of AWS Copilot, {NOT}"),
        (
            "manifest.yml",
            "name: test\ntype: Environment\n",
            f"is an environment or pipeline manifest of AWS Copilot, {NOT}",
        ),
        ("manifest.yml", PIPELINE, f"is an environment or pipeline manifest of AWS Copilot, {NOT}"),
        ("t.json", {"planned_values": {}, "terraform_version": "1"}, "only after the apply"),
        ("t.json", {"Resources": {}}, "is a CloudFormation template without AWS::ECS::TaskDefinition; supported are"),
        ("t.json", json.dumps(VALUE), "no containerDefinitions"),
        ("t.json", "5", "no containerDefinitions"),
        ("t.json", "[" * 200_000, "nested too deeply"),
        ("c.yml", f"services: [{VALUE}", "is not YAML: line 1, column"),
        ("c.yml", f"services: {{a: {VALUE}}}", "has no services"),
        ("c.yml", "a: &a [1]\nb: *c", "is not YAML: line 2"),
        ("c.yml", "!!python/object/apply:os.system [id]", "is not YAML"),
        (".env", f"={VALUE}", "line 1 can't be read"),
        (".env", "# nothing", "sets no variable"),
    ],
)
def test_what_is_not_read_says_what_is_and_quotes_nothing(
    tmp_path: Path, name: str, content: object, message: str
) -> None:
    with pytest.raises(TaskDefinitionError, match=message) as refused:
        _read(tmp_path, name, content)
    assert VALUE not in str(refused.value)


def test_endless_aliases_are_refused(tmp_path: Path) -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12))
    with pytest.raises(TaskDefinitionError, match="is too large"):
        _read(tmp_path, "c.yaml", f"l0: &l0 [x]\n{levels}\n")


_VOLUME = {"name": "v", "dockerVolumeConfiguration": {"driverOpts": {"o": f"username=u,password={VALUE}"}}}
PLACES: dict[str, dict[str, Any]] = {
    "volumes": {"volumes": [_VOLUME]},
    "proxyConfiguration": {"proxyConfiguration": {"properties": [{"name": "API_TOKEN", "value": VALUE}]}},
    "tags": {"tags": [{"key": "db-password", "value": VALUE}]},
}
PLACES_OF_CONTAINER: dict[str, dict[str, Any]] = {
    "firelensConfiguration": {"firelensConfiguration": {"options": {"config-token": VALUE}}},
    "logConfiguration": {"logConfiguration": {"logDriver": "splunk", "options": {"splunk-token": VALUE}}},
    "command": {"command": ["app", "--db-password", VALUE]},
    "entryPoint": {"entryPoint": ["sh", "-c", f"export API_KEY={VALUE}; app"]},
    "healthCheck": {"healthCheck": {"command": ["CMD-SHELL", f"redis-cli -a {VALUE} ping"]}},
    "dockerLabels": {"dockerLabels": {"traefik.auth.users": "admin:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/"}},
    "repositoryCredentials": {"repositoryCredentials": {"credentialsParameter": f"user:{VALUE}"}},
    "systemControls": {"systemControls": [{"namespace": "x", "value": "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"}]},
    "extraHosts": {"extraHosts": [{"hostname": f"https://u:{VALUE}@h", "ipAddress": "10.0.0.1"}]},
}


@pytest.mark.parametrize("where", [*PLACES, *PLACES_OF_CONTAINER])
def test_every_place_is_searched_for_a_secret(tmp_path: Path, where: str) -> None:
    container = {"name": "api", "image": "shop/api:1.0.0", **PLACES_OF_CONTAINER.get(where, {})}
    content = {**PLACES.get(where, {}), "containerDefinitions": [container]}
    task = _read(tmp_path, "t.json", {"networkMode": "awsvpc", **content})
    plan = make(task, {"api": "app"}, {"api": Variables({})}, target_of("dev", TICKETS), "dev")
    (part,) = plan.not_carried()
    assert part.where == where
    assert any(word in part.why for word in (" sets ", "holds a", "passes a", "stands where"))
    assert VALUE not in part.why
