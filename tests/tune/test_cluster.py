"""What a cluster can place, node by node, and what is said when it can't."""

from __future__ import annotations

import pytest

from kdsearch.errors import InputError
from kdsearch.spec import load_spec
from kdsearch.tune.capacity import Cluster, groups
from kdsearch.tune.cluster import check_address, is_job


def spec(*, measure: object = None, concurrent: int | None = None, **compute: object) -> object:
    search = {"trials": 100, "concurrent": concurrent}
    return load_spec(
        {
            "data": {"source": "digits", "batch_size": 720},
            "student": "mlp",
            "compute": compute,
            "search": search,
            "measure": measure or {},
        }
    )


def nodes(*each: tuple[float, float]) -> list[dict[str, float]]:
    return [{"CPU": cpus, "GPU": gpus} for cpus, gpus in each]


@pytest.mark.parametrize(
    ("compute", "there", "expected"),
    [
        ({}, nodes((4, 0)), 4),
        ({"cpus_per_worker": 3}, nodes((4, 0), (4, 0)), 2),
        ({"cpus_per_worker": 3, "workers": 2}, nodes((4, 0), (4, 0)), 1),
        ({"gpus_per_worker": 1}, nodes((8, 2), (64, 0)), 2),
        ({"gpus_per_worker": 0.5}, nodes((8, 1), (1, 1)), 3),
        ({"gpus_per_worker": 1, "workers": 4}, nodes((8, 3), (8, 3), (8, 3)), 2),
        ({}, nodes((1000, 0)), 102),
        ({}, [{"CPU": 16.0, "memory": 2.2e9}], 4),
    ],
)
def test_a_worker_is_placed_on_one_node_and_a_group_on_as_many_as_it_needs(compute, there, expected):
    assert groups(spec(**compute), Cluster(there)) == expected


@pytest.mark.parametrize(
    ("compute", "there", "message"),
    [
        (
            {"cpus_per_worker": 4},
            nodes((2, 0), (2, 0)),
            "needs 1 x 4 CPUs, and there are 2 nodes: 2 x 2 CPUs and 0",
        ),
        (
            {"gpus_per_worker": 1},
            nodes((8, 0)),
            "needs 1 x 1 CPUs and 1 x 1 GPUs, and there are 8 CPUs and 0 GPUs",
        ),
        (
            {"workers": 3, "gpus_per_worker": 1},
            nodes((8, 2), (8, 0)),
            "each worker on one node, and there are 2 nod",
        ),
        ({}, [], "and there are no nodes"),
        (
            {},
            [{"CPU": 8.0, "memory": 0.3e9}],
            "8 CPUs and 0 GPUs and 0.3 GB of memory, less than a worker takes",
        ),
    ],
)
def test_what_cannot_be_placed_is_said_with_what_there_is(compute, there, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        groups(spec(**compute), Cluster(there))


@pytest.mark.parametrize(("concurrent", "expected"), [(None, 1), (6, 6), (1000, 102)])
def test_where_nodes_may_come_of_which_nothing_is_known_the_user_says_how_many_run_at_once(
    concurrent, expected
):
    asked = spec(gpus_per_worker=1, concurrent=concurrent)
    assert groups(asked, Cluster(nodes((0, 0)), more=True)) == expected
    assert groups(spec(), Cluster(nodes((3, 0)), more=True)) == 3


EDGE = {"CPU": 1.0, "GPU": 0.0, "edge": 1.0}


@pytest.mark.parametrize(
    ("resources", "there", "expected"),
    [
        ({"edge": 1}, [*nodes((4, 0)), EDGE], 4),
        ({"edge": 0.5}, [*nodes((1, 0)), {**EDGE, "CPU": 3.0}], 3),
        ({"CPU": 2}, nodes((4, 0), (3, 0)), 5),
    ],
)
def test_workers_that_train_are_placed_beside_the_one_that_measures(resources, there, expected):
    assert groups(spec(measure={"resources": resources}), Cluster(there)) == expected


def test_the_kind_of_node_that_measures_must_be_there():
    with pytest.raises(InputError) as refused:
        groups(spec(measure={"resources": {"egde": 1}}), Cluster([*nodes((4, 0)), EDGE]))
    there = "2 nodes: 1 x 4 CPUs and 0 GPUs, 1 x 1 CPUs and 0 GPUs and 1 edge"
    assert str(refused.value) == f"measure.resources: no node has CPU: 1, egde: 1; there are {there}"


def test_the_worker_that_measures_leaves_room_for_one_that_trains():
    with pytest.raises(InputError, match="beside the worker that measures"):
        groups(spec(measure={"resources": {"edge": 1}}), Cluster([EDGE]))


def test_which_addresses_are_jobs():
    jobs = ["auto", "ray://h:1", "http://h", "https://h"]
    assert [address for address in (None, "local", "10.0.0.1:6379", *jobs) if is_job(address)] == jobs


@pytest.mark.parametrize(
    "address", ["here", ":1", "ftp://host:1", "http://", "host:port", "host:99999", "ray://"]
)
def test_an_address_that_is_none(address: str):
    with pytest.raises(InputError, match="expected HOST:PORT, ray://HOST:PORT, http://HOST:8265 or auto"):
        check_address(address)


def test_a_password_in_an_address_is_not_repeated():
    with pytest.raises(InputError) as refused:
        check_address("http://me:secret@host:8265")
    assert "secret" not in str(refused.value)
