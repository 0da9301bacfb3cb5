"""Errors for the operator: one clear line instead of a traceback, and an exit status.

Exit status: 0 healthy, 1 a finding, 2 the command failed (misuse, credentials, AWS not
reachable), 130 Ctrl-C. Only 1 is about the stack.
"""

import http
import re
import traceback
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, ReadTimeoutError
from botocore.parsers import ResponseParserError

T = TypeVar("T")


class OpsError(Exception):
    """The command ends here; the message is for the operator. It never holds a secret's value.

    Attributes:
        status: The process's exit status.
    """

    status = 1


class MisuseError(OpsError):
    """The command line is wrong."""

    status = 2


class AwsError(OpsError):
    """AWS refused a call, or did not answer.

    Attributes:
        code: AWS's error code, "" without an answer.
    """

    status = 2

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "ExpiredSignatureException"}
INVALID = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "AuthFailure",
    "IncompleteSignature",
}
THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "RequestThrottled",
    "LimitExceededException",
}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
MISSING = {
    "ResourceNotFoundException",
    "NoSuchEntity",
    "NoSuchEntityException",
    "NotFoundException",
    "RepositoryNotFoundException",
    "ImageNotFoundException",
    "ClusterNotFoundException",
    "ServiceNotFoundException",
}

_SIGN_IN = "sign in again (`aws sso login`, or as you usually do)"


def code_of(error: BaseException) -> str:
    """Return AWS's error code, "" for any other exception."""
    response: Any = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def aws_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that botocore raises when a call fails."""
    return BotoCoreError, ClientError, ResponseParserError


def tolerating(codes: Collection[str], read: Callable[[], T]) -> T | None:
    """Return what a call returns, None when AWS answers with one of some error codes."""
    try:
        return read()
    except aws_errors() as error:
        if code_of(error) in codes:
            return None
        raise


def is_aws(error: BaseException) -> bool:
    """Return whether an exception comes from botocore or boto3, of any kind."""
    return any(kind.__module__.partition(".")[0] in {"botocore", "boto3"} for kind in type(error).__mro__)


def explained(error: Exception, *, unless: str = "") -> AwsError:
    """Return what an exception of botocore means to the operator. Its text is quoted only where it can't hold a value.

    For a call that changes something, `unless` is how to find out whether AWS did it although its answer is lost.
    """
    code, response = code_of(error), getattr(error, "response", None) or {}
    text = _of_code(error, code) if code else _of_kind(error)
    lost = isinstance(error, ReadTimeoutError | ConnectionClosedError | ResponseParserError)
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if unless and (lost or status >= http.HTTPStatus.INTERNAL_SERVER_ERROR):
        text += f"; AWS may have done it nevertheless, see: {unless}"
    return AwsError(text, code)


def told(error: Exception) -> str:
    """Return what an exception of botocore's or of this tool's means to the operator."""
    return str(explained(error)) if is_aws(error) else str(error)


def unexpected(error: Exception) -> MisuseError:
    """Return the message for an unexpected exception: its kind and place. Its own text could quote a value."""
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return MisuseError(f"{place}{error.strerror}")
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "ops" in Path(frame.filename).parts] or frames
    where = f" at {Path(ours[-1].filename).name}, line {ours[-1].lineno}" if ours else ""
    return MisuseError(f"unexpected input, or a bug in this tool: {type(error).__name__}{where}")


def _of_code(error: Any, code: str) -> str:
    call, said = getattr(error, "operation_name", "the call"), str(error.response["Error"].get("Message", ""))
    said = (
        "AWS failed, or something between you and AWS answers in HTML"
        if said.startswith("<")
        else " ".join(said.split())
    )
    texts = (
        (code in EXPIRED, f"your AWS credentials have expired: {_SIGN_IN}"),
        (code in INVALID, f"AWS doesn't know your credentials ({code}): {_SIGN_IN}"),
        (code in THROTTLED, f"AWS still throttles {call} after several attempts: try again in a minute"),
        # AWS's sentence names the caller, the action and the resource, never a value.
        (code in DENIED, f"you are not allowed to call {call}: {said}"),
        (code in MISSING, f"{call}: {said or 'not found'}"),
        (
            re.search(r"marked (for deletion|deleted)", said),
            f"{call}: the secret is pending deletion: python -m ops recover",
        ),
        # A validation error can quote its input, which for a write is the value.
        ("Valid" in code, f"AWS refused {call} ({code})"),
    )
    return next((text for fits, text in texts if fits), f"AWS refused {call} ({code}): {said}")


_KINDS = (
    (("NoCredentialsError", "PartialCredentialsError"), f"no AWS credentials found: {_SIGN_IN}"),
    (
        ("SSOTokenLoadError", "UnauthorizedSSOTokenError", "TokenRetrievalError", "SSOError"),
        "your AWS SSO session has expired: aws sso login",
    ),
    (("ProfileNotFound", "ConfigNotFound", "ConfigParseError", "InvalidConfigError"), "{}: see ~/.aws/config"),
    (("CredentialRetrievalError",), f"your AWS credentials can't be loaded: {_SIGN_IN}"),
    (
        ("EndpointConnectionError", "ConnectionClosedError", "ConnectTimeoutError", "ReadTimeoutError"),
        "{}: check the network, a proxy, AWS_ENDPOINT_URL (the sandbox: `python -m sandbox status`)",
    ),
    (
        ("ResponseParserError",),
        "something between you and AWS answers in its place, such as a proxy's sign-in page: check the network and the proxy",
    ),
    (("SSLError", "ProxyConnectionError", "HTTPClientError"), "AWS can't be reached: check the network and the proxy"),
    # Its text quotes the parameter, which can be the value.
    (("ParamValidationError",), "a parameter has the wrong form for AWS"),
)
"""What exceptions without an answer from AWS mean, the first that fits; `{}` is their own text."""


def _of_kind(error: Exception) -> str:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    found = next((text for names, text in _KINDS if kinds & set(names)), f"AWS can't be asked ({type(error).__name__})")
    return found.replace("{}", str(error).rstrip("."))
