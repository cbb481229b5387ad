"""Number chapters by their file name: notebooks/03_gelu.ipynb is chapter 3, with section 3.1 and Figure 3.1.

Sphinx would count the files listed, and every number would move when a chapter is added before it.
"""

import re

from docutils import nodes
from sphinx.environment.collectors.toctree import TocTreeCollector

CHAPTER = re.compile(r"notebooks/(\d\d)_\w+")
DEPTH = 2


def _number_entries(bullet_list, parent, numbers):
    """Number the entries of one level of a page's table of contents, then the levels below."""
    for position, item in enumerate(bullet_list.children, start=1):
        number = (*parent, position) if numbers else parent  # the first entry of all is the title
        if len(number) > DEPTH:
            number = ()  # where there is no entry Sphinx prints the number of the chapter
        reference = item.next_node(nodes.reference)
        numbers[reference["anchorname"]] = number
        if number:
            reference["secnumber"] = number
        for below in item.children:
            if isinstance(below, nodes.bullet_list):
                _number_entries(below, number, numbers)


def number_chapters(app, env):
    """Set the section numbers of all chapters, then let Sphinx number figures, tables and equations anew."""
    for docname, toc in env.tocs.items():
        if chapter := CHAPTER.fullmatch(docname):
            numbers = {}
            _number_entries(toc, (int(chapter[1]),), numbers)
            env.toc_secnumbers[docname] = numbers
            env.titles[docname]["secnumber"] = (int(chapter[1]),)
    return TocTreeCollector().assign_figure_numbers(env)


def setup(app):
    # After Sphinx's own numbering (priority 500), which starts from nothing.
    app.connect("env-get-updated", number_chapters, priority=800)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
