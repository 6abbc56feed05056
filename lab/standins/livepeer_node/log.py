"""glog lines as the node writes them; the source is the Go file that the real one would name."""

from ..common import logs


def info(message: str, source: str = "livepeer.go:1") -> None:
    """An I line."""
    logs.glog("I", source, message)


def error(message: str, source: str = "livepeer.go:1") -> None:
    """An E line."""
    logs.glog("E", source, message)


def reason(error: OSError) -> str:
    """Return why the system said no, in the words of Go."""
    return (error.strerror or str(error)).lower()
