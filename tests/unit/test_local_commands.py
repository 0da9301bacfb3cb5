"""Messages of the sandbox name commands that work there."""

import pytest

from sandbox.local_commands import local

UP = "python -m sandbox up --stack dev"


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("  cpu  is 3  pulumi config set cpu NUMBER --stack dev", f"  cpu  is 3  {UP} -c cpu=NUMBER"),
        ("set it: pulumi config set --secret jwtSecret", f"set it: {UP} -c secret:jwtSecret"),
        ("pulumi config set --stack dev --secret jwtSecret", f"{UP} -c secret:jwtSecret"),
        ("pulumi config set --path 'names[0]' VALUE --stack dev", f"{UP} -c 'names[0]=VALUE'"),
        ("pulumi config set --path rotations.jwtSecret 3", f"{UP} -c rotations.jwtSecret=3"),
        ("pulumi config set --plaintext --path foreignSecrets.db ARN", f"{UP} -c foreignSecrets.db=ARN"),
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


def test_what_several_commands_set_is_given_to_one_run() -> None:
    """Configuration counts for one run here: one key after the other would never be enough."""
    told = "2 problems:\n  a  is required  pulumi config set --secret a\n  b  is wrong  pulumi config set b NUMBER"
    assert local(told, "dev", " --project /x") == (
        "2 problems:\n  a  is required  -c secret:a\n  b  is wrong  -c b=NUMBER\n"
        f"  {UP} --project /x -c secret:a -c b=NUMBER"
    )
