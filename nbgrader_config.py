"""The course as nbgrader sees it: formgrader and ``nbgrader export`` work on what ``make grade`` writes."""

import os
from pathlib import Path

c = get_config()  # noqa: F821

ROOT = Path(__file__).resolve().parent
COURSE = (ROOT / os.environ.get("COURSE", "course")).resolve()

c.CourseDirectory.root = str(ROOT)
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "exercises"
c.CourseDirectory.submitted_directory = str(COURSE / "submitted")
c.CourseDirectory.autograded_directory = str(COURSE / "autograded")
c.CourseDirectory.feedback_directory = str(COURSE / "feedback")
c.CourseDirectory.db_url = f"sqlite:///{COURSE / 'gradebook.db'}"

# A late submission loses so many per cent of its score for each started day, up to a maximum.
c.AssignLatePenalties.plugin_class = "selfgated.grading.late.LateRule"
c.LateRule.percent_per_day = 10.0
c.LateRule.maximum_percent = 50.0
c.LateRule.grace_minutes = 15.0

# nbgrader's own autograder has no sandbox: `make grade` grades.
c.Autograde.exporter_class = "selfgated.grading.refuse.Refuse"
