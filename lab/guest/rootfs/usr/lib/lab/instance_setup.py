"""Sets up an EC2 instance from its metadata service, as cloud-init does before the first log-in.

Runs at every boot inside a machine (Python 3.6, standard library only). A machine that finds another instance id than
the one it wrote down is a new instance, whatever its disk was before: it gets the host name, fresh host keys, the
public key of the key pair, and its user-data script is put where the last unit of the boot runs it once.
"""

import http.client
import os
import pathlib
import pwd
import socket
import subprocess
import sys
import time

METADATA_ADDRESS = "169.254.169.254"
PATIENCE_SECONDS = 20.0
STATE = pathlib.Path("/var/lib/cloud")
DEFAULT_USER_ID = 1000


class MetadataError(Exception):
    """The metadata service refuses, or did not answer in time."""


def request(method: str, path: str, headers: "dict[str, str]") -> "tuple[int, bytes]":
    """Ask the metadata service once; returns the HTTP status and the body."""
    connection = http.client.HTTPConnection(METADATA_ADDRESS, timeout=5)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def fetch_token() -> str:
    """Get an IMDSv2 token; tries again until PATIENCE_SECONDS are over, but takes a refusal as an answer."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            status, body = request("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "300"})
        except (OSError, http.client.HTTPException) as error:
            status, body = 503, str(error).encode()
        if status == 200:
            return body.decode()
        if status < 500 or time.monotonic() > deadline:
            raise MetadataError(f"no token from the metadata service: {status} {body.decode(errors='replace')}")
        time.sleep(0.25)


def metadata(token: str, path: str) -> "bytes":
    """Return the item at /latest/PATH, or nothing when the instance has none (404)."""
    status, body = request("GET", "/latest/" + path, {"X-aws-ec2-metadata-token": token})
    if status == 404:
        return b""
    if status != 200:
        raise MetadataError(f"metadata service: {status} for {path}")
    return body


def hosts_with_name(text: str, names: str) -> str:
    """Return /etc/hosts with its one 127.0.1.1 line saying NAMES."""
    kept = [line for line in text.splitlines() if line.split()[:1] != ["127.0.1.1"]]
    return "\n".join([*kept, "127.0.1.1 " + names]) + "\n"


def set_host_name(full_name: str) -> None:
    """Name the machine by the first part of its private DNS name, and let sudo find that name."""
    short = full_name.split(".", 1)[0]
    pathlib.Path("/etc/hostname").write_text(short + "\n")
    socket.sethostname(short)
    hosts = pathlib.Path("/etc/hosts")
    names = full_name + " " + short if full_name != short else short
    hosts.write_text(hosts_with_name(hosts.read_text(), names))


def make_host_keys() -> None:
    """Replace all host keys: two instances of one AMI must not share them."""
    for old in pathlib.Path("/etc/ssh").glob("ssh_host_*_key*"):
        old.unlink()
    for kind, bits in (("ed25519", ""), ("ecdsa", "256"), ("rsa", "2048")):
        arguments = ["ssh-keygen", "-q", "-N", "", "-t", kind, "-f", f"/etc/ssh/ssh_host_{kind}_key"]
        subprocess.run([*arguments, *(["-b", bits] if bits else [])], check=True, stdin=subprocess.DEVNULL)


def admit(public_key: str) -> None:
    """Put the key of the key pair into the default user's authorized_keys; like cloud-init, keep what is there."""
    user = pwd.getpwuid(DEFAULT_USER_ID)
    directory = pathlib.Path(user.pw_dir) / ".ssh"
    directory.mkdir(mode=0o700, exist_ok=True)
    keys = directory / "authorized_keys"
    known = keys.read_text().splitlines() if keys.exists() else []
    if public_key not in known:
        keys.write_text("\n".join([*known, public_key]) + "\n")
    keys.chmod(0o600)
    for path in (directory, keys):
        os.chown(str(path), user.pw_uid, user.pw_gid)


def keep_user_data(instance: pathlib.Path, user_data: bytes) -> None:
    """Store user-data; a script is marked for the last unit of the boot to run, once."""
    (instance / "user-data.txt").write_bytes(user_data)
    (instance / "user-data.txt").chmod(0o600)
    if user_data.startswith(b"#!"):
        scripts = instance / "scripts"
        scripts.mkdir(exist_ok=True)
        (scripts / "user-data").write_bytes(user_data)
        (scripts / "user-data").chmod(0o700)
        (instance / "user-data.pending").write_text("")


def enter(instance_id: str) -> pathlib.Path:
    """Make the state directory of the instance and point /var/lib/cloud/instance at it."""
    directory = STATE / "instances" / instance_id
    directory.mkdir(parents=True, exist_ok=True)
    link = STATE / "instance"
    if link.is_symlink():
        link.unlink()
    link.symlink_to(directory)
    return directory


def set_up_instance(token: str, instance_id: str) -> None:
    """Do everything that is done once in the life of an instance; the instance id is written down last."""
    instance = enter(instance_id)
    set_host_name(metadata(token, "meta-data/local-hostname").decode().strip() or instance_id)
    make_host_keys()
    public_key = metadata(token, "meta-data/public-keys/0/openssh-key").decode().strip()
    if public_key:
        admit(public_key)
    keep_user_data(instance, metadata(token, "user-data"))
    data = STATE / "data"
    data.mkdir(parents=True, exist_ok=True)
    (data / "instance-id").write_text(instance_id + "\n")


def grow_root() -> None:
    """Grow the root file system when its volume is larger, online, as growpart and resize2fs do at every boot."""
    sectors = int(pathlib.Path("/sys/class/block/ubda/size").read_text())
    root = os.statvfs("/")
    # The file system's own tables are not counted in f_blocks: an eighth is far more than they take.
    if sectors * 512 > root.f_blocks * root.f_frsize * 9 // 8:
        subprocess.run(["resize2fs", "/dev/ubda"], check=True, stdin=subprocess.DEVNULL)


def known_instance() -> str:
    """Return the instance id that an earlier boot wrote down, or an empty string."""
    record = STATE / "data" / "instance-id"
    return record.read_text().strip() if record.exists() else ""


def main() -> int:
    """Set the instance up; exit status 1 when the metadata service could not be used."""
    try:
        grow_root()
        token = fetch_token()
        instance_id = metadata(token, "meta-data/instance-id").decode().strip()
        if instance_id != known_instance():
            set_up_instance(token, instance_id)
    except MetadataError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        if not list(pathlib.Path("/etc/ssh").glob("ssh_host_*_key")):
            make_host_keys()
    return 0


if __name__ == "__main__":
    sys.exit(main())
