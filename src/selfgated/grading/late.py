"""Late submissions: the penalty, as a plugin that nbgrader uses too, and extensions of single students."""

import math

from nbgrader.plugins import LateSubmissionPlugin
from traitlets import Float, TraitError, validate
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from selfgated.grading.course import CourseError
from selfgated.grading.tables import read_table
from selfgated.grading.times import parse_moment

__all__ = ["LateRule", "days_late", "load_rule", "read_extensions"]

DAY = 86400


class LateRule(LateSubmissionPlugin):
    """So many per cent of the score for each started day, up to a maximum, after some minutes of grace.

    Its settings stand in ``nbgrader_config.py``::

        c.AssignLatePenalties.plugin_class = "selfgated.grading.late.LateRule"
        c.LateRule.percent_per_day = 10
    """

    percent_per_day = Float(10.0, help="Per cent of the score taken off per started day.").tag(config=True)
    maximum_percent = Float(50.0, help="The most that is taken off, in per cent of the score.").tag(
        config=True
    )
    grace_minutes = Float(15.0, help="So late costs nothing; later, days count from the due date.").tag(
        config=True
    )

    @validate("percent_per_day", "maximum_percent", "grace_minutes")
    def _validate(self, proposal):
        value, name = proposal["value"], proposal["trait"].name
        top = math.inf if name == "grace_minutes" else 100.0
        if not 0 <= value <= top:
            raise TraitError(f"LateRule.{name} is {value:g}; choose a number from 0 to {top:g}")
        return value

    def late_submission_penalty(self, student_id, score, total_seconds_late):
        """Points to take off.

        Parameters
        ----------
        student_id : str
            Not used: an extension moves the student's due date instead.
        score : float
            Points that the submission got.
        total_seconds_late : float
            Seconds after the student's due date; 0 or less when in time.

        Returns
        -------
        float or None
            Points, rounded to 0.01; None if nothing is taken off.
        """
        days = days_late(total_seconds_late, self.grace_minutes)
        percent = min(days * self.percent_per_day, self.maximum_percent)
        return round(score * percent / 100, 2) or None

    @property
    def words(self):
        """The rule as a sentence."""
        if not self.percent_per_day or not self.maximum_percent:
            return "Late submissions lose nothing."
        grace = f", after {self.grace_minutes:g} minutes of grace" if self.grace_minutes else ""
        return (
            f"A late submission loses {self.percent_per_day:g} % of its score per started day, "
            f"at most {self.maximum_percent:g} %{grace}."
        )


def days_late(seconds, grace_minutes):
    """Started days after the due date; 0 within the grace.

    Examples
    --------
    >>> days_late(14 * 60, 15), days_late(16 * 60, 15), days_late(86401, 15)
    (0, 1, 2)
    """
    return math.ceil(seconds / DAY) if seconds > 60 * grace_minutes else 0


def load_rule(root):
    """The rule that ``nbgrader_config.py`` in the folder `root` sets; nbgrader reads the same lines."""
    config = Config()
    if (root / "nbgrader_config.py").is_file():
        config = PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
    try:
        return LateRule(config=config)
    except TraitError as error:
        raise CourseError(f"nbgrader_config.py: {error}") from None


def read_extensions(path, *, choices):
    """Due dates of single students.

    Parameters
    ----------
    path : Path
        CSV with the columns student, assignment, due (as `parse_moment` reads it). It may be missing.
    choices : sequence of str
        Assignments that exist.

    Returns
    -------
    dict
        Aware datetime by (student, assignment).

    Raises
    ------
    CourseError
        Naming file, line and value.
    """
    found = {}
    if not path.is_file():
        return found
    for line, row in read_table(path, ("student", "assignment", "due")):
        where = f"{path.name}, line {line}"
        key = row["student"].strip(), row["assignment"].strip()
        if key[1] not in choices:
            raise CourseError(f"{where}: unknown assignment {key[1]!r}; choose from {list(choices)}")
        if not key[0] or key in found:
            raise CourseError(f"{where}: {'a second line for ' + repr(key[0]) if key[0] else 'no student'}")
        try:
            found[key] = parse_moment(row["due"])
        except ValueError as error:
            raise CourseError(f"{where}: {error}") from None
    return found
