"""Words of a slide: the sentences of a paragraph, and how much room text, code and formulas take."""

import re

from docutils import nodes

CODE_WIDTHS = (("narrow", 76, 31), ("normal", 94, 27), ("wide", 10_000, 22))  # columns, height of a line
TEXT_LINE, WIDTH = 40, 82
LEAD = 150  # characters: what stands before a formula or a list
SHORT = 40
# A full stop after one of these ends no sentence.
ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|vs|cf|al|resp|approx|Fig|Eq|No|pp?)|\b[A-Z])\.$")
SENTENCE_END = re.compile(r"[.!?][\"”’)\]]*(?=\s|$)")
UNSEEN = re.compile(r"\\[,;:!]|\\(?:left|right|[bB]igg?[lr]?|mathop|operatorname|mathrm)(?![A-Za-z])")


def sentences(paragraph):
    """Return the sentences of a paragraph, as paragraphs.

    Parameters
    ----------
    paragraph : nodes.paragraph
        Text, formulas and other inline nodes.

    Returns
    -------
    list of nodes.paragraph
        Copies; a sentence ends at a full stop, a question or an exclamation mark before a space.
    """
    found = [nodes.paragraph()]
    for child in paragraph.children:
        if not isinstance(child, nodes.Text):
            found[-1] += child.deepcopy()
            if isinstance(child, nodes.strong | nodes.emphasis) and SENTENCE_END.search(child.astext()[-1:]):
                found.append(nodes.paragraph())
            continue
        text, start = child.astext(), 0
        for match in SENTENCE_END.finditer(text):
            if not ABBREVIATION.search(text[: match.end()]):
                piece = text[start : match.end()]
                found[-1] += nodes.Text(piece if found[-1].children else piece.lstrip())
                found.append(nodes.paragraph())
                start = match.end()
        if text[start:].strip():
            found[-1] += nodes.Text(text[start:] if found[-1].children else text[start:].lstrip())
        elif found[-1].children:
            found[-1] += nodes.Text(text[start:])
    return [sentence for sentence in found if sentence.astext().strip()] or found[:1]


def first_words(paragraph):
    """Return the first sentence of a paragraph, and the second if the first is very short."""
    first, *others = sentences(paragraph)
    if others and visible_length(first) < SHORT and visible_length(first) + visible_length(others[0]) <= LEAD:
        first += [nodes.Text(" "), *others[0].deepcopy().children]
    return first


def lead(paragraph):
    """Return what leads to a formula or list: the last sentence, and those before it that fit."""
    shown = nodes.paragraph()
    for sentence in reversed(sentences(paragraph)):
        if shown.children and visible_length(sentence) + visible_length(shown) > LEAD:
            break
        shown.children = [*sentence.deepcopy().children, nodes.Text(" "), *shown.children]
    joined = nodes.paragraph()
    joined += shown.children
    return joined


def visible_length(node):
    """Return about how many characters wide a node is when it is set on one line."""
    length = 0
    for child in node.findall(lambda n: isinstance(n, nodes.Text)):
        text = child.astext()
        if isinstance(child.parent, nodes.math):
            text = UNSEEN.sub("", text)
            text = re.sub(r"[{}^_&\s]", "", re.sub(r"\\[A-Za-z]+", "x", text))
        length += len(text)
    return length


def code_width(node):
    """Return the name of the type size that code of this width gets, and the height of a line in it."""
    longest = max(map(len, node.astext().splitlines()), default=0)
    return next((name, line) for name, most, line in CODE_WIDTHS if longest <= most)


def math_height(node):
    """Return the estimated height of a displayed formula."""
    lines = node.astext().count(r"\\") + 1
    tall = len(re.findall(r"\\(?:frac|sum|int|prod|begin\{(?:cases|pmatrix|bmatrix)\})", node.astext()))
    return 30 + 52 * lines + 30 * min(tall, lines)


def text_height(node):
    """Return the estimated height of anything that is mostly text."""
    if isinstance(node, nodes.literal_block):
        return code_width(node)[1] * (node.astext().rstrip("\n").count("\n") + 1) + 44
    if isinstance(node, nodes.math_block):
        return math_height(node)
    blocks = [child for child in node.children if isinstance(child, nodes.Element) and _is_block(child)]
    if blocks and not isinstance(node, nodes.paragraph):
        return sum(text_height(child) for child in blocks)
    return TEXT_LINE * max(1, -(-visible_length(node) // WIDTH)) + 14


def _is_block(node):
    return isinstance(node, nodes.Body | nodes.Part | nodes.title) and not isinstance(node, nodes.image)
