"""Which nodes a network has, and the order in which they are computed."""

from __future__ import annotations

import pytest

from napari_unetpp.config import NetworkConfig
from napari_unetpp.errors import SettingsError
from napari_unetpp.nn import build_network
from napari_unetpp.nn._graph import graph_of

DEEP = NetworkConfig(widths=(1, 2, 3, 4, 5))
UNET = DEEP.model_copy(update={"architecture": "unet"})


@pytest.mark.parametrize("heads", [(1,), (2,), (1, 3), (4,), (1, 2, 3, 4)])
def test_the_nodes_are_those_that_the_deepest_head_needs(heads):
    nodes = graph_of(DEEP, heads)
    level = max(heads)
    there = set(build_network(DEEP).prune(level).nodes)
    assert {f"{i}_{j}" for i, j in (node.place for node in nodes)} == there
    assert [node.head for node in nodes if node.head] == list(heads)
    assert all(node.place == (0, node.head) for node in nodes if node.head)


@pytest.mark.parametrize(("config", "heads"), [(DEEP, (1, 2, 3, 4)), (UNET, (4,))])
def test_every_node_comes_after_all_that_it_reads(config, heads):
    done = set()
    for node in graph_of(config, heads):
        reads = {*node.skips, node.lower, node.upper} - {None}
        assert reads <= done
        assert bool(reads) == (node.place != (0, 0))
        done.add(node.place)


def test_a_shallow_head_is_done_before_a_deep_node_is_begun():
    depths = [node.depth for node in graph_of(DEEP, (1, 2, 3, 4))]
    assert depths == sorted(depths)


def test_a_unet_reads_one_skip_at_each_level():
    nodes = {node.place: node for node in graph_of(UNET, (4,))}
    assert len(nodes) == 9
    assert nodes[0, 4].skips == ((0, 0),)
    assert nodes[0, 4].lower == (1, 3)
    assert nodes[3, 1].lower == (4, 0)


@pytest.mark.parametrize("heads", [(), (0,), (5,), (2, 1), (1, 1)])
def test_heads_that_are_not_there_are_refused(heads):
    with pytest.raises(SettingsError, match=r"heads=.*one or more of \(1, 2, 3, 4\)"):
        graph_of(DEEP, heads)
    with pytest.raises(SettingsError, match=r"one or more of \(4,\)"):
        graph_of(UNET, (1,))
