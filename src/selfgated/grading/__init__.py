"""Grading of assignments, for instructors: sandbox, judge, batch, gradebook, feedback. Not in the wheel."""
