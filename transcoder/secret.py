"""A text that must not be shown."""

from __future__ import annotations


class Secret:
    """Holds a secret text; ``str`` and ``repr`` are masked, `reveal` gives the text.

    Equality compares the texts. A secret is neither ordered nor hashable nor picklable, so it does not
    end up in a set, a cache or a file by accident.
    """

    __slots__ = ("_text",)
    __hash__ = None  # type: ignore[assignment]  # unhashable on purpose

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the secret text. Call it where the text leaves for its destination, nowhere else."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled: it would be written to a file")
