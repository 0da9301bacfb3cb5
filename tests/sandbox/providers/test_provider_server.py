"""What is the same for all resource types: checks, names, secrets, unknown values, tags, errors."""

import importlib.metadata
import json
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, status_pb2

from sandbox.providers._resource import ProviderError
from sandbox.providers._values import UNKNOWN, Secret, decode, encode, has_unknown
from sandbox.providers.aws import AwsPlugin, secretsmanager
from sandbox.providers.aws._session import Connection

SECRET = "aws:secretsmanager/secret:Secret"
ROLE = "aws:iam/role:Role"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
TASK = "aws:ecs/taskDefinition:TaskDefinition"
TRUST = '{"Version":"2012-10-17","Statement":[]}'


# -- what isn't supported, what is wrong --


@pytest.mark.parametrize(
    ("kind", "token", "supported"),
    [
        ("resource type", "aws:dynamodb/table:Table", "resources"),
        ("function", "aws:rds/getCluster:getCluster", "functions"),
    ],
)
def test_what_is_not_supported_is_named_with_what_is(aws: Any, kind: str, token: str, supported: str) -> None:
    with pytest.raises(Exception, match=f"does not support the {kind} {token}; it supports ") as error:
        aws.invoke(token) if kind == "function" else aws.resource(token).check({})
    assert all(known in str(error.value) for known in getattr(AwsPlugin, supported))


@pytest.mark.parametrize(
    ("type_name", "inputs", "failures"),
    [
        (SECRET, {"colour": "red"}, {"colour": "the sandbox's stand-in does not support it"}),
        (ROLE, {}, {"assumeRolePolicy": "is required"}),
        (SECRET, {"recoveryWindowInDays": "soon"}, {"recoveryWindowInDays": "must be of type integer"}),
        (SECRET, {"tags": "a"}, {"tags": "must be of type object"}),
        (LOG_GROUP, {"retentionInDays": 31}, {"retentionInDays": "expected one of 0, 1, 3, 5, 7"}),
        (
            "aws:cloudwatch/eventTarget:EventTarget",
            {"rule": "r", "arn": "a", "inputTransformer": {"inputPaths": {"awsKey": "$.a"}, "inputTemplate": "x"}},
            {"arn": "is an invalid ARN", "inputTransformer": "must not start with AWS"},
        ),
        (
            "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
            {"url": "http://token.example.com", "clientIdLists": [], "thumbprintLists": ["ab"]},
            {
                "url": "must match https://",
                "clientIdLists": "at least one client ID",
                "thumbprintLists": "expected 40 hex digits",
            },
        ),
        (
            "aws:cloudwatch/metricAlarm:MetricAlarm",
            {"comparisonOperator": "x", "evaluationPeriods": 0, "period": 45, "metricName": "m", "statistic": "Sum"},
            {
                "comparisonOperator": "expected one of GreaterThanOrEqualToThreshold",
                "evaluationPeriods": "from 1",
                "period": "expected one of 10, 20, 30 or a multiple of 60, got 45",
            },
        ),
        ("aws:lambda/function:Function", {}, dict.fromkeys(("code", "handler", "role", "runtime"), "is required")),
    ],
)  # fmt: skip
def test_bad_inputs_are_named_with_what_is_allowed(
    aws: Any, type_name: str, inputs: dict[str, Any], failures: dict[str, str]
) -> None:
    _, found = aws.resource(type_name).check(inputs)
    assert {*found} == {*failures}
    assert all(reason in found[key] for key, reason in failures.items())


def test_a_bad_secret_value_is_not_shown(aws: Any) -> None:
    _, found = aws.resource(SECRET).check({"name": Secret("hunter2 hunter2")})
    assert found == {"name": "the value isn't allowed; it is secret and not shown"}


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"recoveryWindowInDays": "7"}, {"recoveryWindowInDays": 7}),
        ({"forceOverwriteReplicaSecret": "true"}, {"forceOverwriteReplicaSecret": True}),
        ({"description": 5}, {"description": "5"}),
        ({"description": True}, {"description": "true"}),
        ({"description": Secret(5)}, {"description": Secret("5")}),
    ],
)
def test_values_are_converted_to_the_property_s_type(
    aws: Any, inputs: dict[str, Any], expected: dict[str, Any]
) -> None:
    checked = aws.resource(SECRET).checked(inputs)
    assert {key: checked[key] for key in expected} == expected


# -- names --


def test_a_resource_without_a_name_gets_one_that_stays(aws: Any, defaults_key: str) -> None:
    life = aws.resource(SECRET, "db-password")
    first = life.checked({})
    stem, digits = first["name"].rsplit("-", 1)
    assert (stem, len(digits)) == ("db-password", 7)
    assert int(digits, 16) >= 0
    assert "name" in first[defaults_key]
    assert life.checked({"description": "x"}, first)["name"] == first["name"]
    assert life.checked({})["name"] != first["name"]


def test_taking_a_name_away_gives_a_new_one(aws: Any) -> None:
    life = aws.resource(SECRET)
    assert life.checked({}, life.checked({"name": "given"}))["name"] != "given"


@pytest.mark.parametrize(
    ("type_name", "logical", "key", "longest", "starts"),
    [
        (ROLE, "r" * 56, "name", 64, "r"),
        ("aws:s3/bucket:Bucket", "MyBucket", "bucket", 63, "mybucket-"),
        ("aws:kms/alias:Alias", "key", "name", 244, "alias/key-"),
        ("aws:kms/alias:Alias", "alias/key", "name", 244, "alias/key-"),
        ("aws:lambda/permission:Permission", "allow", "statementId", 100, "allow-"),
        ("aws:cloudwatch/eventTarget:EventTarget", "notice", "targetId", 64, "notice-"),
    ],
)
def test_names_fit_the_service(aws: Any, type_name: str, logical: str, *, key: str, longest: int, starts: str) -> None:
    inputs, _ = aws.resource(type_name, logical).check({})
    assert inputs[key].startswith(starts)
    assert len(inputs[key]) <= longest


@pytest.mark.parametrize(
    ("type_name", "logical", "key", "reason"),
    [
        (ROLE, "r" * 57, "name", "plus 7 random chars is longer than maximum length 64"),
        ("aws:s3/bucket:Bucket", "b" * 56, "bucket", "plus 7 random chars is longer than maximum length 63"),
        ("aws:sns/topic:Topic", "t" * 73, "name", "plus 7 random chars is longer than maximum length 80"),
        (
            "aws:cloudwatch/eventRule:EventRule",
            "r" * 57,
            "name",
            "plus 7 random chars is longer than maximum length 64",
        ),
        ("aws:sfn/stateMachine:StateMachine", "m" * 73, "name", "expected a text of 1 to 80 characters, got one of 81"),
        ("aws:cloudtrail/trail:Trail", "t" * 121, "name", "expected a text of 3 to 128 characters, got one of 129"),
    ],
)
def test_a_made_name_that_is_too_long_is_refused_and_not_cut(
    aws: Any, type_name: str, logical: str, key: str, reason: str
) -> None:
    """As in pulumi-aws: the bridge's own limit, else the resource's validation of the made name."""
    _, failures = aws.resource(type_name, logical).check({})
    assert reason in failures[key]


@pytest.mark.parametrize(
    ("mode", "expected"), [("PROPOSE", "proposed-1"), ("ENFORCE", "proposed-1"), ("DISABLE", None)]
)
def test_the_project_s_own_naming_rule_is_followed(aws: Any, mode: str, expected: str | None) -> None:
    options = provider_pb2.CheckRequest.AutonamingOptions
    request = provider_pb2.CheckRequest(
        urn=aws.resource(SECRET).urn,
        news=encode({}),
        autonaming=options(proposed_name="proposed-1", mode=getattr(options, mode)),
    )
    assert decode(aws.call("Check", request).inputs).get("name") == expected


def test_a_given_name_is_free_before_the_replacement_takes_it(aws: Any) -> None:
    life = aws.resource(ROLE, "named")
    named = life.create({"name": "fixed-name", "assumeRolePolicy": TRUST})
    difference = life.diff(named, {"name": "fixed-name", "assumeRolePolicy": TRUST, "path": "/new/"})
    assert difference.changes == {"path": "update_replace"}
    assert difference.delete_before_replace
    # The bridge does not compare the names: another explicit name deletes first, too.
    assert life.diff(named, {"name": "another-name", "assumeRolePolicy": TRUST}).delete_before_replace
    assert not life.diff(named, {"name": "fixed-name", "assumeRolePolicy": TRUST, "maxSessionDuration": 7200}).replaces
    unnamed = life.create({"assumeRolePolicy": TRUST})
    assert not life.diff(unnamed, {"assumeRolePolicy": TRUST, "path": "/new/"}).delete_before_replace


# -- differences --


def test_ignored_changes_are_none(aws: Any) -> None:
    life, state = aws.made(SECRET, {"description": "a", "tags": {"x": "1", "y": "1"}})
    news = {"description": "b", "tags": {"x": "2", "y": "1"}}
    assert life.diff(state, news, ignore=["description", "tags.x", "tagsAll"]).changes == {}
    assert {*life.diff(state, news, ignore=["tags.y"]).changes} == {"description", "tags.x", "tagsAll.x"}


def test_what_is_ignored_is_not_updated(aws: Any, boto: Any) -> None:
    life, state = aws.made(SECRET, {"description": "a"})
    life.update(state, {"description": "b"}, ignore=["description"])
    assert boto("secretsmanager").describe_secret(SecretId=state.id)["Description"] == "a"


def test_a_removed_input_is_a_deletion_and_leaves_the_state(aws: Any) -> None:
    key = aws.resource("aws:kms/key:Key").create({}).outputs["arn"]
    life, state = aws.made(LOG_GROUP, {"kmsKeyId": key})
    assert life.diff(state, {}).changes == {"kmsKeyId": "delete"}
    assert life.update(state, {}).outputs["kmsKeyId"] == ""


def test_a_change_behind_our_back_is_seen_and_taken_back(aws: Any, boto: Any) -> None:
    inputs = {"description": "ours", "tags": {"a": "1"}}
    life, state = aws.made(SECRET, inputs)
    boto("secretsmanager").update_secret(SecretId=state.id, Description="theirs")
    boto("secretsmanager").tag_resource(SecretId=state.id, Tags=[{"Key": "extra", "Value": "x"}])
    drifted = life.refresh(state)
    assert drifted.inputs["description"] == "theirs"
    assert life.diff(drifted, inputs).changes == {
        "description": "update",
        "tags.extra": "delete",
        "tagsAll.extra": "delete",
    }
    fixed = life.update(drifted, inputs)
    assert life.refresh(fixed).outputs == state.outputs


def test_an_unknown_value_is_a_change_a_preview_can_show(aws: Any) -> None:
    definitions = json.dumps([{"name": "app", "image": "nginx", "memory": 128}])
    life, state = aws.made(TASK, {"family": "unknowns", "containerDefinitions": definitions, "tags": {"a": "1"}})
    news = {"family": "unknowns", "containerDefinitions": UNKNOWN, "tags": {"a": UNKNOWN}}
    difference = life.diff(state, news)
    assert difference.changes == {
        "containerDefinitions": "update_replace",
        "tags.a": "update",
        "tagsAll": "update",
    }
    assert life.preview(news)["containerDefinitions"] is UNKNOWN


def test_an_unknown_input_is_not_refused(aws: Any) -> None:
    inputs, failures = aws.resource(ROLE).check({"assumeRolePolicy": UNKNOWN, "maxSessionDuration": UNKNOWN})
    assert failures == {}
    assert inputs["assumeRolePolicy"] is UNKNOWN


def test_a_preview_of_an_update_shows_what_stays_and_what_is_made_anew(aws: Any, boto: Any) -> None:
    keys = [aws.resource("aws:kms/key:Key").create({}).id for _ in range(2)]
    life, state = aws.made("aws:kms/alias:Alias", {"targetKeyId": keys[0]})
    shown = life.update(state, {"targetKeyId": keys[1]}, preview=True).outputs
    assert shown["arn"] == state.outputs["arn"]
    assert has_unknown(shown["targetKeyArn"])
    aliases = boto("kms").list_aliases(KeyId=keys[1])["Aliases"]
    assert aliases == []


def test_replacing_is_said_for_each_property(aws: Any) -> None:
    definitions = json.dumps([{"name": "app", "image": "nginx", "memory": 128}])
    life, state = aws.made(TASK, {"family": "replaced", "containerDefinitions": definitions, "cpu": "256"})
    difference = life.diff(state, {"family": "other", "containerDefinitions": definitions, "memory": "512"})
    assert difference.changes == {"cpu": "delete_replace", "family": "update_replace", "memory": "add_replace"}
    assert difference.replaces == ["cpu", "family", "memory"]


# -- secrets --


def test_a_secret_input_is_secret_in_the_state(aws: Any) -> None:
    life, state = aws.made(SECRET, {"description": Secret("hush"), "tags": {"a": Secret("tag")}})
    assert state.outputs["description"] == Secret("hush")
    assert state.outputs["tags"] == Secret({"a": "tag"})
    assert state.outputs["tagsAll"] == Secret({"a": "tag", "project": "tickets"})
    assert state.outputs["name"] == state.inputs["name"]
    refreshed = life.refresh(state)
    assert (refreshed.inputs, refreshed.outputs) == (state.inputs, state.outputs)


def test_an_error_never_holds_a_secret_s_value(aws: Any) -> None:
    value = "hunter2 and more"
    with pytest.raises(Exception, match=r"\[secret\]") as error:
        aws.resource("aws:iam/rolePolicy:RolePolicy").create({"role": Secret(value), "policy": TRUST})
    assert "hunter2" not in str(error.value)


def test_a_bug_is_told_without_its_text(aws: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    value = "hunter2"

    def broken(*_: Any) -> str:
        raise RuntimeError(value)

    monkeypatch.setattr(secretsmanager.Secret, "create", broken)
    with pytest.raises(Exception, match="bug in the sandbox's stand-in: RuntimeError") as error:
        aws.resource(SECRET).create({})
    printed = capfd.readouterr().err
    assert "RuntimeError while creating Secrets Manager Secret" in printed
    assert "in broken" in printed
    assert "hunter2" not in f"{error.value}{printed}"


# -- errors --


def test_aws_s_error_is_one_line_in_the_real_plugin_s_shape(aws: Any) -> None:
    life = aws.resource(SECRET)
    life.create({"name": "taken"})
    with pytest.raises(Exception) as error:  # noqa: PT011 - the text is what is tested
        life.create({"name": "taken"})
    assert str(error.value) == (
        "creating Secrets Manager Secret (taken): operation error Secrets Manager: CreateSecret, "
        "https response error StatusCode: 400, ResourceExistsException: "
        "The operation failed because the secret taken already exists."
    )


def test_a_wrong_type_deep_in_the_inputs_is_told_without_the_value(aws: Any) -> None:
    with pytest.raises(Exception, match=r"Invalid type for parameter Tags\[0\].Value") as error:
        aws.resource(SECRET).create({"tags": {"a": 4711}})
    assert "4711" not in str(error.value)


def test_a_half_made_resource_is_kept_and_finished_later(aws: Any, boto: Any) -> None:
    life = aws.resource(SECRET)
    inputs = life.checked({"policy": json.dumps({"Statement": ["x" * 20_500]})})
    with pytest.raises(grpc.RpcError) as failure:
        aws.stub.Create(provider_pb2.CreateRequest(urn=life.urn, properties=encode(inputs)))
    sent: Any = failure.value
    packed = next(value for key, value in sent.trailing_metadata() if key == "grpc-status-details-bin")
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status_pb2.Status.FromString(packed).details[0].Unpack(detail)
    assert detail.id.startswith("arn:aws:secretsmanager:")
    assert "PutResourcePolicy" in detail.reasons[0]
    assert decode(detail.inputs) == inputs
    state = type(life.create({}))(detail.id, inputs, decode(detail.properties))
    assert boto("secretsmanager").describe_secret(SecretId=detail.id)["Name"] == inputs["name"]
    good = {"name": inputs["name"], "policy": '{"Version":"2012-10-17","Statement":[]}'}
    assert life.diff(state, good).changes == {"policy": "update"}
    assert life.diff(life.update(state, good), good).changes == {}


# -- provider configuration, regions, tags --


@pytest.mark.parametrize(
    "config",
    [
        {"region": "us-east-1"},
        {"region": "us-east-1", "allowedAccountIds": '["123456789012"]'},
        {"region": "us-east-1", "forbiddenAccountIds": '["999999999999"]', "skipCredentialsValidation": "true"},
    ],
)
def test_a_good_configuration_is_taken(unconfigured: Any, config: dict[str, Any]) -> None:
    unconfigured.configure(**config)
    assert unconfigured.check_failures == []
    assert unconfigured.invoke("aws:index/getCallerIdentity:getCallerIdentity")["accountId"] == "123456789012"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"allowedAccountIds": '["999999999999"]'}, "AWS account ID not allowed: 123456789012"),
        ({"forbiddenAccountIds": '["123456789012"]'}, "AWS account ID not allowed: 123456789012"),
        ({"endpoints": '[{"iam":"https://iam.amazonaws.com"}]'}, "only talks to this machine"),
    ],
)
def test_a_bad_configuration_is_refused(unconfigured: Any, config: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message):
        unconfigured.configure(region="us-east-1", **config)


def test_the_region_is_required(unconfigured: Any) -> None:
    answer = unconfigured.call("CheckConfig", provider_pb2.CheckRequest(news=encode({})))
    assert [(item.property, item.reason) for item in answer.failures] == [
        ("region", "is required: pulumi config set aws:region us-east-1")
    ]


def test_a_changed_configuration_is_a_difference(unconfigured: Any) -> None:
    request = provider_pb2.DiffRequest(old_inputs=encode({"region": "a"}), news=encode({"region": "b"}))
    assert list(unconfigured.call("DiffConfig", request).diffs) == ["region"]


def test_the_plugin_says_the_sdk_s_version(aws: Any) -> None:
    answer = aws.call("GetPluginInfo", provider_pb2.ConfigureRequest())
    assert answer.version == importlib.metadata.version("pulumi-aws")


def test_a_resource_s_own_region_is_used(aws: Any, boto: Any) -> None:
    life, state = aws.made(SECRET, {"region": "eu-west-1"})
    assert state.id.split(":")[3] == "eu-west-1"
    assert boto("secretsmanager", "eu-west-1").describe_secret(SecretId=state.id)["ARN"] == state.id
    assert life.refresh(state) == state
    assert life.diff(state, {}).changes == {"region": "update_replace"}


@pytest.mark.parametrize(
    ("region", "partition", "suffix"),
    [("us-gov-west-1", "aws-us-gov", "amazonaws.com"), ("cn-north-1", "aws-cn", "amazonaws.com.cn")],
)
def test_other_partitions(unconfigured: Any, region: str, partition: str, suffix: str) -> None:
    unconfigured.configure(region=region)
    found = unconfigured.invoke("aws:index/getPartition:getPartition")
    assert (found["partition"], found["dnsSuffix"]) == (partition, suffix)
    assert unconfigured.resource(LOG_GROUP).create({}).outputs["arn"].startswith(f"arn:{partition}:logs:{region}:")


def test_default_tags_are_merged_and_the_resource_s_own_win(aws: Any, boto: Any) -> None:
    life, state = aws.made(SECRET, {"tags": {"a": "1", "project": "own"}})
    assert state.outputs["tags"] == {"a": "1", "project": "own"}
    assert state.outputs["tagsAll"] == {"a": "1", "project": "own"}
    plain = life.create({})
    assert (plain.outputs["tags"], plain.outputs["tagsAll"]) == ({}, {"project": "tickets"})
    tags = boto("secretsmanager").describe_secret(SecretId=plain.id)["Tags"]
    assert tags == [{"Key": "project", "Value": "tickets"}]


def test_other_default_tags_change_only_tags(aws: Any, unconfigured: Any, boto: Any) -> None:
    state = aws.resource(SECRET, "retagged").create({"tags": {"a": "1"}})
    unconfigured.configure(region="us-east-1", defaultTags='{"tags":{"owner":"sre"}}')
    life = unconfigured.resource(SECRET, "retagged")
    difference = life.diff(state, {"tags": {"a": "1"}})
    assert difference.changes == {"tagsAll.owner": "add", "tagsAll.project": "delete"}
    life.update(state, {"tags": {"a": "1"}})
    tags = {item["Key"]: item["Value"] for item in boto("secretsmanager").describe_secret(SecretId=state.id)["Tags"]}
    assert tags == {"a": "1", "owner": "sre"}


@pytest.mark.parametrize(
    "endpoint",
    ["https://secretsmanager.us-east-1.amazonaws.com", "http://10.0.0.1:5000", "http://localhost.example.com",
     "file:///127.0.0.1", ""],
)  # fmt: skip
def test_the_stand_in_of_aws_talks_to_this_machine_only(endpoint: str) -> None:
    with pytest.raises(ProviderError, match="only talks to this machine"):
        Connection(endpoint, "test", "test")


# -- data sources --


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("aws:index/getCallerIdentity:getCallerIdentity", {}, {"accountId": "123456789012", "id": "123456789012"}),
        ("aws:index/getRegion:getRegion", {}, {"region": "us-east-1", "name": "us-east-1", "id": "us-east-1"}),
        ("aws:index/getRegion:getRegion", {"region": "eu-west-1"}, {"endpoint": "ec2.eu-west-1.amazonaws.com"}),
        ("aws:index/getPartition:getPartition", {}, {"partition": "aws", "reverseDnsPrefix": "com.amazonaws"}),
    ],
)
def test_data_sources(aws: Any, function: str, arguments: dict[str, Any], expected: dict[str, Any]) -> None:
    found = aws.invoke(function, **arguments)
    assert {key: found[key] for key in expected} == expected


def test_importing_what_does_not_exist_finds_nothing(aws: Any) -> None:
    imports = {
        SECRET: "arn:aws:secretsmanager:us-east-1:123456789012:secret:none-abcdef",
        ROLE: "none",
        LOG_GROUP: "none",
        "aws:ecs/cluster:Cluster": "none",
        "aws:s3/bucket:Bucket": "none-at-all",
    }
    assert [type_name for type_name, name in imports.items() if aws.resource(type_name).imported(name)] == []
