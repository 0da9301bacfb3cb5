"""Checks of the deployed task definition: does each `valueFrom` lead to a secret of this stack, do image and log exist?"""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any, cast

from components.references import parse_value_from
from ops._aws import Aws
from ops._detect import why_secret, why_text_is_secret
from ops._errors import MISSING, aws_errors, code_of
from ops._json import json_object
from ops._stack import Stack, in_sandbox, uses_local_aws
from ops.access.evaluator import parse
from ops.doctor.finding import Finding, again, guarded, put_back, summed_up
from ops.doctor.role import request_context
from ops.doctor.snapshot import Image, Snapshot, TaskDefinition, image_in_ecr

_PROCESSORS = {"X86_64": "amd64", "ARM64": "arm64"}
"""ECS's name of a processor, and an image's."""

_LEAK_CHARACTERS = 8
"""The shortest secret value that is searched for among plain variables; a shorter one would be found by chance."""


def check(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield the findings about the task definition."""
    deployed = snapshot.deployed
    label = deployed.label if deployed else ""
    count = len(list(deployed.references())) if deployed else 0
    yield from summed_up("task-definition", _state(snapshot), ok=f"{label} is active and the newest of its family")
    leads = f"all {count} references lead to secrets of the catalogue"
    yield from summed_up("value-from", _references(snapshot), ok=leads)
    plain = chain(_leaks(snapshot), _written_by_hand(snapshot))
    yield from summed_up("plain-text", plain, ok="no plain variable, command or label holds a secret")


def _state(snapshot: Snapshot) -> Iterator[Finding]:
    stack, deployed, definitions = snapshot.stack, snapshot.deployed, snapshot.definitions
    label = stack.service.task_definition_arn.rpartition("/")[2]
    if deployed is None:
        yield Finding("task-definition", "failure", label, "doesn't exist", put_back(stack))
    elif not deployed.active:
        yield Finding("task-definition", "failure", label, "is deregistered: no new task can use it", put_back(stack))
    for other in snapshot.others:
        if _newer(other, stack):
            found = f"{other.label} is newer than this stack's {label}: it was registered outside Pulumi"
            found += _differences(other, deployed)
            yield Finding("task-definition", "warning", other.label, found, _deregister(stack, other))
    for definition in definitions:
        if (role := definition.execution_role_arn) != stack.service.execution_role_arn:
            found = f"is started by {role}, not by this stack's execution role"
            found = found if role else "has no execution role: ECS can read no secret"
            yield Finding("task-definition", "failure", definition.label, found, *_remedy(stack, definition))


def _differences(other: TaskDefinition, deployed: TaskDefinition | None) -> str:
    """Return what another revision runs instead, as the end of a sentence."""
    if deployed is None:
        return ""
    images = [c.image for c in other.containers], [c.image for c in deployed.containers]
    found = f", with the image {', '.join(images[0])}" if images[0] != images[1] else ""
    if other.architecture != deployed.architecture:
        found += f", for {other.architecture} instead of {deployed.architecture}"
    return found


def _newer(other: TaskDefinition, stack: Stack) -> bool:
    return int(other.arn.rpartition(":")[2]) > int(stack.service.task_definition_arn.rpartition(":")[2])


def _remedy(stack: Stack, definition: TaskDefinition) -> tuple[str, str]:
    """Return the command that takes a revision out of use, and a remark: the program can change only its own."""
    if definition.arn == stack.service.task_definition_arn:
        return put_back(stack), ""
    if _newer(definition, stack):
        return _deregister(stack, definition), ""
    return "", "the check `service` has the command that moves the ECS service to the stack's own revision"


def _deregister(stack: Stack, definition: TaskDefinition) -> str:
    return f"aws ecs deregister-task-definition --task-definition {definition.label} --region {stack.region}"


def _references(snapshot: Snapshot) -> Iterator[Finding]:
    stack = snapshot.stack
    for definition in snapshot.definitions:
        for variable, found in _wrong_variables(snapshot, definition):
            subject = f"{variable} in {definition.label}"
            yield Finding("value-from", "failure", subject, found, *_remedy(stack, definition))


def _wrong_variables(snapshot: Snapshot, definition: TaskDefinition) -> Iterator[tuple[str, str]]:
    """Yield the variables that don't lead where the outputs say, and why."""
    meant = snapshot.stack.service.container_secrets
    for variable, text in definition.references():
        if wrong := _wrong_reference(snapshot, text):
            yield variable, wrong
        elif text != meant.get(variable, text):
            yield variable, f"takes {text}; the stack's outputs say {meant[variable]}"
    for variable in sorted(set(meant) - set(dict(definition.references()))):
        yield variable, "is not among the container's secrets: the application starts without it"
    for container in definition.containers:
        names = Counter(name for name, _ in (*container.secrets, *container.environment))
        for variable in sorted(name for name, count in names.items() if count > 1):
            yield variable, f"is set more than once in container {container.name}: ECS refuses to start it"


def _wrong_reference(snapshot: Snapshot, text: str) -> str | None:
    stack = snapshot.stack
    try:
        reference = parse_value_from(text)
    except ValueError as error:
        unread = f"{text!r} is not the ARN of a secret: ECS reads it as the name of a parameter"
        return str(error) if text.startswith("arn:") else unread
    if reference.arn not in stack.every_secret_arn.values():
        return _stranger(stack, reference.arn)
    record = snapshot.records.get(reference.arn)
    if record and reference.stage and not record.version(reference.stage):
        return f"asks for the version {reference.stage}, which {stack.name_of(reference.arn)} doesn't have"
    return None


def _stranger(stack: Stack, arn: str) -> str:
    fields = arn.split(":")
    if fields[4] != stack.account:
        return f"points to account {fields[4]}; this stack is in {stack.account}"
    if fields[3] != stack.region:
        return f"points to Region {fields[3]}; this stack is in {stack.region}"
    whole = next((own for own in stack.secret_arns.values() if own.rpartition("-")[0] == arn), None)
    if whole:
        return f"lacks the ARN's last part {whole[len(arn) :]}: the role's policy doesn't match it"
    return f"points to {fields[6]}, which is not a secret of this stack"


def _leaks(snapshot: Snapshot) -> Iterator[Finding]:
    stack, known = snapshot.stack, _known(snapshot)
    for definition in snapshot.definitions:
        for container in definition.containers:
            for variable, plain in container.environment:
                names = [name for text, name in known.items() if text in plain]
                found = f"holds the value of {names[0]} in the clear" if names else ""
                if variable in stack.service.container_secrets:
                    found = "is in the clear, it should be a reference"
                if found:
                    yield _in_the_clear(stack, definition, f"{variable} in {definition.label}", found)


def _written_by_hand(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield what commands and labels hold in the clear; in a revision from outside Pulumi also what looks like a secret."""
    stack, known = snapshot.stack, _known(snapshot)
    for definition in snapshot.definitions:
        by_hand = definition.arn != stack.service.task_definition_arn
        for container in definition.containers:
            for where, text in container.texts:
                names = [name for value, name in known.items() if value in text]
                why = f"holds the value of {names[0]} in the clear" if names else by_hand and why_text_is_secret(text)
                if why:
                    yield _in_the_clear(stack, definition, f"{container.name}: {where} in {definition.label}", why)
            for variable, plain in container.environment if by_hand else ():
                reported = variable in stack.service.container_secrets or any(value in plain for value in known)
                if not reported and (why := why_secret(variable, plain)):
                    subject = f"{variable} in {definition.label}"
                    yield _in_the_clear(stack, definition, subject, f"{why} and is in the clear")


def _known(snapshot: Snapshot) -> dict[str, str]:
    """Return the secrets' names by value, those that are too short for a search left out."""
    values = {text: snapshot.stack.name_of(arn) for arn in snapshot.values if (text := snapshot.text(arn))}
    return {text: name for text, name in values.items() if len(text) >= _LEAK_CHARACTERS}


def _in_the_clear(stack: Stack, definition: TaskDefinition, subject: str, found: str) -> Finding:
    text = f"{found}: everybody who can describe the task definition can read it"
    fix, where = _remedy(stack, definition)
    then = "then give the secret a new value; python -m ops migrate clean removes old revisions"
    return Finding("plain-text", "failure", subject, text, fix, f"{where}; {then}" if where else then)


def check_images(aws: Aws, snapshot: Snapshot) -> Iterator[Finding]:
    """Yield whether the images can be pulled."""
    names = sorted({container.image for definition in snapshot.definitions for container in definition.containers})
    outside = [name for name in names if image_in_ecr(name) is None]
    told: list[str] = []
    problems = list(_images(aws, snapshot, names, told))
    if outside:
        told.append(f"not checked, not in ECR: {', '.join(outside)}")
    yield from summed_up("image", problems, ok="; ".join(told))


def _images(aws: Aws, snapshot: Snapshot, names: list[str], told: list[str]) -> Iterator[Finding]:
    """Yield what is wrong with images in ECR; add remarks about the others to `told`."""
    for image in filter(None, map(image_in_ecr, names)):
        try:
            aws.client("ecr", image.region).describe_images(
                registryId=image.account, repositoryName=image.repository, imageIds=[dict(image.identifier)]
            )
        except aws_errors() as error:
            if code_of(error) not in MISSING:
                raise
            no_repository = code_of(error).startswith("Repository")
            if no_repository and uses_local_aws():
                found = "not checked: the sandbox starts no container, so its registry has no such repository"
                yield Finding("image", "ok", image.in_words, found)
                continue
            what = "repository" if no_repository else "tag or digest"
            found = f"can't be pulled: its {what} doesn't exist in ECR"
            remark = "or set another one: pulumi config set image NAME:TAG"
            yield Finding("image", "failure", image.in_words, found, f"docker push {image.name}", remark)
            continue
        yield from guarded("image", partial(_repository, aws, snapshot, image, told), image.in_words)
        built = _processors(aws, image)
        whose = "" if image.account == snapshot.stack.account else f" in the registry of account {image.account}"
        for_what = f"for {', '.join(sorted(built))}"
        told.append(f"{image.name} exists{whose}" + (f", {for_what}" if built else "; its manifest names no processor"))
        for definition in snapshot.definitions:
            wanted = _PROCESSORS.get(definition.architecture, "")
            if built and wanted not in built and image.name in {c.image for c in definition.containers}:
                found = f"is built {for_what}, and {definition.label} starts it on {definition.architecture}"
                yield Finding("image", "failure", image.in_words, found, *_rebuild(snapshot.stack, image.name, built))


def _repository(aws: Aws, snapshot: Snapshot, image: Image, told: list[str]) -> Iterator[Finding]:
    """Yield what in the repository's policy blocks the execution role; add to `told` when it could not be read."""
    stack, role = snapshot.stack, snapshot.role
    if role is None:
        return
    elsewhere = image.account != stack.account
    try:
        text = aws.client("ecr", image.region).get_repository_policy(
            registryId=image.account, repositoryName=image.repository
        )["policyText"]
    except aws_errors() as error:
        if code_of(error) != "RepositoryPolicyNotFoundException":
            if not elsewhere:
                raise
            told.append(f"left out: the repository's policy, which belongs to account {image.account}")
            return
        text = ""
    policy = parse(text, source="the repository's policy") if text else ()
    arn = f"arn:{stack.partition}:ecr:{image.region}:{image.account}:repository/{image.repository}"
    known = request_context(stack, role, arn)
    decision = role.may("ecr:BatchGetImage", arn, known, policy, policy_must_allow=elsewhere)
    who = f"aws ecr get-repository-policy --repository-name {image.repository} --registry-id {image.account} "
    remark = f"{who}--region {image.region} shows it; its owner must allow {role.arn} to pull"
    if decision.statement and decision.outcome == "explicit-deny" and decision.statement in policy:
        found = f"can't be pulled: ecr:BatchGetImage is denied by {decision.statement}"
        yield Finding("image", "failure", image.in_words, found, remark=remark)
    elif elsewhere and decision.outcome == "implicit-deny":
        found = (
            f"can't be pulled: the policy of its repository in account {image.account} doesn't allow ecr:BatchGetImage"
        )
        yield Finding("image", "failure", image.in_words, found, remark=remark)


def _processors(aws: Aws, image: Image) -> set[str]:
    """Return what an image is built for, by its manifest list; empty when it has a single manifest, which doesn't say."""
    answer = aws.client("ecr", image.region).batch_get_image(
        registryId=image.account, repositoryName=image.repository, imageIds=[dict(image.identifier)]
    )
    manifests = [json_object(one.get("imageManifest", "")) or {} for one in answer.get("images", ())]
    listed: list[Any] = [entry for manifest in manifests for entry in cast("Any", manifest.get("manifests")) or ()]
    platforms = [entry.get("platform") or {} for entry in listed]
    return {platform["architecture"] for platform in platforms if platform.get("os") == "linux"}


def _rebuild(stack: Stack, name: str, built: set[str]) -> tuple[str, str]:
    """Return the command that aligns image and processor, and a remark."""
    ours = next((ours for ours, theirs in _PROCESSORS.items() if theirs in built), None)
    build = f"docker buildx build --platform linux/amd64,linux/arm64 --push -t {name} ."
    if ours is None:
        return build, "in the folder of the image's Dockerfile"
    tool = "python -m sandbox" if in_sandbox() else "pulumi"
    set_it = f"{tool} config set cpuArchitecture {ours} --stack {stack.environment}"
    return f"{set_it} && {again(stack)}", f"or build it for both: {build}"


def _rekey(stack: Stack, group: str, region: str) -> str:
    """Return the command that gives a log group the program's key."""
    if stack.kms_key_arn:
        return f"aws logs associate-kms-key --log-group-name {group} --kms-key-id {stack.kms_key_arn} --region {region}"
    return f"aws logs disassociate-kms-key --log-group-name {group} --region {region}"


def check_logs(aws: Aws, snapshot: Snapshot) -> Iterator[Finding]:
    """Yield whether the log groups exist."""
    stack = snapshot.stack
    used = {
        (container.log_group, container.log_region or stack.region)
        for definition in snapshot.definitions
        for container in definition.containers
        if container.log_group
    }

    def problems() -> Iterator[Finding]:
        for name, region in sorted(used | {(stack.service.log_group_name, stack.region)}):
            groups = aws.client("logs", region).describe_log_groups(logGroupNamePrefix=name)["logGroups"]
            if all(group["logGroupName"] != name for group in groups):
                found = f"doesn't exist in {region}: the log driver stops the task"
                yield Finding("log-group", "failure", name, found, put_back(stack))
            for key in (g.get("kmsKeyId") for g in groups if g["logGroupName"] == name):
                if key and key != stack.kms_key_arn:
                    found = f"is encrypted with {key}, not with {stack.kms_key_arn or 'the key of CloudWatch Logs'}"
                    yield Finding("log-group", "warning", name, found, _rekey(stack, name, region))

    yield from summed_up("log-group", problems(), ok=f"{stack.service.log_group_name} exists")
