"""The instance metadata service (IMDSv2), and calls to AWS as the instance's own role.

Python 3.6, standard library only.

Ubuntu 18.04's botocore (1.8) asks the metadata service the first version's way, which an instance with
``HttpTokens=required`` refuses; so the signature is made here: AWS Signature Version 4, as
https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html describes it.
"""

import collections
import hashlib
import hmac
import html
import http.client
import json
import re
import time
from urllib.parse import urlsplit

from transcoder_node import NotYet, Refusal

METADATA = "169.254.169.254:80"
TOKEN_SECONDS = "60"  # noqa: S105 - how long a token is valid
ANSWER_SECONDS = 5
"""How long the metadata service may take; an AWS service gets three times as long."""

Credentials = collections.namedtuple("Credentials", "access_key secret_key token")
"""What the role gives for a few hours: as the metadata service names them AccessKeyId, SecretAccessKey, Token."""


class Denied(Exception):
    """AWS refused a call: ``code`` is its error code, such as ``AccessDeniedException``, ``message`` its words."""

    def __init__(self, code, message):
        super().__init__("{}: {}".format(code, message))
        self.code = code
        self.message = message


class Metadata:
    """The metadata service of this instance. Raises NotYet when it does not answer."""

    def __init__(self, service=METADATA):
        self._service = service
        self._token = ""

    def item(self, name):
        """Return an item of ``/latest/meta-data/``, or an empty string when the instance has none (404)."""
        if not self._token:
            self._token = self._new_token()
        status, text = self._request("GET", "/latest/meta-data/" + name, {"X-aws-ec2-metadata-token": self._token})
        if status == 404:
            return ""
        if status != 200:
            raise NotYet("the instance metadata service answers {} for {}".format(status, name))
        return text

    def region(self):
        """Return the region of this instance."""
        # placement/region came with a later version of the service than placement/availability-zone.
        zone = self.item("placement/availability-zone")
        if not zone:
            raise NotYet("the instance metadata service does not know the zone of this instance")
        return zone.rstrip("abcdefghijklmnopqrstuvwxyz")

    def credentials(self):
        """Return the role's credentials. Raises Refusal when the instance has no role."""
        role = self.item("iam/security-credentials/").split("\n")[0]
        if not role:
            raise Refusal(
                "this instance has no IAM role: give it an instance profile with the policy that `invoke iam "
                "--policy instance` prints (aws.instance_profile in the environment does it at launch)"
            )
        try:
            document = json.loads(self.item("iam/security-credentials/" + role))
            return Credentials(document["AccessKeyId"], document["SecretAccessKey"], document["Token"])
        except (ValueError, KeyError, TypeError):
            raise NotYet("the instance metadata service gives no credentials of the role {}".format(role)) from None

    def _new_token(self):
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": TOKEN_SECONDS}
        status, token = self._request("PUT", "/latest/api/token", headers)
        if status != 200:
            raise NotYet("the instance metadata service gives no token (HTTP status {})".format(status))
        return token

    def _request(self, method, path, headers):
        connection = http.client.HTTPConnection(self._service, timeout=ANSWER_SECONDS)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode("utf-8", "replace").strip()
        except (OSError, http.client.HTTPException) as error:
            raise NotYet(
                "the instance metadata service at {} does not answer ({})".format(self._service, error)
            ) from None
        finally:
            connection.close()


def endpoint(service, region, given=""):
    """Return the URL of a service: the one given, or AWS's own in the region."""
    return given or "https://{}.{}.amazonaws.com".format(service, region)


def post(service, region, credentials, body, headers, given=""):
    """Send one signed POST to a service's root and return the body of its answer, as bytes.

    ``given`` is an endpoint URL instead of AWS's. Raises NotYet when nobody answers or the service is busy or broken
    (5xx), Denied when it refuses.
    """
    parts = urlsplit(endpoint(service, region, given))
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    signed = sign(service, region, credentials, parts.netloc, body, headers, moment)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=3 * ANSWER_SECONDS)
    try:
        connection.request("POST", "/", body=body, headers=signed)
        response = connection.getresponse()
        status, answer = response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotYet("{} at {} does not answer ({})".format(service, parts.netloc, error)) from None
    finally:
        connection.close()
    if status >= 500:
        raise NotYet("{} at {} answers {}".format(service, parts.netloc, status))
    if status != 200:
        raise _denied(status, answer)
    return answer


def sign(service, region, credentials, host, body, headers, moment):
    """Return the headers of a POST to ``/`` with their signature. ``moment`` is UTC as ``20150830T123600Z``."""
    complete = {name.lower(): value for name, value in headers.items()}
    complete.update({"host": host, "x-amz-date": moment, "x-amz-security-token": credentials.token})
    names = ";".join(sorted(complete))
    lines = ["{}:{}".format(name, complete[name].strip()) for name in sorted(complete)]
    request = "\n".join(["POST", "/", "", *lines, "", names, hashlib.sha256(body).hexdigest()])
    scope = "/".join([moment[:8], region, service, "aws4_request"])
    to_sign = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = ("AWS4" + credentials.secret_key).encode()
    for part in (moment[:8], region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    complete["authorization"] = "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}".format(
        credentials.access_key, scope, names, signature
    )
    return complete


def _denied(status, answer):
    """Return the error that a refusing answer tells: of the JSON protocols, of XML, or of another its first words."""
    text = answer.decode("utf-8", "replace")
    try:
        document = json.loads(text)
        code = str(document["__type"]).rsplit("#", 1)[-1]
        return Denied(code, str(document.get("message", document.get("Message", ""))))
    except (ValueError, KeyError, TypeError, AttributeError):
        code, message = (re.search("<{0}>(.*?)</{0}>".format(name), text, re.DOTALL) for name in ("Code", "Message"))
        if code:
            return Denied(html.unescape(code.group(1)), html.unescape(message.group(1)) if message else "")
        return Denied("HTTP {}".format(status), " ".join(text.split())[:200])
