"""Decides whether a variable's value is, or looks like, a secret. Answers are reasons for people and never hold the value.

A plain variable taken for a secret costs a look, a secret taken for a plain variable is a leak: a doubt counts as a secret.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, cast
from urllib.parse import urlsplit

from components.checks import PASSWORD_IN_URL, PLAIN_NAME, SECRET_NAME
from ops._json import json_object
from ops._randomness import UUID, is_password_like, is_random

# Capitals, then camel case: DB_PASSWORD, dbPassword, DBPassword. Digits belong to no word: TOKEN_V2, PASSWORD1.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_WORD = re.compile(
    # English, with what people glue before it: PGPASS, DBPW, MYSQLPASSWORD.
    r".*(PASSWORD|PASSWD|PASSWRD|PASSPHRASE|PASSCODE|SECRET|TOKEN|CREDENTIAL)S?"
    r"|.*(?<!BY)(?<!COM)(?<!TRES)(PASS|PWD|PSW|PSWD|PW)"
    r"|(API|APP|ACCESS|ACCOUNT|PRIVATE|PRIV|SIGNING|ENCRYPTION|SECRET|MASTER|AUTH|SESSION|SSH|LICENSE|STORE)?KEYS?"
    r"|CREDS?|DSN|SALTS?|PEPPER|AUTH|BEARER|COOKIES?|PSK|PRIV|PINS?|OTP|TOTP|MNEMONIC|SEEDPHRASE|HMAC|SAS|CONNSTR"
    # German, French, Spanish, Portuguese, Italian, Dutch, Polish, Czech, the Nordic languages.
    r"|.*(PASSWORT|KENNWORT|GEHEIM|GEHEIMNIS|SCHLUESSEL)|MDP|PASSE|.*(CONTRASENA|CONTRASENIA)|CLAVE|CLE|SENHA|CHAVE|SEGREDO|SECRETO"
    r"|SEGRETO|PAROLA|CHIAVE|WACHTWOORD|SLEUTEL|HASLO|HESLO|LOSENORD|PASSORD|ADGANGSKODE|SALASANA"
)
# After a secret's word: the variable describes a secret.
_ABOUT = re.compile(
    r"(AGE|ALG|ALGORITHM|ALIAS|ARN|AUDIENCE|BACKEND|BUCKET|CLASS|COLUMN|CONVERTER|COUNT|DAY|DECODER|DESERIALIZER|DIR|DISABLED"
    r"|DOMAIN|ENABLED|ENCODER|ENDPOINT|EXPIRATION|EXPIRE|EXPIRY|FACTORY|FIELD|FILE|FORMAT|GENERATOR|HEADER|HOST|HOUR|ID|INTERVAL"
    r"|ISSUER|ITERATION|LEN|LENGTH|LIFETIME|LIMIT|LOCATION|MAX|METHOD|MIN|MINUTE|MODE|NAME|PATH|PATTERN|POLICY|PORT|PREFIX"
    r"|PROVIDER|REALM|REGION|REQUIRED|RESOLVER|RETRIEVER|ROUND|SCHEME|SECOND|SERIALIZER|SERVER|SERVICE|SIZE|SPACE|STORAGE|STRATEGY"
    r"|SUFFIX|TIMEOUT|TTL|TYPE|URI|URL|USER|USERNAME|VALIDATOR|VERSION)S?"
)
# Before KEY: not a key that opens anything.
_OPEN_KEYS = {
    "CACHE", "FOREIGN", "IDEMPOTENCY", "ISSUE", "OBJECT", "PARTITION", "PRICE", "PROJECT", "PUBLIC", "PUBLISHABLE", "ROUTING",
    "SHARD", "SITE", "SORT",
}  # fmt: skip
# Words anywhere in a name by which an identifier is public, however random it looks.
_PUBLIC = {"PUBLIC", "PUBLISHABLE", "SITEKEY"}
# Last words of a name whose value is an identifier, a digest or a version and random by nature.
_IDENTIFIERS = {
    "ARN", "BUCKET", "CHECKSUM", "COMMIT", "DIGEST", "ETAG", "GUID", "HASH", "HOST", "HOSTNAME", "ID", "IDS", "IMAGE", "POOL",
    "REF", "REVISION", "SHA", "SID", "SUBSCRIPTION", "TAG", "TENANT", "UUID", "VERSION",
}  # fmt: skip
_NO_SECRET = re.compile(r"|true|false|yes|no|on|off|none|null|-?\d{1,3}", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d{1,6}")
_PIN = re.compile(r".*(PIN|PASS|PASSWORD|PASSWD|PASSCODE|PW|PWD|OTP)S?")
"""Names whose value may be a number."""
_SETS = re.compile(r"(?<![\w-])(?:-D|-{0,2})(\w[\w.-]*)[\"']?\s*[=:](?=\s*[\"']?([^\s,;&\"']+))")
_OPTION = re.compile(r"(?<!\S)-{1,2}([A-Za-z][\w-]*)\s+[\"']?([^\s\"'-][^\s\"']*)")
_REFERENCE = re.compile(r"\$\{|\$\(|^\$\w+$|\$[A-Z][A-Z_]{2,}\b")
"""What a shell replaces by a variable."""
_UUID = re.compile(UUID, re.IGNORECASE)
_HTTP_CREDENTIALS = re.compile(r"\b(Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE)
_OPEN_PEM = re.compile(r"-----BEGIN (\w+ )?(PUBLIC KEY|CERTIFICATE)-----")
# A private key of PKCS #8, PKCS #1 or SEC 1 begins with a version; a public key and a certificate don't. Source: RFC 5958,
# 8017 and 5915.
_PRIVATE_DER = re.compile(rb"\x30([\x00-\x7f]|\x81.|\x82..)\x02\x01[\x00\x01]", re.DOTALL)
_ENTROPY = ("Base64HighEntropyString", "HexHighEntropyString")
# The name is judged here, and an address is not a secret.
_NOT_USED = ("KeywordDetector", "IPPublicDetector")
_SHORT_URL_PART = 8

_JOINED = {"command", "entryPoint"}
"""Lists of words of one command line."""

_FORMATS = {
    "Databricks Token": r"dapi[0-9a-f]{32}(-\d)?",
    "Key of an AI Service": r"(sk-(proj-|ant-)?|gsk_|xai-|hf_|r8_|nvapi-)[A-Za-z0-9_-]{20,}",
    "Google API Key": r"AIza[\w-]{35}|GOCSPX-[\w-]{20,}|ya29\.[\w-]{20,}",
    "Webhook Secret": r"whsec_[A-Za-z0-9+/=]{16,}",
    "Vault Token": r"hv[sbr]\.[\w-]{20,}|s\.[A-Za-z0-9]{24}",
    "Mailgun Key": r"key-[0-9a-f]{32}",
    "Digital Ocean Token": r"do[opr]_v1_[0-9a-f]{32,}",
    "Shopify Token": r"shp(at|ca|pa|ss)_[0-9a-f]{32}",
    "Service Token": (
        r"(glpat|glrt|tskey|sntrys|dckr_pat|lin_api|figd|phx|sbp|pscale_tkn|atlasv1|ATATT3|NRAK|rk_live|rk_test)"
        r"[-_][\w-]{16,}"
    ),
    "Hashed Password": (
        r"([\w.@-]+:)?\$(2[abxy]|5|6|y|apr1|argon2id?|scrypt|pbkdf2[\w-]*)\$\S{8,}|\{(SSHA|SHA|MD5|CRYPT)\d*\}\S{8,}"
    ),
    "Age Key": r"AGE-SECRET-KEY-1[0-9A-Z]{20,}",
    "Seed Phrase": r"([a-z]{3,8} ){11}([a-z]{3,8}|([a-z]{3,8} ){3,12}[a-z]{3,8})",
    "App Password": r"[a-z]{4}( [a-z]{4}){3}",
    "Private Key": r"(0x)[0-9a-fA-F]{64}",
    "Shared Access Signature": r".*[?&]sig=[\w%+/=-]{20,}.*",
    "HashiCorp Cloud Token": r"\w+\.atlasv1\.[\w-]{20,}",
    "Fly Token": r"FlyV1 \S{16,}",
    "LaunchDarkly Key": r"(sdk|mob|api)-" + UUID,
    "Netrc": r".*\blogin\s+\S+\s+password\s+\S+.*",
    "Kafka SASL Login": r".*LoginModule\s.*password=.*",
}
"""Formats that detect-secrets lacks, from the issuers' documentation; whole values."""
_KNOWN = {kind: re.compile(pattern, re.DOTALL) for kind, pattern in _FORMATS.items()}
# user:password@host without a scheme, Oracle's user/password@service, and a pair that a proxy or a basic sign-in takes.
_LOGIN = re.compile(
    r"(?:[\w+.-]+:)*(?://)?[\w.+-]+:[^\s:@/]{3,}@(\[?[\w.:-]+\]?)(:\d+)?([/?].*)?"
    r"|(?:jdbc:oracle:\w+:)?[\w$#.-]+/[^\s/@]{3,}@(//)?[\w.:-]+(/[\w.]+)?",
)
_WEBHOOK = re.compile(
    r"hooks\.slack\.com/(services|workflows|triggers)/\S+"
    r"|discord(app)?\.com/api/webhooks/\d+/\S+"
    r"|(webhook\.office|outlook\.office(365)?)\.com/webhook(b2)?/\S+|\.logic\.azure\.com\S*[?&]sig=\S+"
    r"|chat\.googleapis\.com/\S+[?&]key=\S+|hooks\.zapier\.com/hooks/\S+|maker\.ifttt\.com/trigger/\S+/with/key/\S+"
    r"|api\.telegram\.org/bot\S+|(hooks|events)\.\S+/(integration|hooks?)/\w{8,}|/hooks/[A-Za-z0-9]{16,}|open\.feishu\.cn/\S+/hook/\S+"
    r"|oapi\.dingtalk\.com/robot/send\?\S+|qyapi\.weixin\.qq\.com/\S+key=\S+|hc-ping\.com/\S+"
)
"""Addresses whose path is the key. Source: the services' documentation of incoming webhooks."""
_TOOLS = re.compile(
    r"(?<!\S)(mysql|mysqldump|mysqladmin|mariadb|mariadb-admin)\b.*\s-p(?!\s|\$|ort)\S+"
    r"|redis-cli\b.*\s-a\s+(?!\$)\S+|(?<!\S)(-u|--user)\s+[^\s:$]+:(?!\$)\S+|sshpass\s+-p\s*(?!\$)\S+"
)
"""Options of common programs that take a password."""
_PATH = re.compile(r"(file:(//)?|classpath:|[A-Za-z]:\\|~?/|\.{1,2}/)?([\w.@{}$-]+[/\\])*[\w.@{}$-]+")
_FILE_ENDING = re.compile(
    r".*\.(pem|key|crt|cer|der|p12|pfx|jks|keystore|truststore|json|ya?ml|toml|ini|conf|cnf|properties|txt|env|pub|asc|gpg|jwks?|xml)"
)
_CLASS_NAME = re.compile(r"([a-z_][\w$]*\.)+[A-Z][A-Za-z0-9_$]+")


def why_secret(name: str, value: str) -> str | None:
    """Return why a variable must not stay in the clear, None when nothing suggests a secret.

    In this order: a key format that is known for certain, an address that holds a password or a key, the variable's name, what
    the value sets, its randomness. In a JSON object every value is checked, under its own key.
    """
    return next(filter(None, (_why(*part) for part in _parts(name, value))), None)


def why_refused(name: str, value: str) -> str | None:
    """Return why the configuration would reject a plain variable, None when it accepts it: reported before anything is set."""
    if not PLAIN_NAME.fullmatch(name):
        return "has no name that a plain variable can have: letters, digits and _, no digit first"
    if SECRET_NAME.fullmatch(name):
        return "has a name that the program rejects for a plain variable"
    return "is a URL with a password" if _url_with_password(value) else None


def why_text_is_secret(text: str) -> str | None:
    """Return why a text that is not a variable (a command, a label, an option of a driver) seems to hold a secret."""
    for word in re.split(r"[\s=,;'\"]+", text):
        if word and (known := _known_format("word", word)):
            return f"holds a known format: {known}"
        if address := _address_with_secret(word):
            return address.replace("is a", "holds a", 1)
    if _HTTP_CREDENTIALS.search(text):
        return "holds a known format: HTTP Credentials"
    if _TOOLS.search(text):
        return "passes a password to a program"
    for option, value in _OPTION.findall(text):
        if _is_name_of_secret(option) and not _says_nothing(option, value) and not _REFERENCE.search(value):
            return f"sets {option}"
    return _what_it_sets(text)


def texts_in(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Yield every text in a part of a task definition that could hold a secret, by its place."""
    name = where.rpartition(".")[2]
    if isinstance(value, str):
        # An option's name says what its value is: `splunk-token=...`.
        yield where, value if name in _JOINED or name.isdecimal() else f"{name}={value}"
    elif isinstance(value, list):
        items = cast("list[Any]", value)
        if name in _JOINED and items:
            yield where, " ".join(item if isinstance(item, str) else json.dumps(item, default=str) for item in items)
            return
        for index, item in enumerate(items):
            yield from texts_in(item, f"{where}.{index}")
    elif isinstance(value, dict):
        mapping = cast("Mapping[str, Any]", value)
        name = next((key for key in ("name", "key") if key in mapping and "value" in mapping), "")
        if name and isinstance(mapping["value"], str):
            yield where, f"{mapping[name]}={mapping['value']}"
            return
        for key, item in mapping.items():
            yield from texts_in(item, f"{where}.{key}")


def _parts(name: str, value: str) -> Iterator[tuple[str, str]]:
    """Yield a variable and, when it is a JSON object, everything in it by its key."""
    yield name, value
    todo: list[tuple[str, Any]] = [*(json_object(value) or {}).items()]
    for key, part in todo:
        if isinstance(part, dict):
            todo += cast("dict[str, Any]", part).items()
        elif isinstance(part, list):
            todo += ((key, item) for item in cast("list[Any]", part))
        else:
            yield key, str(part)


def _why(name: str, value: str) -> str | None:
    value = value.strip()
    if _says_nothing(name, value):
        return None
    if known := _known_format(name, value):
        return f"holds a known format: {known}"
    if address := _address_with_secret(value):
        return address
    if _is_path(value) or _CLASS_NAME.fullmatch(value):
        return None
    if _is_name_of_secret(name):
        return "has the name of a secret"
    return _what_it_sets(value) or _why_random(name, value)


def _says_nothing(name: str, value: str) -> bool:
    """Return whether a value is a switch or a small number, which only a PIN is among secrets."""
    words = _words(name)
    if _NUMBER.fullmatch(value) and words and _PIN.fullmatch(words[-1]):
        return False
    return bool(_NO_SECRET.fullmatch(value) or _NUMBER.fullmatch(value))


def _words(name: str) -> list[str]:
    # MOT_DE_PASSE and CONTRASEÑA are words, too.
    plain = name.replace("ñ", "n").replace("Ñ", "N").replace("ü", "ue").replace("Ü", "UE").replace("é", "e")
    return [word.upper() for word in _WORD.findall(plain)]


def _is_name_of_secret(name: str) -> bool:
    words = _words(name)
    found = [at for at, word in enumerate(words) if _SECRET_WORD.fullmatch(word)]
    if not found:
        return False
    word, after = words[found[-1]], words[found[-1] + 1 :]
    if word in {"KEY", "KEYS"} and _is_open_key(words):
        return False
    # A key's id is not a secret, but the `secret_id` of Vault's AppRole is one.
    return not any(_ABOUT.fullmatch(other) for other in after) or (word, *after) == ("SECRET", "ID")


def _what_it_sets(text: str) -> str | None:
    # `secret:NAME` in an ARN sets nothing. The value is only searched, since it can set something itself: `a=b,key=c`.
    for name, value in _SETS.findall(re.sub(r"\barn:\S+", "", text)):
        said = _is_name_of_secret(name) and not _says_nothing(name, value)
        if said and not _REFERENCE.search(value) and not value.startswith("//") and not _is_path(value, certain=True):
            return f"sets {name}"
    return None


def _address_with_secret(value: str) -> str | None:
    if _url_with_password(value):
        return "is a URL with a password"
    if _WEBHOOK.search(value):
        return "is an address whose path is the key"
    if _LOGIN.fullmatch(value) and "arn:" not in value and "@sha256:" not in value:
        return "is a sign-in with a password"
    for word in re.split(r"[\s,;]+", value):
        if "://" in word and _random_part_of_url(word):
            return "is an address that holds a key"
    return None


def _url_with_password(value: str) -> bool:
    if PASSWORD_IN_URL.search(value):
        return True
    try:
        return any(urlsplit(word).password for word in re.split(r"[\s,;]+", value) if "://" in word)
    except ValueError:  # brackets that are not an IPv6 address
        return False


def _random_part_of_url(word: str) -> bool:
    """Return whether a user, a part of the path or a value of the query is a key: a Sentry DSN, a webhook, a feed's address."""
    try:
        parts = urlsplit(word)
    except ValueError:
        return False
    texts = [parts.username or "", *parts.path.split("/"), *re.split(r"[&=]", parts.query), parts.fragment]
    return any(len(text) > _SHORT_URL_PART and is_random(text) for text in texts)


def _is_path(value: str, *, certain: bool = False) -> bool:
    """Return whether a value is the path of a file; without `certain` a name alone counts when it ends as a file does."""
    if not _PATH.fullmatch(value) or any(is_random(part) for part in re.split(r"[/\\.]", value)):
        return False
    starts = re.match(r"file:|classpath:|[A-Za-z]:\\|~?/[\w.-]+/|\.{1,2}/", value)
    return bool(starts) or (not certain and bool(_FILE_ENDING.fullmatch(value)))


def _is_private_key(value: str) -> bool:
    start = value.lstrip()[:12]
    return bool(re.fullmatch(r"[A-Za-z0-9+/]{12}", start) and _PRIVATE_DER.match(base64.b64decode(start)))


def _known_format(name: str, value: str) -> str | None:
    found = {kind for plugin, kind in _findings(name, value) if plugin not in _ENTROPY}
    if value.startswith("AC"):
        found.discard("Twilio API Key")  # an account's id, which is not a secret
    found |= {kind for kind, pattern in _KNOWN.items() if pattern.fullmatch(value)}
    if _is_private_key(value):
        found.add("Private Key")
    if _HTTP_CREDENTIALS.fullmatch(value):
        found.add("HTTP Credentials")
    return ", ".join(sorted(found)) or None


def _why_random(name: str, value: str) -> str | None:
    words = _words(name)
    # A digest, a public key and a certificate are random, but not secret.
    if "sha256:" in value or _OPEN_PEM.search(value) or _is_open_key(words) or (words and words[-1] in _IDENTIFIERS):
        return None
    # The parts of an address were checked before: its host is random, too.
    if re.fullmatch(r"\w+://\S+|arn:\S+", value):
        return None
    if _UUID.fullmatch(value):  # several services' keys are UUIDs; a name that ends in ID passed above
        return "is a UUID under a name that is not an identifier's"
    if is_random(value) or any(plugin in _ENTROPY for plugin, _ in _findings(name, value)):
        return "is as random as a key"
    return "looks like a password" if is_password_like(value) else None


def _is_open_key(words: Sequence[str]) -> bool:
    """Return whether a name means a public key, or no key at all."""
    return bool(set(words) & _PUBLIC) or any(
        one in _OPEN_KEYS and other in {"KEY", "KEYS"} for one, other in pairwise(words)
    )


def _findings(name: str, value: str) -> Iterator[tuple[str, str]]:
    """Yield the detector and the kind of what detect-secrets finds in a variable."""
    line = f'{name} = "{value}"'
    for plugin in _detectors():
        for found in plugin.analyze_line(filename="task definition", line=line, line_number=1):
            yield type(plugin).__name__, found.type


@lru_cache(maxsize=1)
def _detectors() -> tuple[Any, ...]:
    from detect_secrets.core.plugins.util import (  # noqa: PLC0415 - other commands save 40 ms
        get_mapping_from_secret_type_to_class,
    )

    # The classes are used directly, since the library keeps its settings in globals; none of their analyses calls out, only
    # `verify` would.
    classes = get_mapping_from_secret_type_to_class().values()
    return tuple(cls() for cls in sorted(classes, key=lambda cls: cls.__name__) if cls.__name__ not in _NOT_USED)
