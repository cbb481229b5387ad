"""The pages of the assignments and the boxes of the chapters: what a reader finds, and what stays folded."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

import assignment_pages
import assignments
import nbformat
import pytest
import yaml
from nbformat.v4 import new_output

ROOT = assignments.ROOT
SOURCES = assignments.sources()
CHAPTERS = sorted(path.stem for path in ROOT.glob("notebooks/*.ipynb"))
WITH_ASSIGNMENT = [name for name in CHAPTERS if name in SOURCES]


class Links(HTMLParser):
    """The links of a page or of a part of it, as pairs of address and text."""

    def __init__(self, html):
        super().__init__()
        self.found, self._open = [], False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if tag == "a":
            self.found.append([dict(attributes).get("href", ""), ""])
            self._open = True

    def handle_endtag(self, tag):
        self._open = self._open and tag != "a"

    def handle_data(self, data):
        if self._open:
            self.found[-1][1] += data


def cell_of(notebook, name):
    (cell,) = (cell for cell in notebook.cells if cell.id == name)
    return cell


def page_of(demo):
    """The page of the made-up assignment."""
    return assignment_pages.page("00_demo", nbformat.from_dict(demo))


def box(site, name):
    """The box at the end of a chapter, as HTML."""
    text = (site / "notebooks" / f"{name}.html").read_text(encoding="utf-8")
    (found,) = re.findall(r'<div class="course admonition">.*?</div>', text, re.DOTALL)
    return found


def target(site, page, href):
    """The file of the site to which a link on a page leads."""
    return site / unquote(urlsplit(urljoin(f"/{page}", href)).path).lstrip("/")


# From a source to a page


def test_page_shows_the_self_check_and_no_hidden_test(demo):
    test = cell_of(demo, "p1-test")
    test.execution_count, test.outputs = (
        4,
        [new_output("stream", name="stdout", text="from the hidden test\n")],
    )
    page = page_of(demo)
    assert cell_of(page, "p1-test").source == 'assert square(2.0) == 4.0, "the square of 2 is 4"'
    assert cell_of(page, "p1-test").outputs == []
    assert "HIDDEN" not in nbformat.writes(page)


def test_page_keeps_the_outputs_of_what_is_shown(demo):
    shown = cell_of(demo, "p1-show")
    shown.execution_count, shown.outputs = 3, [new_output("stream", name="stdout", text="9.0\n")]
    assert cell_of(page_of(demo), "p1-show").outputs == shown.outputs


def test_page_folds_solutions_and_model_answers(demo):
    page = page_of(demo)
    answer = cell_of(page, "p1")
    assert answer.source.startswith("def square(z):")
    assert "return np.multiply(z, z)" in answer.source
    assert "SOLUTION" not in answer.source
    assert answer.metadata.tags == ["hide-input"]
    assert answer.metadata.mystnb.code_prompt_show == "Show the solution"
    model = cell_of(page, "p2").source
    assert model.startswith("::::::{dropdown} ")
    assert model.endswith("\n::::::")
    assert "Rubric (2 points)" in model


def test_page_folds_the_outputs_of_a_solution_too(demo):
    answer = cell_of(demo, "p1")
    answer.execution_count, answer.outputs = 2, [new_output("stream", name="stdout", text="4\n")]
    assert cell_of(page_of(demo), "p1").metadata.tags == ["hide-cell"]


def test_page_drops_nbgrader_and_tells_the_facts(demo):
    page = page_of(demo)
    assert [cell.id for cell in page.cells if "nbgrader" in cell.metadata] == []
    assert page.metadata.selfgated == {
        "assignment": "00_demo",
        "title": "Assignment: a demonstration",
        "points": 5,
        "minutes": 10,
        "imports": ["numpy"],
    }
    note = page.cells[1].source
    assert "<ch-demo>" in note
    assert "exercises/00_demo/00_demo.ipynb" in note


def test_page_has_no_heading_inside_a_fold_and_no_empty_cell(demo):
    cell_of(demo, "p2").source = "## Because\n\nIt is.\n\n**Rubric (2 points).**\n\n- 2: says so"
    test = cell_of(demo, "p1-test")
    test.source = test.source[test.source.index("### BEGIN") :]
    page = page_of(demo)
    assert "**Because**\n\nIt is." in cell_of(page, "p2").source
    assert "p1-test" not in [cell.id for cell in page.cells]


@pytest.mark.parametrize("broken", ["### END HIDDEN TESTS", "### BEGIN HIDDEN TESTS"])
def test_page_refuses_a_marker_without_a_partner(demo, broken):
    test = cell_of(demo, "p1-test")
    test.source = test.source.replace(broken, "")
    with pytest.raises(ValueError, match="a marker of hidden tests has no partner"):
        page_of(demo)


def test_page_refuses_a_misspelt_marker(demo):
    test = cell_of(demo, "p1-test")
    test.source = test.source.replace("### BEGIN HIDDEN TESTS", "### BEGIN HIDDEN TEST")
    test.source = test.source.replace("### END HIDDEN TESTS", "### END HIDDEN TEST")
    with pytest.raises(ValueError, match="00_demo: cell 'p1-test' has a marker that nbgrader would not"):
        page_of(demo)


def test_write_pages_writes_what_changed_and_removes_what_is_gone(demo, store_source, tmp_path):
    store_source(demo)
    stale = assignment_pages.folder(tmp_path) / "01_gone.ipynb"
    stale.parent.mkdir(parents=True)
    stale.touch()
    (path,) = assignment_pages.write_pages(tmp_path)
    assert list(stale.parent.iterdir()) == [path]
    before = path.stat().st_mtime_ns
    assignment_pages.write_pages(tmp_path)
    assert path.stat().st_mtime_ns == before


# The site


def test_toc_lists_every_assignment_in_its_part():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    (part,) = (part for part in toc["parts"] if part["caption"] == "Assignments")
    assert [entry["file"] for entry in part["chapters"]] == [f"book/assignments/{name}" for name in SOURCES]


def test_every_assignment_has_its_chapter():
    assert set(SOURCES) <= set(CHAPTERS)


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_offers_its_notebook(name, site):
    page = f"notebooks/{name}.html"
    links = {text: target(site, page, href) for href, text in Links(box(site, name)).found}
    given = links["The notebook of this chapter"]
    assert given.name == f"{name}.ipynb"
    assert given.read_bytes() == (ROOT / "notebooks" / f"{name}.ipynb").read_bytes()
    assert len(links) == (4 if name in SOURCES else 1)


@pytest.mark.parametrize("name", WITH_ASSIGNMENT)
def test_chapter_offers_its_assignment_and_solutions(name, site):
    page = f"notebooks/{name}.html"
    facts = assignments.facts(assignments.read(SOURCES[name]))
    links = {text: target(site, page, href) for href, text in Links(box(site, name)).found}
    here = site / "book" / "assignments" / f"{name}.html"
    assert links[facts["title"]] == links["Its solutions"] == here
    assert here.is_file()
    exercise = ROOT / "exercises" / name / f"{name}.ipynb"
    assert links["the notebook for students"].read_bytes() == exercise.read_bytes()
    assert f", {facts['points']} points, about {facts['minutes']} minutes" in box(site, name)


@pytest.mark.parametrize("name", SOURCES)
def test_page_of_an_assignment_leads_to_chapter_and_copy(name, site):
    page = f"book/assignments/{name}.html"
    text = (site / page).read_text(encoding="utf-8")
    facts = assignments.facts(assignments.read(SOURCES[name]))
    prose = re.sub(r"<[^>]+>", "", text)
    assert f"{facts['points']} points" in prose
    assert f"{facts['minutes']} minutes" in prose
    article = text[text.index("<article") : text.index("</article>")]
    links = Links(article).found
    assert site / "notebooks" / f"{name}.html" in [target(site, page, href) for href, _ in links]
    (copy,) = (target(site, page, href) for href, text in links if text == "the notebook for students")
    assert copy.read_bytes() == (ROOT / "exercises" / name / f"{name}.ipynb").read_bytes()


@pytest.mark.parametrize("name", SOURCES)
def test_page_of_an_assignment_offers_no_source_unasked(name, site):
    text = (site / "book" / "assignments" / f"{name}.html").read_text(encoding="utf-8")
    assert "download-source-button" not in text
    assert "_sources/" not in text
    assert "download-pdf-button" in text


@pytest.mark.parametrize("name", SOURCES)
def test_solutions_open_when_they_are_asked_for(name, site, tab):
    source = assignments.read(SOURCES[name])
    answers = [cell for cell in source.cells if cell.metadata.nbgrader.solution]
    tab.goto((site / "book" / "assignments" / f"{name}.html").as_uri())
    folds = tab.locator("article details")
    assert folds.count() == len(answers)
    for index in range(len(answers)):
        fold = folds.nth(index)
        content = fold.locator("> :not(summary)").first
        assert not content.is_visible()
        fold.locator("summary").click()
        assert content.is_visible()
        fold.locator("summary").click()
        assert not content.is_visible()
