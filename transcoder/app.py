"""What every task does around its one call of the library: choose the environment, build the world, translate errors.

``tasks.py`` and ``fabfile`` import this and nothing heavier at their top: boto3, fabric, pydantic and rich are
imported when a task runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from invoke.exceptions import Exit
from invoke.tasks import task as invoke_task

from transcoder.errors import Refused, TranscoderError

if TYPE_CHECKING:
    from invoke.context import Context

    from transcoder.model import Instance
    from transcoder.operate import Operation
    from transcoder.secret import Secret
    from transcoder.settings import Settings
    from transcoder.world import KeyStore, World

R = TypeVar("R")


def task(**options: Any) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Return the decorator that makes a function an Invoke task; ``options`` are Invoke's own.

    Expected errors become one message and their exit code; ``invoke --dry`` is refused.

    ``-R/--dry`` would make every command on a machine answer with nothing and exit code 0, while the calls to EC2
    still happened: what looks like a rehearsal would act on faked reads.
    """

    def decorate(body: Callable[..., R]) -> Callable[..., R]:
        return cast("Callable[..., R]", invoke_task(**options)(_translating(body)))

    return decorate


def optional_word(name: str, words: Sequence[str], default: str) -> Callable[[R], R]:
    """Return the decorator that lets a task's positional argument be left out. It is one of ``words``.

    Invoke wants every positional argument that has no default, and takes no word for one that has a default. So it
    gets its default where the command line has none of the words.
    """

    def decorate(made: Any) -> Any:
        known = made.get_arguments

        def arguments(*given: Any, **more: Any) -> Any:
            found = known(*given, **more)
            if not set(words) & set(sys.argv):
                next(argument for argument in found if argument.name == name).default = default
            return found

        made.get_arguments = arguments
        return made

    return decorate


def _translating(body: Callable[..., R]) -> Callable[..., R]:
    @wraps(body)
    def run(context: Context, *args: Any, **kwargs: Any) -> R:
        try:
            if context.config.run.dry:
                raise Refused("-R/--dry fakes what the machines answer", hint="use --dry-run: it prints the real plan")
            return body(context, *args, **kwargs)
        except TranscoderError as error:
            from transcoder.report import print_error

            print_error(error)
            raise Exit(code=error.exit_code) from None

    return run


def end(code: int) -> None:
    """End the program with an exit code when it is not 0: what is wrong has been printed."""
    if code:
        raise Exit(code=code)


def settings(env: str, *, quiet: bool = False) -> Settings:
    """Load the environment and say on stderr which one it is, unless nobody wants to know."""
    from transcoder.settings import load

    loaded = load(env)
    where = loaded.aws.endpoint_url or f"AWS {loaded.aws.region}"
    if quiet:
        return loaded
    sys.stderr.write(f"environment {loaded.name}: {loaded.description} ({where})\n")
    return loaded


@contextmanager
def world(loaded: Settings) -> Iterator[World]:
    """Open the world of an environment; its SSH connections are closed at the end."""
    from transcoder import keystores
    from transcoder.aws import Aws
    from transcoder.remote import SshHosts
    from transcoder.world import SystemClock, World

    cloud = Aws(loaded)

    def locate(instance: Instance) -> Instance:
        return next(iter(cloud.instances(ids=[instance.id])), instance)

    def keystore(kind: str) -> KeyStore:
        return keystores.by_name(kind, loaded)

    with SshHosts(loaded, locate) as hosts:
        yield World(loaded, cloud, hosts, SystemClock(), keystore, lambda: keystores.of_passphrases(loaded))


@contextmanager
def watched_world(loaded: Settings) -> Iterator[World]:
    """Open the world of an environment for looks at all of its machines: EC2 is not asked again for each of them.

    Whoever looks names the instances as EC2 has just described them, so a connection goes to the address of then.
    """
    from transcoder.aws import Aws
    from transcoder.remote import SshHosts
    from transcoder.world import World

    with SshHosts(loaded) as hosts:
        yield World(loaded, Aws(loaded), hosts)


@contextmanager
def another_world(env: str) -> Iterator[World | None]:
    """Open the world of a second environment; None where none is named."""
    if not env:
        yield None
        return
    with world(settings(env)) as opened:
        yield opened


def seconds(text: str) -> float | None:
    """Return the seconds of an option; None where it was left out.

    :raises Refused: when it is no number of seconds.
    """
    if not text:
        return None
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise Refused(f"{text!r} is no number of seconds", hint="600, for ten minutes")
    return found


def passphrase(prompt: str, descriptor: str = "") -> Secret:
    """Return a passphrase: typed without being shown, or read to its end from a file descriptor.

    Never from an argument or an environment variable: both can be read by others.

    :raises Refused: when there is no terminal and no descriptor, or it is none.
    """
    from transcoder.secret import Secret

    if descriptor:
        try:
            with open(int(descriptor), encoding="utf-8", closefd=False) as file:
                return Secret(file.read().removesuffix("\n"))
        except (ValueError, OSError) as error:
            raise Refused(f"descriptor {descriptor!r} cannot be read: {error}", hint="3< FILE, and 3 here") from None
    if not sys.stdin.isatty():
        raise Refused("no passphrase: there is no terminal to type it at", hint="--passphrase-fd 3, with 3< FILE")
    from getpass import getpass

    return Secret(getpass(prompt))


def new_passphrase(descriptor: str = "") -> Secret:
    """Return a new passphrase, typed twice where it is typed.

    :raises Refused: when the two differ, and as `passphrase`.
    """
    first = passphrase("new passphrase (empty for none): ", descriptor)
    if not descriptor and passphrase("once more: ") != first:
        raise Refused("the two passphrases differ", hint="nothing was changed; type them again")
    return first


def perform(
    opened: World, *operations: Operation, yes: bool, dry_run: bool, json: bool, on_error: str = "stop"
) -> None:
    """Run operations one after the other, or preview the first, and print one result.

    The later ones follow from the first, which the operator has agreed to; what they will do is known only after it.

    :param on_error: the value of an `operate.OnError`.
    :raises Refused: when it is none.
    """
    from transcoder import operate, report

    policies = {policy.value: policy for policy in operate.OnError}
    if on_error not in policies:
        raise Refused(f"--on-error {on_error!r} is not one of {', '.join(policies)}", hint="see `fab --help migrate`")

    console = report.TerminalConsole(yes=yes, json_output=json)
    if dry_run:
        report.print_outcomes([operate.preview(operations[0], opened, console)], dry_run=True, json_output=json)
        return
    outcomes = [operate.operate(operations[0], opened, console, policies[on_error])]
    agreed = report.TerminalConsole(yes=True, json_output=json)
    outcomes += [operate.operate(operation, opened, agreed) for operation in operations[1:]]
    report.print_outcomes(outcomes, dry_run=False, json_output=json)
