"""Messages of the sandbox name commands that work there."""

import pytest

from sandbox.local_commands import local

UP, SET = "python -m sandbox up --stack dev", "python -m sandbox config set"


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("  cpu  is 3  pulumi config set cpu NUMBER --stack dev", f"  cpu  is 3  {SET} cpu NUMBER --stack dev"),
        ("set it: pulumi config set --secret jwtSecret", f"set it: {SET} --secret jwtSecret --stack dev"),
        ("pulumi config set --stack dev --secret jwtSecret", f"{SET} --secret jwtSecret --stack dev"),
        ("pulumi config set --path 'names[0]' VALUE --stack dev", f"{SET} 'names[0]' VALUE --stack dev"),
        ("pulumi config set --path rotations.jwtSecret 3", f"{SET} rotations.jwtSecret 3 --stack dev"),
        ("pulumi config set --plaintext --path foreignSecrets.db ARN", f"{SET} foreignSecrets.db ARN --stack dev"),
        (
            "belongs to no secret: pulumi config rm oldKey --stack dev",
            "belongs to no secret: remove oldKey from Pulumi.dev.yaml",
        ),
        ("remove it, run `pulumi up` and declare it again", f"remove it, run `{UP}` and declare it again"),
        ("  pulumi up --stack dev", f"  {UP}"),
        ("pulumi up --refresh --stack dev", f"python -m sandbox refresh --stack dev && {UP}"),
        ("then run `pulumi refresh`:", "then run `python -m sandbox refresh --stack dev`:"),
        ("(`pulumi stack rename`) their old names back", "(`pulumi stack rename`) their old names back"),
        ("nothing to run", "nothing to run"),
    ],
)
def test_pulumis_commands_become_the_sandboxs(told: str, shown: str) -> None:
    assert local(told, "dev") == shown


def test_a_key_that_config_set_set_is_removed_there() -> None:
    told = "pulumi config rm --path rotations.old, or pulumi config rm other"
    shown = "python -m sandbox config rm rotations.old --stack dev, or remove other from Pulumi.dev.yaml"
    assert local(told, "dev", kept={"rotations.old"}) == shown


def test_alternatives_stay_apart() -> None:
    told = "Again:\n  pulumi config set --path rotations.a 2\nor:\n  pulumi config set --path rotations.a 3"
    assert local(told, "dev", " --project /x") == (
        f"Again:\n  {SET} rotations.a 2 --stack dev --project /x\nor:\n  {SET} rotations.a 3 --stack dev --project /x"
    )
