"""The rules that make a deck of slides from a chapter: what is shown, what is said, and where a slide ends.

A chapter holds no metadata for slides. A slide has the heading of its section and what a room looks at:
formulas, figures, short code with its output, lists, tables, the question to predict. Prose is for the
speaker: it goes to the notes, and one sentence of it stays. Heights are estimates, in pixels of a slide of
1280 x 720; the browser has the last word (``slides/slides.js`` shrinks or scrolls what does not fit).
"""

import re
from dataclasses import dataclass, field

from docutils import nodes
from slide_text import TEXT_LINE, first_words, lead, math_height, text_height

CAPACITY = 550
SHRUNK = 1.15  # so much more fits in smaller type
MOST_CODE_LINES = 12
ROW, MOST_ROWS = 38, 12
LED_TO = nodes.math_block | nodes.bullet_list | nodes.enumerated_list | nodes.table
SKIPPED_SECTIONS = {"References"}


@dataclass
class Slide:
    """One slide: what is seen, and what the speaker reads.

    Parameters
    ----------
    kind : str
        ``text``, ``predict``, ``figure``, ``code`` or ``table``.
    heading : nodes.title or None
        The heading of the section.
    items : list of nodes.Node
        What the slide shows, from top to bottom.
    notes : list of nodes.Node
        What the speaker reads.
    height : float
        Estimated height of the items.
    """

    kind: str
    heading: nodes.Element | None = None
    items: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    height: float = 0.0

    @property
    def bare(self):
        """Whether it shows a sentence at most."""
        return all(isinstance(item, nodes.paragraph) for item in self.items)

    @property
    def ends_in_code(self):
        """Whether it ends in code that printed nothing so far."""
        last = self.items[-1] if self.items else None
        return isinstance(last, nodes.literal_block) and "output" not in last["classes"]


@dataclass
class Deck:
    """A chapter as slides: its title slide, stacks of slides (one per section), and the exercises."""

    title: nodes.Element
    opening: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    stacks: list = field(default_factory=list)
    exercises: list = field(default_factory=list)
    course: nodes.Element | None = None


def make_deck(document):
    """Return the deck of a chapter.

    Parameters
    ----------
    document : nodes.document
        The chapter as Sphinx resolved it: numbers, citations and cross references are text.

    Returns
    -------
    Deck
        Its nodes are copies.
    """
    chapter = next(document.findall(nodes.section))
    deck = Deck(chapter.next_node(nodes.title))
    _open(deck, [child for child in chapter.children[1:] if not isinstance(child, nodes.section)])
    for section in (child for child in chapter.children if isinstance(child, nodes.section)):
        title = section.next_node(nodes.title)
        if title.astext() in SKIPPED_SECTIONS:
            continue
        stack = _Stack(deck, title)
        stack.add_section(section)
        deck.stacks.append(_without_asides(stack.slides))
    deck.stacks = [stack for stack in deck.stacks if stack]
    deck.course = next((node for node in document.findall(nodes.admonition) if _has(node, "course")), None)
    return deck


def _without_asides(slides):
    """Return slides without those that show one sentence or setup code; the next slide gets their notes."""
    kept, waiting = [], []
    for slide in slides:
        slide.notes[:0] = waiting
        waiting = []
        aside = (slide.bare and len(slide.items) <= 1) or _sets_up(slide)
        if aside and slide is not slides[-1]:
            code = [item for item in slide.items if isinstance(item, nodes.literal_block)]
            waiting = [*slide.notes, *code]
        elif slide.items:
            kept.append(slide)
    return kept


def _sets_up(slide):
    """Return whether a slide has nothing but code that prints and defines nothing."""
    code = [item for item in slide.items if isinstance(item, nodes.literal_block)]
    silent = all("output" not in block["classes"] for block in code)
    defines = any(re.search(r"^(?:def|class) ", block.astext(), re.MULTILINE) for block in code)
    others = [item for item in slide.items if not isinstance(item, nodes.literal_block | nodes.paragraph)]
    return bool(code) and silent and not defines and not others


def _open(deck, children):
    """Fill the title slide: the question and the list of aims; what you need goes to the notes."""
    for number, node in enumerate(children):
        question = number == 0 or isinstance(node, nodes.bullet_list)
        if isinstance(node, nodes.paragraph) and node.astext().strip() == "You will":
            question = True
        if isinstance(node, nodes.paragraph | nodes.bullet_list):
            (deck.opening if question else deck.notes).append(node.deepcopy())


class _Stack:
    """The slides of one section, in the making."""

    def __init__(self, deck, heading):
        self.deck = deck
        self.heading = heading
        self.slides = []
        self.spoken = False  # a sentence was shown since the last item
        self.waiting = []  # hidden code, for the notes of the slide that shows its output

    def add_section(self, section):
        """Add all of a section, its subsections after it."""
        children = [child for child in section.children[1:] if not isinstance(child, nodes.target)]
        for number, node in enumerate(children):
            following = children[number + 1] if number + 1 < len(children) else None
            if isinstance(node, nodes.section):
                below = _Stack(self.deck, node.next_node(nodes.title))
                below.add_section(node)
                self.slides += below.slides
            else:
                self._add(node, following)
        if self.slides:
            self.slides[-1].notes += self.waiting

    def _add(self, node, following):
        if isinstance(node, nodes.paragraph):
            self._say(node, following)
        elif isinstance(node, nodes.math_block):
            self._show(node, math_height(node))
        elif isinstance(node, nodes.bullet_list | nodes.enumerated_list):
            self._show_list(node)
        elif isinstance(node, nodes.table):
            self._show_table(node)
        elif isinstance(node, nodes.admonition) and _has(node, "exercise"):
            self.deck.exercises.append(node.deepcopy())
        elif isinstance(node, nodes.admonition) and _has(node, "predict"):
            self._show(node, 110 + text_height(node), kind="predict", alone=True)
        elif isinstance(node, nodes.admonition):
            if not _has(node, "course"):
                self._show(node, 110 + text_height(node))
        elif isinstance(node, nodes.container) and node.get("nb_element") == "cell_code":
            self._show_cell(node)
        elif isinstance(node, nodes.literal_block | nodes.definition_list | nodes.block_quote | nodes.image):
            self._show(node, text_height(node))
        elif isinstance(node, nodes.figure):
            self._show(node, CAPACITY - 180, kind="figure", alone=True)
        elif isinstance(node, nodes.container):
            for child in node.children:
                self._add(child, None)
        elif not isinstance(node, nodes.Invisible):
            self.waiting.append(node.deepcopy())

    def _slide(self, kind="text"):
        self.slides.append(Slide(kind, self.heading))
        return self.slides[-1]

    def _say(self, paragraph, following):
        """Put a paragraph into the notes and, where it helps, one of its sentences on the slide."""
        leads = isinstance(following, LED_TO)
        shown = lead(paragraph) if leads else first_words(paragraph)
        height = text_height(shown)
        current = self.slides[-1] if self.slides else self._slide()
        complete = current.kind in ("figure", "predict", "table")
        if leads and (complete or current.height + height + _least(following) > CAPACITY):
            current = self._slide()
            complete = self.spoken = False
        current.notes.append(paragraph.deepcopy())
        silent = self.spoken and not current.bare  # a slide of prose has a sentence of each paragraph
        if (leads or not silent) and not complete and current.height + height <= CAPACITY:
            current.items.append(shown)
            current.height += height
            self.spoken = True

    def _show(self, node, height, *, kind="text", alone=False):
        """Put a node on the slide if there is room, else on a new one; `alone`: with a sentence at most."""
        current = self.slides[-1] if self.slides else None
        full = current is None or (current.items and current.height + height > CAPACITY)
        if full or (alone and not current.bare) or current.kind in ("figure", "predict", "table"):
            current = self._slide(kind)
        if kind != "text":
            current.kind = kind
        self._put(current, node.deepcopy(), height)

    def _show_list(self, node):
        """Show a list; one that is too long for a slide is shared out evenly."""
        heights = [text_height(item) + 8 for item in node.children]
        first, start = 0, node.get("start", 1)
        for count in _shares(heights):
            part = node.copy()
            part += [item.deepcopy() for item in node.children[first : first + count]]
            if isinstance(node, nodes.enumerated_list):
                part["start"] = start + first
            self._show(part, sum(heights[first : first + count]))
            first += count

    def _show_table(self, node):
        """Show a table, in parts with the same head if it is long."""
        rows = list(node.next_node(nodes.tbody).children)
        count = -(-len(rows) // MOST_ROWS)
        size = -(-len(rows) // count)
        for first in range(0, len(rows), size):
            part = node.deepcopy()
            body = part.next_node(nodes.tbody)
            body.children = body.children[first : first + size]
            height = ROW * (len(body.children) + 1) + 20
            self._show(part, height, kind="table" if height > CAPACITY / 2 else "text")

    def _show_cell(self, cell):
        """Show a cell: its code if it is short and not hidden, then its outputs."""
        parts = {part.get("nb_element"): part for part in cell.findall(nodes.container)}
        outputs = list(_outputs(parts.get("cell_code_output", nodes.container())))
        if "cell_code_source" in parts:
            code = _tight(parts["cell_code_source"].next_node(nodes.literal_block))
            if "hide_mode" in cell or code.astext().count("\n") >= MOST_CODE_LINES:
                self.waiting.append(code)
            else:
                self._show_code(code, outputs)
        for node in outputs:
            if isinstance(node, nodes.literal_block):
                self._show_printed(node)
            elif isinstance(node, nodes.paragraph):  # computed, so not for the speaker alone
                self._show(node, text_height(node))
            else:
                self._add(node, None)

    def _show_code(self, code, outputs):
        """Show code, with what it prints, below a sentence or below code that printed nothing."""
        height = text_height(code)
        printed = text_height(outputs[0]) if outputs and isinstance(outputs[0], nodes.literal_block) else 0
        current = self.slides[-1] if self.slides else self._slide()
        joins = current.bare or current.ends_in_code
        if not joins or current.height + height + printed > SHRUNK * CAPACITY:
            current = self._slide()
        current.kind = "code"
        self._put(current, code, height)

    def _show_printed(self, node):
        height = min(text_height(node), CAPACITY)
        current = self.slides[-1] if self.slides else None
        if current is not None and current.kind == "code" and current.height + height <= SHRUNK * CAPACITY:
            self._put(current, node.deepcopy(), height)
        else:
            self._show(node, height)

    def _put(self, slide, node, height):
        """Put a node on a slide, and what waits into its notes."""
        slide.items.append(node)
        slide.height += height
        slide.notes += self.waiting
        self.waiting, self.spoken = [], False


def _outputs(container):
    """Yield what a cell displays, out of its containers."""
    for node in container.children:
        if isinstance(node, nodes.container):
            yield from _outputs(node)
        elif isinstance(node, nodes.image):
            yield nodes.figure("", node.deepcopy())
        else:
            yield node


def _tight(code):
    """Return code with one empty line where the formatter wants two."""
    text = re.sub(r"\n{3,}", "\n\n", code.astext().rstrip())
    return nodes.literal_block(text, text, language=code["language"], classes=code["classes"])


def _has(node, name):
    return name in node.get("classes", ())


def _filled(heights, room):
    """Return how many of the heights stand on each slide if every slide is filled in turn."""
    counts, total = [0], 0
    for height in heights:
        if counts[-1] and total + height > room:
            counts.append(0)
            total = 0
        counts[-1] += 1
        total += height
    return counts


def _shares(heights):
    """Return how many of the heights stand on each slide: on as few as possible, and evenly."""
    fewest = len(_filled(heights, CAPACITY))
    rooms = [*range(int(sum(heights) / fewest), CAPACITY, 10), CAPACITY]
    return next(shares for room in rooms if len(shares := _filled(heights, room)) == fewest)


def _least(node):
    """Return the height of the least part of a node that can follow its lead."""
    if isinstance(node, nodes.math_block):
        return math_height(node)
    if isinstance(node, nodes.table):
        return ROW * 4
    height = sum(text_height(item) + 8 for item in node.children)
    return height if height <= CAPACITY - 2 * TEXT_LINE else CAPACITY / 3
