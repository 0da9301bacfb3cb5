"""Shell completion for a command that is run as `python -m ops`: a shell function `ops` that completes."""

import shlex
import sys
from pathlib import Path
from typing import Literal

Shell = Literal["bash", "zsh"]

VARIABLE = "_OPS_COMPLETE"
"""The environment variable by which a shell asks for completions."""

_BASH = """\
ops() {{ {run} "$@"; }}
_ops_completion() {{
    local IFS=$'\\n'
    COMPREPLY=( $( COMP_WORDS="${{COMP_WORDS[*]}}" COMP_CWORD=$COMP_CWORD {variable}=complete_bash {run} ) )
}}
complete -o default -F _ops_completion ops
"""

_ZSH = """\
ops() {{ {run} "$@"; }}
_ops_completion() {{
    eval "$( _TYPER_COMPLETE_ARGS="${{words[1,$CURRENT]}}" {variable}=complete_zsh {run} )"
}}
compdef _ops_completion ops
"""


def script(shell: Shell) -> str:
    """Return what the shell is to evaluate: `eval "$(python -m ops --completion bash)"`."""
    repository = Path(__file__).resolve().parents[1]
    # The caller's folder stays the current one, so that `--outputs FILE` means what the operator means.
    run = f"env PYTHONPATH={shlex.quote(str(repository))} {shlex.quote(sys.executable)} -m ops"
    return (_BASH if shell == "bash" else _ZSH).format(run=run, variable=VARIABLE)
