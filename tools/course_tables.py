"""Write the tables of the instructor page: ``python tools/course_tables.py``.

Points, minutes and imports of every assignment; what each wrong or right submission of the mutation tests
loses, computed by grading them all in this process; and what became of each attack, graded in the sandbox.
"""

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

from selfgated.grading import mutation
from selfgated.grading.assignment import ROOT, Assignment, slugs
from selfgated.grading.verdict import Verdict

FOLDER = ROOT / "book" / "tables"


def row(*entries):
    """One row of a Markdown table."""
    return "| " + " | ".join(map(str, entries)) + " |"


def plain(text):
    """`text` with the characters escaped that mean something in Markdown."""
    return re.sub(r"[\\`*_$<>|\[\]{}#]", r"\\\g<0>", text)


def number(points):
    """`points` without a needless fraction."""
    return f"{points:g}"


def points_table(assignments):
    """Table of points, minutes and allowed imports, with their sums."""
    lines = [
        row("assignment", "problems", "points", "of tests", "of rubrics", "minutes", "may import"),
        row(*["---"] * 2, *["---:"] * 4, "---"),
    ]
    total = [0, 0, 0, 0]
    for assignment in assignments:
        problems = {cell.problem for cell in assignment.tests + assignment.of_kind("open")}
        tested = sum(cell.points for cell in assignment.tests)
        numbers = [assignment.points, tested, assignment.points - tested, assignment.minutes]
        total = [before + entry for before, entry in zip(total, numbers, strict=True)]
        title = f"`{assignment.slug}` {plain(assignment.title)}"
        packages = ", ".join(f"`{name}`" for name in assignment.imports)
        lines.append(row(title, len(problems), *map(number, numbers), packages))
    lines.append(row("all", "", *map(number, total), ""))
    return "\n".join(lines) + "\n"


def variants_table(assignment, outcomes):
    """Table of what each variant of one assignment loses, folded under the assignment's title."""
    lines = [f":::{{dropdown}} {plain(assignment.title)}: {len(outcomes)} submissions"]
    lines += [row("problem", "submission", "loses", "of"), row("---", "---", "---:", "---:")]
    available = sum(cell.points for cell in assignment.tests)
    for variant, scores in outcomes:
        lost = mutation.lost(scores)
        if lost != variant.lost:
            raise ValueError(f"{assignment.slug}, {variant.title!r} loses {lost}, not {variant.lost}")
        problem = variant.cell.partition("-")[0].removeprefix("p")
        mine = sum(cell.points for cell in assignment.tests if cell.problem == variant.cell.partition("-")[0])
        others = {assignment.by_id[cell].problem for cell in lost} - {variant.cell.partition("-")[0]}
        reach = f"{mine:g}" if not others else f"{available:g} in all"
        lines.append(
            row(problem, plain(variant.title), number(sum(lost.values())) if lost else "nothing", reach)
        )
    return "\n".join([*lines, ":::"]) + "\n"


def load_attacks():
    """Module ``tests/attacks.py``: the list of attacks."""
    if "attacks" not in sys.modules:
        spec = importlib.util.spec_from_file_location("attacks", ROOT / "tests" / "attacks.py")
        sys.modules["attacks"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["attacks"])
    return sys.modules["attacks"]


def attacks_table(rows):
    """Table of the attacks, folded: what each tries, the points it gets, and what happened."""
    lines = [f":::{{dropdown}} {len(rows)} attacks"]
    lines += [row("attack", "tries", "points", "what happened"), row(*["---"] * 4)]
    return "\n".join([*lines, *(row(*map(plain, entries)) for entries in rows), ":::"]) + "\n"


def attacks_rows():
    """Rows of that table, by grading all attacks in the sandbox."""
    attacks = load_attacks()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, attacks.__file__, folder], check=True, stdout=subprocess.DEVNULL)
        stored = Path(folder, "verdicts").glob("*.json")
        return attacks.table({path.stem: Verdict.load(path) for path in stored})


def times_table():
    """Table of how long grading took, from its record, with the machine."""
    record = json.loads((ROOT / "results" / "grading.json").read_text(encoding="utf-8"))
    keys = ("assignment", "submissions", "processes", "seconds")
    lines = [row(*keys), row("---", *["---:"] * 3)]
    lines += [
        row(f"`{entry['assignment']}`", *(number(entry[key]) for key in keys[1:])) for entry in record["rows"]
    ]
    where = f"Recorded on {record['date']} with {record['device']}, Python {record['versions']['python']}."
    return "\n".join([*lines, "", where]) + "\n"


def tables(found):
    """Text of each table by file name, from `found`: (variant, scores) pairs by assignment."""
    assignments = {slug: Assignment.load(slug) for slug in found}
    variants = [variants_table(assignments[slug], outcomes) for slug, outcomes in found.items()]
    return {
        "points.md": points_table(assignments.values()),
        "variants.md": "\n".join(variants),
        "times.md": times_table(),
    }


def main():
    """Grade every variant and every attack, and store the tables."""
    found = {}
    for slug in tqdm(slugs(), unit="assignment"):
        assignment = Assignment.load(slug)
        found[slug] = [
            (variant, mutation.outcome(assignment, variant)) for variant in mutation.variants(slug)
        ]
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in (tables(found) | {"attacks.md": attacks_table(attacks_rows())}).items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")
        print(f"{(FOLDER / name).relative_to(ROOT)}: {len(text.splitlines())} lines")


if __name__ == "__main__":
    main()
