from __future__ import annotations

from lab.matrix.advice import read_advice


def test_without_words_about_it_the_same_command_is_typed_again() -> None:
    advice = read_advice("tc001: no answer over SSH\nhint: run the same command again: it goes on where it stopped\n")
    assert (advice.options, advice.commands, advice.unlock) == ((), (), False)


def test_an_option_is_taken_from_a_hint_with_its_object() -> None:
    said = "detach: not so after 120 s\nhint: the same command again waits on; or add: --force-detach\nvol-0123abc\n"
    assert read_advice(said).applied(()) == ("--force-detach", "vol-0123abc")


def test_an_option_is_taken_from_the_reasons_of_a_refusal() -> None:
    said = "node can't be migrated\n  - the source is lost? add --source-lost: it is stopped\nhint: fab status\n"
    assert read_advice(said).options == ("--source-lost",)


def test_an_option_that_is_to_be_left_out_is_left_out() -> None:
    said = "refused\n  - the source answers: leave --source-lost out, so that it stops in order\nhint: fab status\n"
    assert read_advice(said).applied(("--source-lost",)) == ()


def test_a_command_for_the_machine_is_taken_from_a_hint_as_words() -> None:
    said = "e2fsck ended with 4\nhint: take a snapshot; on tc001-b: sudo e2fsck -y /dev/xvdg; then the same again\n"
    assert read_advice(said).commands == (("e2fsck", "-y", "/dev/xvdg"),)


def test_the_lock_is_freed_only_when_the_hint_says_so() -> None:
    assert read_advice("locked\nhint: when it no longer runs: fab unlock --node tc001\n").unlock
    assert not read_advice("locked: fab unlock --node tc001\nhint: fab status\n").unlock
