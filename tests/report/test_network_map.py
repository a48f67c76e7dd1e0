from __future__ import annotations

from ablate.analysis.screening import Factor, Screening
from ablate.report.network_map import Row, ScreenReport, drawn, folded_words, rows
from ablate.report.text_map import text_map
from ablate.study.network import LayerNode
from ablate.study.schema.screen import Screen
from ablate.study.schema.variant import Found
from ablate.study.screen_design import Design
from ablate.study.screening import candidates


def chain(*layers):
    return [
        LayerNode(
            name, name.capitalize(), inputs=(at - 1,) if at else (), output=at == len(layers) - 1
        )
        for at, name in enumerate(layers)
    ]


def pictures(made):
    return [(drawn(row, "o"), row.label) for row in made]


def test_a_chain_is_one_track():
    made = rows(chain("input", "conv", "output"), {"conv": [0]})
    assert pictures(made) == [("o", "input"), ("o", "conv"), ("o", "output")]
    assert [row.factors for row in made] == [(), (0,), ()]
    assert [(row.first, row.last) for row in made] == [(True, False), (False, False), (False, True)]


def test_a_branch_runs_beside_until_it_joins():
    network = [
        LayerNode("input", "InputLayer"),
        LayerNode("left", "Dense", inputs=(0,)),
        LayerNode("right", "Dense", inputs=(0,)),
        LayerNode("add", "Add", inputs=(1, 2)),
        LayerNode("skip", "Add", inputs=(3, 0), output=True),
    ]
    assert pictures(rows(network, {})) == [
        ("o─┬─╮", "input"),
        ("o │ │", "left"),
        ("│ o │", "right"),
        ("o─╯ │", "add"),
        ("o───╯", "skip"),
    ]


def test_tracks_that_cross_are_drawn_across():
    assert drawn(Row("x", "", track=0, joins=(2,), passes=(1,)), "o") == "o─┼─╯"
    assert drawn(Row("x", "", track=1, joins=(0,)), "o") == "╰─o"
    assert drawn(Row("x", "", track=0, joins=(1,), leaves=(1,)), "o") == "o─┤"


def test_a_long_network_shows_hosts_joins_and_ends():
    names = ["input", *(f"layer{i}" for i in range(40)), "output"]
    made = rows(chain(*names), {"layer5": [1], "layer20": [0]})
    assert [row.label for row in made] == ["input", "layer5", "layer20", "output"]


def test_a_folded_branch_still_joins():
    names = ["input", *(f"layer{i}" for i in range(40))]
    network = chain(*names)[:-1]
    network += [
        LayerNode("relu", "ReLU", inputs=(39,)),
        LayerNode("add", "Add", inputs=(40, 10)),
        LayerNode("output", "Dense", inputs=(41,), output=True),
    ]
    made = rows(network, {"layer20": [0]})
    assert pictures(made) == [("o─╮", "input"), ("o │", "layer20"), ("o─╯", "add"), ("o", "output")]


def test_a_shared_layer_has_its_sites_at_its_first_call():
    network = [
        LayerNode("a", "InputLayer"),
        LayerNode("b", "InputLayer"),
        LayerNode("shared", "Dense", inputs=(0,)),
        LayerNode("shared", "Dense", inputs=(1,), call=1),
        LayerNode("add", "Add", inputs=(2, 3), output=True),
    ]
    made = rows(network, {"shared": [0, 1]})
    assert [(row.label, row.factors) for row in made] == [
        ("a", ()), ("b", ()), ("shared", (0, 1)), ("shared (call 2)", ()), ("add", ()),
    ]  # fmt: skip


def test_a_host_that_the_network_lacks_is_not_lost():
    made = rows(chain("input", "output"), {"gone": [0]})
    assert made[-1].label == "gone" and made[-1].factors == (0,)


def screened(effects, width=0.5):
    """A chain of layers, each the host of a site with an effect; those above 0 are picked."""
    names = [f"layer{at}" for at in range(len(effects))]
    found = [Found(host=name, layer=f"{name}_bn", placement=0) for name in names]
    factors = tuple(
        Factor(each.layer, at, at - width, at + width)
        for each, at in zip(found, effects, strict=True)
    )
    return ScreenReport(
        Design(Screen(placements=[{"layer": "BatchNormalization"}], found=found)),
        Screening("val_loss", "max", 0.95, factors, 4, (0, 1)),
        tuple(chain("input", *names, "output")),
        candidates([each > 0 for each in effects], [True] * len(effects)),
    )


def test_a_long_map_has_one_line_for_sites_that_may_be_nothing():
    effects = [0.1, -0.2, 2.0, *[0.05] * 20, -3.0, *[0.01] * 18]
    lines = text_map(screened(effects), 80)
    shown = [line.split()[1] for line in lines[:-2]]
    assert shown == ["input", "layer0", "layer1", "layer2", "20", "layer23", "18", "output"]
    assert lines[4] == "⋮ 20 sites, +0.05 to +0.05: each may be 0; 20 picked"
    assert max(map(len, lines)) <= 80
    assert len(text_map(screened(effects[:30]), 80)) == 34  # a short one has every site


def test_layers_that_are_not_shown_are_counted():
    names = ["input", *(f"layer{i}" for i in range(40)), "output"]
    made = rows(chain(*names), {"layer5": [1], "layer20": [0]})
    assert [row.folded for row in made] == [5, 14, 19, 0]
    assert folded_words(made) == "38 layers without a site are not shown"
    assert folded_words(rows(chain("input", "output"), {})) == ""
