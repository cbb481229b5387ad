"""The tables at a glance."""

import re

import pytest

from selfgated import catalog, glance, moments, symbolic


@pytest.mark.parametrize("name", catalog.names())
def test_table_of_every_activation_has_its_rows(name):
    text = glance.table(name)
    rows = dict(re.findall(r"^\| ([a-z ,]+) \| (.*) \|$", text, flags=re.MULTILINE))
    assert rows["definition"] == f"$f(z) = {catalog.get(name).formula}$"
    assert ("gate" in rows) == (catalog.get(name).gate is not None)
    for order, key in enumerate(("extrema", "extrema of the slope")):
        assert rows[key].count("at $z") == len(symbolic.extrema(name, order))
    forward, backward = map(float, rows["gain, forward and backward"].split(" and "))
    gains = moments.gains(name)
    assert forward == pytest.approx(gains.forward, rel=1e-9)
    assert backward == pytest.approx(gains.backward, rel=1e-9)


def test_table_gives_closed_forms_and_digits():
    assert "$f = -0.2784645428$ at $z = -1.278464543$ (exactly $- W" in glance.table("silu")


def test_table_with_label_and_caption_is_a_directive():
    text = glance.table("swish-1", caption="SiLU.", label="tab-x")
    assert text.startswith("```{table} SiLU.\n:name: tab-x\n\n|")
    assert text.endswith("```")


def test_table_of_an_unknown_name():
    with pytest.raises(ValueError, match="unknown activation 'gleu'; choose from"):
        glance.table("gleu")
