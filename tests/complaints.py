"""What the self-checks of an assignment say about wrong answers: for the tests of all of them."""

import pytest

from selfgated.checks.engine import CheckFailed


def complaints_of(checks):
    """Function that tells what a self-check of the module `checks` says about an answer.

    It takes the name of the self-check, under which the answer is known to it as well, and the answer, which
    must be wrong.
    """

    def complaint(name, answer):
        answer.__name__ = name
        with pytest.raises(CheckFailed) as caught:
            getattr(checks, name)(answer)
        return str(caught.value)

    return complaint
