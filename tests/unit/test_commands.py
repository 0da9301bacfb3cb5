"""The commands that messages print."""

from components.commands import keep_command


def test_a_live_value_is_kept_by_one_command_without_a_pipe() -> None:
    assert keep_command("db", "", "prod") == "python -m ops keep db --stack prod"
    assert keep_command("db", "A", "prod") == "python -m ops keep db --key A --stack prod"
    assert keep_command("db", "a key; rm", "prod") == "python -m ops keep db --key 'a key; rm' --stack prod"
