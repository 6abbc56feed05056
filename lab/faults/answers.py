"""Error answers of AWS's APIs, in the two forms that SDKs read: EC2's XML and the JSON of SSM and its like."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

LOST = "000 AnswerLost"
"""What the call log says of a call that took effect and whose answer never left."""

STATUS = {
    "RequestLimitExceeded": "503 Service Unavailable",
    "ServiceUnavailable": "503 Service Unavailable",
    "Unavailable": "503 Service Unavailable",
    "InternalError": "500 Internal Server Error",
    "InternalFailure": "500 Internal Server Error",
    "UnauthorizedOperation": "403 Forbidden",
    "AuthFailure": "401 Unauthorized",
}
"""HTTP status by code; all others are 400 (EC2 API reference, "Error codes for the Amazon EC2 API")."""

TEXTS = {
    "RequestLimitExceeded": "Request limit exceeded.",
    "ThrottlingException": "Rate exceeded",
    "InternalError": "An internal error has occurred",
    "UnauthorizedOperation": "You are not authorized to perform this operation.",
}
"""EC2's own words, where they are known."""

Answer = tuple[str, list[tuple[str, str]], bytes]


def text_of(code: str) -> str:
    """Return what the answer says besides its code."""
    return TEXTS.get(code, "A fault of the lab has answered this request")


def error(environ: Mapping[str, Any], code: str, text: str, status: str = "") -> Answer:
    """Return status, headers and body of an error answer to a request."""
    status = status or STATUS.get(code, "400 Bad Request")
    if str(environ.get("CONTENT_TYPE", "")).startswith("application/x-amz-json"):
        answer = json.dumps({"__type": code, "message": text}).encode()
        return status, [("Content-Type", "application/x-amz-json-1.1")], answer
    xml = (
        f"<?xml version='1.0' encoding='UTF-8'?><Response><Errors><Error><Code>{escape(code)}</Code>"
        f"<Message>{escape(text)}</Message></Error></Errors><RequestID>lab</RequestID></Response>"
    )
    return status, [("Content-Type", "text/xml;charset=UTF-8")], xml.encode()
