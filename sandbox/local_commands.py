"""Commands in messages: the program and the plugins print Pulumi's commands; the sandbox shows its own instead.

The sandbox never writes a stack's file, and its state is separate from the user's `pulumi`.
"""

import re
from collections.abc import Collection

_QUOTE = "'"

_SET = re.compile(
    r"(?<![|] )pulumi config set(?P<options>(?: --(?:secret|plaintext|path|stack \S+))*) (?P<key>'[^']+'|[\w.:\[\]\"-]+)"
    r"(?P<value>(?: (?!--stack)(?:'[^']+'|[^\s;,)`']+))?)(?: --stack [^\s;,)`']+)?"
)
_REMOVE = re.compile(
    r"pulumi config rm(?: --(?:path|stack \S+))* (?P<key>'[^']+'|[\w.:\[\]\"-]+)(?: --stack [^\s;,)`']+)?"
)
_RUN = re.compile(r"pulumi (?P<verb>up --refresh|up|refresh|preview|destroy)\b(?: --(?:stack [^\s;,)`']+|yes))*(?! --)")


def local(message: str, stack: str, options: str = "", *, kept: Collection[str] = ()) -> str:
    """Return a message with the sandbox's commands instead of Pulumi's.

    Args:
        message: The message of the program or a plugin.
        stack: The stack's name.
        options: Further options of the sandbox's commands, each with a leading space.
        kept: The keys that `config set` set; any other is in the stack's file.
    """
    at = f"--stack {stack}{options}"

    def set_here(found: re.Match[str]) -> str:
        secret = " --secret" if "--secret" in found["options"] else ""
        return f"python -m sandbox config set{secret} {found['key']}{found['value']} {at}"

    def remove_here(found: re.Match[str]) -> str:
        if (key := found["key"].strip(_QUOTE)) in kept:
            return f"python -m sandbox config rm {found['key']} {at}"
        return f"remove {key} from Pulumi.{stack}.yaml"

    def run_here(found: re.Match[str]) -> str:
        verbs = ("refresh", "up") if "--refresh" in found["verb"] else (found["verb"],)
        return " && ".join(f"python -m sandbox {verb} {at}" for verb in verbs)

    return _RUN.sub(run_here, _REMOVE.sub(remove_here, _SET.sub(set_here, message)))
