"""The filters that a stack creates, read back from the local AWS, say of every record what the corpus expects."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox.stack_options import SINGLE_USER, given
from tests.unit.audit_corpus import ACCOUNT, PREFIX, SUFFIXES, cases
from tests.unit.pattern_evaluator import filter_matches

Make = Callable[..., Any]


@pytest.mark.slow
def test_a_live_stacks_filters_count_what_the_corpus_expects(sandbox: Any, project_copy: Make) -> None:
    copy = project_copy()
    iam = f"arn:aws:iam::{copy.account}"
    outputs = sandbox.ok(
        "up",
        *copy.options,
        *given(
            encryption="customer-managed",
            rotation=SINGLE_USER,
            redeploy={"cluster": "tickets", "services": {"app": "app"}},
            deployerRoles=[f"{iam}:role/ci/deployer", f"{iam}:user/platform/alice"],
            audit={
                "trustedReaders": [f"{iam}:role/security-auditor", f"{iam}:user/backup"],
                "stateKeyArn": f"arn:aws:kms:{sandbox.region}:{copy.account}:key/99999999-12ab-34cd-56ef-1234567890ab",
                "stateReaders": [f"{iam}:role/platform/Writer"],
            },
            permissionsBoundary=f"{iam}:policy/service-ticket-system-boundary",
        ),
    )["outputs"]
    prefix = outputs["secrets"]["jwt-secret"]["full_name"].removesuffix("-jwt-secret")
    renamed = {ACCOUNT: copy.account, "service-ticket-system-dev": "service-ticket-system-other"}
    renamed |= {f"{PREFIX}-execution": f"{prefix}-app-execution", PREFIX: prefix}
    renamed |= {f"-{suffix}": outputs["secret_arns"][name][-7:] for name, suffix in SUFFIXES.items()}
    renamed["1234abcd-12ab-34cd-56ef-1234567890ab"] = outputs["kms_key_arn"].rpartition("/")[2]

    def here(record: Any) -> Any:
        text = json.dumps(record)
        for old, new in renamed.items():
            text = text.replace(old, new)
        return json.loads(text)

    logs = sandbox.aws("logs", copy)
    filters = logs.describe_metric_filters(logGroupName=f"/aws/cloudtrail/{prefix}")["metricFilters"]

    wrong: dict[str, list[str]] = {}
    for name, event, expected in cases():
        record = here(event)
        fired = {
            one["metricTransformations"][0]["metricName"]
            for one in filters
            if filter_matches(one["filterPattern"], record)
        }
        if fired != set(expected):
            wrong[name] = sorted(fired)
    assert wrong == {}
