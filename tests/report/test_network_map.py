from __future__ import annotations

from ablate.report.network_map import Row, drawn, rows
from ablate.study.network import LayerNode


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
