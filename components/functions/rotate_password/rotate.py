"""The handler: it finds the step and runs it. The package's docstring has the rest."""

import functools
import importlib
import os
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from .configuration import Configuration, read_configuration
from .engine import Database, Server
from .errors import Cause, RotationError
from .journal import Journal
from .secret_versions import RotatedSecret, read_current
from .strategies import AlternatingUsers, RotationStrategy, SingleUser, superuser_credentials

if TYPE_CHECKING:  # the stubs are not in the Lambda runtime
    from mypy_boto3_secretsmanager import SecretsManagerClient


def handler(event: Mapping[str, str], _context: object = None) -> None:
    """Run one step of a rotation; raises only `RotationError` on failure."""
    journal = Journal(event.get("Step", ""), event.get("SecretId", ""), event.get("ClientRequestToken", ""))
    try:
        _run_step(event, journal)
    except RotationError as error:
        journal.error(str(error), cause=error.cause)
        raise
    except Exception as error:  # noqa: BLE001 - a bug's own text might quote a value, and Lambda logs what leaves here
        place = traceback.extract_tb(error.__traceback__)[-1]
        failure = RotationError(Cause.UNEXPECTED, f"{type(error).__name__} at {place.filename}:{place.lineno}")
        journal.error(str(failure), cause=failure.cause)
        raise failure from None


def _run_step(event: Mapping[str, str], journal: Journal) -> None:
    missing = [key for key in ("Step", "SecretId", "ClientRequestToken") if not event.get(key)]
    if missing:
        raise RotationError(Cause.EVENT, f"the event lacks {', '.join(missing)}; Secrets Manager invokes this function")
    run = _STEPS.get(event["Step"])
    if run is None:
        raise RotationError(Cause.EVENT, f"Step is none of {', '.join(_STEPS)}")
    configuration = read_configuration(os.environ)
    client = _client()
    secret = RotatedSecret.describe(client, event["SecretId"], event["ClientRequestToken"], event.get("RotationToken"))
    if secret.is_rotated:
        journal.info("this version is already the current one; nothing to do")
        return
    run(secret, configuration, journal)


def _create_secret(secret: RotatedSecret, configuration: Configuration, journal: Journal) -> None:
    if secret.pending_if_any() is not None:
        journal.info("the pending value exists already")
        return
    value = _strategy(secret.client, configuration).new_value(secret)
    secret.require_unchanged()
    secret.put_pending(value)
    journal.info("created the pending value")


def _set_secret(secret: RotatedSecret, configuration: Configuration, journal: Journal) -> None:
    _strategy(secret.client, configuration).set_password(secret, journal)


def _test_secret(secret: RotatedSecret, configuration: Configuration, journal: Journal) -> None:
    _strategy(secret.client, configuration).test(secret, journal)
    journal.info("the pending value signs in")


def _finish_secret(secret: RotatedSecret, configuration: Configuration, journal: Journal) -> None:
    # AWSCURRENT must never move to a value that does not work: the database might have changed since testSecret.
    _strategy(secret.client, configuration).check(secret.pending())
    secret.make_current()
    journal.info("the pending value is the current one")


_STEPS = {
    "createSecret": _create_secret,
    "setSecret": _set_secret,
    "testSecret": _test_secret,
    "finishSecret": _finish_secret,
}


def _strategy(client: "SecretsManagerClient", configuration: Configuration) -> RotationStrategy:
    server = Server(configuration.host, configuration.port, configuration.database, configuration.ca_bundle)
    engine = importlib.import_module(f".engines.{configuration.engine}", __package__)
    database: Database = engine.Engine(server)
    arn, username = configuration.superuser_secret_arn, configuration.username
    if arn is None:
        return SingleUser(database, username)
    return AlternatingUsers(
        database, lambda: superuser_credentials(read_current(client, arn), arn, username), configuration.grants
    )


@functools.cache
def _client() -> "SecretsManagerClient":
    """One client for the life of the execution environment; a call without a response fails within 20 seconds."""
    patience = Config(connect_timeout=4, read_timeout=8, retries={"mode": "standard", "total_max_attempts": 3})
    return boto3.client("secretsmanager", config=patience)
