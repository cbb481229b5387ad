"""What nbgrader's own autograder meets in this course: a refusal, before it runs or removes anything."""

from nbconvert.exporters import NotebookExporter
from nbgrader.converters.base import NbGraderException

__all__ = ["Refuse"]


class Refuse(NotebookExporter):
    """Stop ``nbgrader autograde``, and formgrader's button for it, at the first thing that they make.

    nbgrader would run the notebook without a sandbox, and would not see the hidden tests: they are not in its
    database. ``nbgrader_config.py`` names this class. A preprocessor that raises would be too late: nbgrader
    then removes the autograded notebook.
    """

    def __init__(self, *_, **__):
        """Refuse.

        Raises
        ------
        NbGraderException
            Always.
        """
        raise NbGraderException("grade with `make grade`: this autograder has no sandbox and no hidden tests")
