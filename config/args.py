"""What the components are given, from the stack's settings."""

from components.secret import Secret, foreign
from config.settings import Settings


def foreign_secrets(settings: Settings) -> dict[str, Secret]:
    """Return the secrets that somebody else owns, by name in the catalogue."""
    return {
        secret.name: foreign(
            secret.name, settings.foreign_arns[secret.name], secret.owner, settings.secret_kms_keys.get(secret.name)
        )
        for secret in settings.foreign
    }
