"""Take notebooks from an LMS into the course: the newest of each student, the earlier ones kept aside."""

import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from selfgated.grading.collect.patterns import compile_pattern, read_claim
from selfgated.grading.collect.shelf import ORIGIN, REFUSED, keep, leave_note, stranger, take
from selfgated.grading.collect.sources import entries, text_beside
from selfgated.grading.names import shown
from selfgated.grading.times import parse_moment

__all__ = ["REFUSED", "Outcome", "collect", "compile_pattern"]


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Parameters
    ----------
    place : str
        Path within the source: a stranger's text, show it escaped.
    action : str
        ``taken``, ``unchanged``, ``kept aside`` or ``refused``.
    reason : str
        A phrase; empty if there is nothing to say.
    student, slug : str
        Empty if the path does not say.
    moment : datetime or None
        When it was handed in, as far as is known.
    """

    place: str
    action: str
    reason: str = ""
    student: str = ""
    slug: str = ""
    moment: datetime | None = None


def collect(source, course, *, slugs, assignment=None, pattern=None, file_times=True):
    """Take the notebooks of a folder or a zip into ``submitted/``.

    Parameters
    ----------
    source : Path
        Folder or zip.
    course : Course
    slugs : sequence of str
        Assignments that exist.
    assignment : str, optional
        Take these only; and files that name no assignment are of this one.
    pattern : re.Pattern, optional
        See `compile_pattern`. By default the layouts of nbgrader, Moodle and Canvas are tried.
    file_times : bool, default True
        Whether the time of a file or zip entry says when it was handed in, where neither its name nor a
        ``timestamp.txt`` beside it does.

    Returns
    -------
    list of Outcome
        One for each file but for what systems leave in folders, in the order of the places.

    Notes
    -----
    Names come from strangers: only a valid one becomes a folder (`selfgated.grading.names.refusal`), and the
    files in it have names of ours. Of several files of one student those that are named like the assignment
    come first, then the newest; without a name and a time to choose by, none is taken. A submission that is
    there already moves to ``earlier/``. A student of whom no file can be taken is noted as well.
    """
    for draft in course.submitted.glob(".draft-*"):  # of a run that was killed
        shutil.rmtree(draft)
    with entries(Path(source)) as found:
        outcomes, claims, others = _read(found, slugs, assignment, pattern, file_times)
        for files in claims.values():
            outcomes += _one_student(files, course)
        for key, (entry, claim, moment) in others.items():
            if key not in claims and not stranger(claim, course):
                leave_note(claim, _fault(entry), moment, course=course, place=entry.place)
    return sorted(outcomes, key=lambda outcome: outcome.place)


def _read(found, slugs, assignment, pattern, file_times):
    """Sort the files.

    Returns outcomes of those that are no submissions, lists of the others by student and assignment, and by
    the same key one of the files that are no notebooks, but lie where a notebook should be.
    """
    outcomes, claims, others = [], {}, {}
    for place, copies in sorted(found.items()):
        if place.rsplit("/", 1)[-1] in ("timestamp.txt", ORIGIN, REFUSED):
            continue
        for entry in copies:
            try:
                claim = _claim(place, slugs=slugs, assignment=assignment, pattern=pattern)
            except ValueError as error:
                reason = str(error) if place.endswith(".ipynb") else _fault(entry)
                outcomes.append(Outcome(place, "refused", entry.problem or reason))
                continue
            moment = claim.moment or _time_beside(found, place) or (entry.moment if file_times else None)
            key = claim.student, claim.slug
            if place.endswith(".ipynb"):
                claims.setdefault(key, []).append((entry, claim, moment))
            else:
                outcomes.append(Outcome(place, "refused", _fault(entry), *key, moment))
                others.setdefault(key, (entry, claim, moment))
    return outcomes, claims, others


def _claim(place, **known):
    """The claim of a notebook; of another file that of a notebook in its place."""
    if place.endswith(".ipynb"):
        return read_claim(place, **known)
    for instead in (f"{place}.ipynb", f"{place}/x.ipynb"):  # the second for a link in place of the folder
        with suppress(ValueError):
            claim = read_claim(instead, **known)
            if claim.layout != "flat":
                return claim
    raise ValueError("is no notebook")


def _fault(entry):
    return entry.problem or "is no notebook"


def _time_beside(found, place):
    text = text_beside(found, place, "timestamp.txt")
    try:
        return parse_moment(text) if text else None
    except ValueError:
        return None


def _one_student(files, course):
    """Take the best of a student's files for one assignment; an Outcome for each of them."""
    _, claim, _ = files[0]
    numbers = {claim.number for _, claim, _ in files}
    if len(numbers) > 1:
        reason = (
            f"{shown(claim.student)} has the numbers {', '.join(sorted(numbers))}: two people? use --pattern"
        )
        return [_outcome(file, "refused", reason) for file in files]
    if reason := stranger(claim, course):
        return [_outcome(file, "refused", reason) for file in files]
    outcomes, good = [], []
    for file in sorted(files, key=_rank, reverse=True):
        try:
            good.append((file, _data(file)))
        except (ValueError, OSError) as error:
            outcomes.append(_outcome(file, "refused", str(error)))
    if not good:
        entry, claim, moment = files[0]
        outcomes[0] = _outcome(
            files[0], *leave_note(claim, outcomes[0].reason, moment, course=course, place=entry.place)
        )
        return outcomes
    if len(good) > 1 and _rank(good[0][0]) == _rank(good[1][0]) and good[0][1] != good[1][1]:
        names = ", ".join(shown(claim.file) for (_, claim, _), _ in good[:5])
        reason = f"is one of several, and neither a name nor a time says which to take: {names}"
        outcomes += [_outcome(file, "refused", reason) for file, _ in good]
        entry, claim, moment = good[0][0]
        leave_note(claim, reason, moment, course=course, place=entry.place)
        return outcomes
    (entry, claim, moment), best = good[0]
    outcomes.append(_outcome(good[0][0], *take(claim, best, moment, course=course, place=entry.place)))
    for file, data in good[1:]:
        if data == best:
            outcomes.append(_outcome(file, "unchanged", "the same as the one that was taken"))
        else:
            keep(claim, data, file[2], course=course)
            outcomes.append(_outcome(file, "kept aside", "the student handed in more than one"))
    return outcomes


def _data(file):
    if file[0].problem:
        raise ValueError(file[0].problem)
    return file[0].read()


def _rank(file):
    """What decides between two files of one student: the name of the assignment, then the time."""
    _, claim, moment = file
    return re.match(
        rf"{claim.slug}(?![a-z0-9_])", claim.file
    ) is not None, moment.timestamp() if moment else 0.0


def _outcome(file, action, reason=""):
    entry, claim, moment = file
    return Outcome(entry.place, action, reason, claim.student, claim.slug, moment)
