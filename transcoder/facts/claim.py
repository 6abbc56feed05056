"""Who has a key: the claim beside its backup in a store, and the note of when it was stored and verified."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from transcoder.facts.reading import json_object, text_at, unreadable
from transcoder.secret import Secret

FORMAT = "transcoder-claim/1"
NOTE = "transcoder-note/1"


@dataclass(frozen=True)
class Claim:
    """The node that has the key of ``address``; ``who`` took the claim, ``when`` (ISO 8601, UTC)."""

    address: str
    environment: str
    node: str
    who: str
    when: str

    def is_of(self, environment: str, node: str) -> bool:
        """Tell whether this node holds it."""
        return (self.environment, self.node) == (environment, node)


@dataclass(frozen=True)
class Note:
    """When a version was stored and read back, and when it was verified last; texts, empty for never.

    ``proven``: whether the passphrase has opened it then.
    """

    version: str
    stored: str
    verified: str = ""
    proven: bool = False


def render_claim(claim: Claim) -> Secret:
    """Return the document."""
    return Secret(json.dumps({"format": FORMAT, **asdict(claim)}))


def parse_claim(document: Secret) -> Claim:
    """Return the claim.

    :raises Failed: when it is none.
    """
    table = json_object("claim", document.reveal())
    if table.get("format") != FORMAT:
        raise unreadable("claim", f"not of the format {FORMAT!r}", str(table.get("format", "")))
    fields = ("address", "environment", "node", "who", "when")
    return Claim(*(text_at("claim", table, field, required=True) for field in fields))


def render_note(note: Note) -> Secret:
    """Return the document."""
    return Secret(json.dumps({"format": NOTE, **asdict(note)}))


def parse_note(document: Secret) -> Note:
    """Return the note.

    :raises Failed: when it is none.
    """
    table = json_object("note", document.reveal())
    if table.get("format") != NOTE:
        raise unreadable("note", f"not of the format {NOTE!r}", str(table.get("format", "")))
    version, stored, verified = (text_at("note", table, field) for field in ("version", "stored", "verified"))
    return Note(version, stored, verified, bool(table.get("proven")))
