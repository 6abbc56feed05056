"""Take secrets out of text that leaves for somebody else's eyes. Pure.

The first defence is not to read a secret at all; this is the second, for what ended up where it does not belong: a log,
a unit file, a tag. When in doubt it masks: a lost word costs a question, a lost key costs the node.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from transcoder.secret import Secret

MASK = "***"
HARMLESS_HOSTS = frozenset(
    {
        *("127.0.0.1", "localhost", "[::1]", "169.254.169.254", "169.254.169.123", "arb1.arbitrum.io", "github.com"),
        *("archive.ubuntu.com", "security.ubuntu.com", "docs.aws.amazon.com", "docs.livepeer.org"),
    }
)
"""Of addresses at these the path is kept; of any other one it may be a key, as hosted RPCs have it."""
NAMES_OF_SECRETS = (
    r"(?:pass(?:word|phrase|wd)|secret|token|api[_-]?key|priv(?:ate)?[_-]?key|access[_-]?key|credential|jwt|"
    r"project[_-]?id|webhook)"
)
_NAME = re.compile(NAMES_OF_SECRETS, re.IGNORECASE)
LITERALS = frozenset({"null", "true", "false", "none"})
SHORTEST = 6
"""Characters of a known secret that is looked for as it stands: shorter ones are in everything."""

_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_KEYSTORE = re.compile(r"""(\\?["'](?:ciphertext|mac|iv|salt)\\?["']\s*:\s*\\?["'])[0-9a-fA-F]+""")
_AUTHORIZATION = re.compile(r"(?i)\b((?:proxy-)?authorization\b\\?[\"']?\s*[:=]\s*)[^\r\n]+")
_WORDS = re.compile(r"(?i)\b((?:mnemonic|(?:seed|recovery|secret)[ _-]?phrase)\b\\?[\"']?\s*(?:[:=]|is)?\s*)[^\r\n]+")
_URL = re.compile(
    r"(?P<scheme>\b(?:https?|wss?)://)(?P<user>[^\s/@\"'<>]*@)?(?P<host>[A-Za-z0-9._\[\]-]+)(?P<port>:\d+)?"
    r"(?P<rest>[/?#][^\s\"'<>\\)\]]*)?"
)
_USER = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@:\"']+:[^\s/@\"']+@")
_NAMED = re.compile(
    rf"(?i)(?P<name>[\w.-]*{NAMES_OF_SECRETS}[\w.-]*\\?[\"']?\s*[:=]\s*)"
    r"(?P<value>\\?\"(?:\\.|[^\"\\])*\"?|'[^']*'?|[^\s,;}\]]+)"
)
_FLAG = re.compile(rf"(?i)((?<![\w-])--?[\w-]*{NAMES_OF_SECRETS}[\w-]*\s+)(?!-)\S+")
_CAMEL = re.compile(r"(\b\w+(?:Password|Passphrase|Secret|ApiKey|PrivateKey)[ \t]+)(?![=:])\S+")
_ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b")
_SECRET_KEY = re.compile(
    r"(?<![A-Za-z0-9/+=_.-])(?=[A-Za-z0-9/+]*[a-z])(?=[A-Za-z0-9/+]*[A-Z])(?=[A-Za-z0-9/+]*[0-9])"
    r"(?=[A-Za-z0-9/+]*[g-zG-Z/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=_.-])"
)
_TOKEN = re.compile(
    r"\b(?:eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*|AGE-SECRET-KEY-1[A-Z0-9]+|hv[sbr]\.[A-Za-z0-9_-]{16,}|"
    r"gh[pousr]_[A-Za-z0-9]{20,}|xox[abprs]-[A-Za-z0-9-]{10,})"
)
_LONG = re.compile(r"(?<![A-Za-z0-9/+])(?=[A-Za-z0-9/+]*[g-zG-Z+])[A-Za-z0-9/+]{120,}={0,2}")
_HEX = re.compile(r"(?<![0-9a-zA-Z])[0-9a-fA-F]{64}(?![0-9a-zA-Z])")
_DIGEST = re.compile(r"(?i)(sha256|digest|hash|checksum)")


class Redactor:
    """Masks secrets, and counts what it masked by kind.

    :param known: secrets that are known as they stand.
    """

    def __init__(self, known: Sequence[Secret] = ()) -> None:
        texts = {secret.reveal() for secret in known}
        self._known = sorted((text for text in texts if len(text) >= SHORTEST), key=len, reverse=True)
        self.counts: Counter[str] = Counter()

    def __call__(self, text: str) -> str:
        """Return the text without what is, or may be, a secret. A quoted value stays quoted."""
        for secret in self._known:
            self.counts["known"] += text.count(secret)
            text = text.replace(secret, MASK)
        for kind, pattern, put in RULES:
            text = pattern.sub(self._counting(kind, put), text)
        return text

    def data(self, value: Any) -> Any:
        """Return JSON-ready data without secrets: every text in it by itself, so that it stays what it is."""
        if isinstance(value, Mapping):
            return {key: self._member(str(key), member) for key, member in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(member) for member in value]
        return self(value) if isinstance(value, str) else value

    def _member(self, name: str, value: Any) -> Any:
        if isinstance(value, str) and value and _NAME.search(name):
            self.counts["named secret"] += 1
            return MASK
        return self.data(value)

    def _counting(self, kind: str, put: Callable[[re.Match[str]], str]) -> Callable[[re.Match[str]], str]:
        def replace(match: re.Match[str]) -> str:
            masked = put(match)
            self.counts[kind] += masked != match[0]
            return masked

        return replace


def _all(_match: re.Match[str]) -> str:
    return MASK


def _after_name(match: re.Match[str]) -> str:
    return f"{match[1]}{MASK}"


def _url(match: re.Match[str]) -> str:
    """Keep scheme, host and port; the path where the host is harmless."""
    user, rest = match["user"], match["rest"] or ""
    if rest not in ("", "/") and match["host"].lower() not in HARMLESS_HOSTS:
        rest = f"/{MASK}"
    return f"{match['scheme']}{MASK + '@' if user else ''}{match['host']}{match['port'] or ''}{rest}"


def _user(match: re.Match[str]) -> str:
    return f"{match[1]}{MASK}@"


def _named(match: re.Match[str]) -> str:
    """Mask the value, in its quotes; what is no value at all stays, so that JSON can still be read."""
    value = match["value"]
    bare = value.lstrip("\\")
    if bare[:1] in ('"', "'"):
        slash = value[: len(value) - len(bare)]
        return f"{match['name']}{slash}{bare[0]}{MASK}{slash}{bare[0]}"
    if value.lower() in LITERALS or value[:1] in ("{", "["):
        return match[0]
    return f'{match["name"]}"{MASK}"' if value.isdecimal() else f"{match['name']}{MASK}"


def _hex(match: re.Match[str]) -> str:
    """A bare number of 256 bits may be a private key, unless what stands before it calls it a digest."""
    before = match.string[max(0, match.start() - 24) : match.start()]
    return match[0] if _DIGEST.search(before) else MASK


RULES: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    ("private key (PEM)", _PEM, _all),
    ("keystore", _KEYSTORE, _after_name),
    ("authorization", _AUTHORIZATION, _after_name),
    ("mnemonic", _WORDS, _after_name),
    ("address of an RPC", _URL, _url),
    ("user and password", _USER, _user),
    ("AWS access key", _ACCESS_KEY, _all),
    ("token", _TOKEN, _all),
    ("named secret", _NAMED, _named),
    ("flag", _FLAG, _after_name),
    ("option", _CAMEL, _after_name),
    ("AWS secret key", _SECRET_KEY, _all),
    ("long text without a meaning", _LONG, _all),
    ("private key (hex)", _HEX, _hex),
)
"""In this order: what has a form of its own comes before what only has a name."""
