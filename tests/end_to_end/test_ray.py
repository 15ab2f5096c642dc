"""Workers as actors of a real Ray cluster on this machine.

They are killed, leave and join; the tallies are always the same to the bit.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from sharing import INDICES, METHODS, Own, assert_same, sampled_by, sampled_here, sampling, setup_of

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
pytest.importorskip("ray")

from ray.cluster_utils import Cluster

from sosmooth import load_run
from sosmooth.cli import main
from sosmooth.datasets import load_dataset
from sosmooth.workers.jobs import sample_by
from sosmooth.workers.pool import Pool, WorkersError
from sosmooth.workers.ray_cluster import RayWorkers
from sosmooth.workers.share import Probe

# Ray leaves pipes and sockets of its processes to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore:.*ray.*:FutureWarning",
)
NODE = {"num_cpus": 2, "num_gpus": 0, "object_store_memory": 80 * 2**20, "include_dashboard": False}


@pytest.fixture(scope="module")
def cluster():
    """Two CPUs; the nodes of a `Cluster` have only this machine in common."""
    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    yield cluster
    cluster.shutdown()


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return Own(tmp_path_factory.mktemp("own"))


def ray_pool(cluster, setup, **changes):
    return Pool(
        RayWorkers(setup, **{"address": cluster.address, "limit": None, "notice": print} | changes)
    )


@pytest.mark.slow
def test_actors_that_are_killed_change_nothing(cluster, own):
    indices, of = [0, 2, 4, 5, 7], sampling()
    with ray_pool(cluster, own.setup) as pool:
        assert pool.size == 2
        for share_evaluations in (40_000, 8_000):  # whole inputs, inputs in parts
            own.mood("killed")
            found = sampled_by(pool, own.setup, own.get, indices, of, share_evaluations)
            assert (own.folder / "first").exists()
            assert (own.folder / "second").exists()
            assert_same(found, own.honestly(indices, of))


@pytest.mark.slow
def test_an_actor_that_is_stopped_is_not_waited_for(cluster, own):
    indices, of, lines = [0, 2, 4, 5, 7], sampling(), []
    own.mood("stopped")
    workers = RayWorkers(own.setup, address=cluster.address, limit=None, notice=print)
    with Pool(workers, patience=1.0, notice=lines.append) as pool:
        found = sampled_by(pool, own.setup, own.get, indices, of, 8_000)
    assert (own.folder / "first").exists()
    assert_same(found, own.honestly(indices, of))
    assert re.match(r"the worker of actor [0-9a-f]+ has not answered for", lines[0])


@pytest.mark.slow
def test_an_actor_of_another_classifier_takes_no_part(cluster, own):
    """The actor's answers differ from the run's."""
    own.mood("honest")
    with ray_pool(cluster, own.setup) as pool:
        seen = []
        probe = Probe(own.get([0, 1]), [0, 1], 8, 0)
        pool.admit(probe, seen.append)
        assert seen[0].labels.shape == (2, 8)
        assert seen[0].environment["torch"]

        def refuse(found):
            raise WorkersError("other answers")

        with pytest.raises(WorkersError, match="other answers"):
            pool.admit(probe, refuse)


@pytest.mark.slow
def test_the_same_to_the_bit(cluster):
    setup, get = setup_of("mnist7"), load_dataset("mnist7").get
    with ray_pool(cluster, setup) as pool:
        for of in (
            *map(sampling, METHODS),
            sampling("dipole", radius=0.1),
            sampling("dipole", tolerance=0.05),
        ):
            for share_evaluations in (None, 8_000):
                found = sampled_by(pool, setup, get, INDICES, of, share_evaluations)
                assert_same(found, sampled_here(setup, get, INDICES, of))


@pytest.mark.slow
def test_a_node_joins_and_leaves(cluster, own):
    own.mood("slow")
    indices, of = list(range(6)), sampling(n=40_000, batch_size=200)
    with ray_pool(cluster, own.setup) as pool:
        samples = sample_by(
            pool,
            own.get,
            indices,
            of.request,
            own.setup.smoothing,
            batch_size=of.batch_size,
            progress=lambda evaluations: None,
            share_evaluations=10_000,
        )
        found = [next(samples)[0]]
        node = cluster.add_node(num_cpus=2, object_store_memory=80 * 2**20)
        sizes = []
        for sampled, _ in samples:
            found.append(sampled)
            sizes.append(pool.size)
            if len(found) == 4:
                assert max(sizes) == 4
                cluster.remove_node(node)
        assert sizes[-1] < 4
    assert_same({sampled.index: sampled for sampled in found}, own.honestly(indices, of))


@pytest.mark.slow
def test_a_limit_and_a_cluster_that_is_not_there(cluster, own):
    with ray_pool(cluster, own.setup, limit=1) as pool:
        assert pool.size == 1
        of = sampling("dipole", n=2000)
        assert_same(sampled_by(pool, own.setup, own.get, [1], of), own.honestly([1], of))
    with pytest.raises(ValueError, match="workers must be at least 1; got 0"):
        ray_pool(cluster, own.setup, limit=0)
    with pytest.raises(ValueError, match="address must be auto or HOST:PORT"):
        ray_pool(cluster, own.setup, address="here")
    with pytest.raises(
        WorkersError,
        match=r"no Ray cluster is available at 127\.0\.0\.1:1: .*start one with `ray start --head`",
    ):
        ray_pool(cluster, own.setup, address="127.0.0.1:1")


def certify(cluster, own, out):
    return [
        *(sys.executable, "-m", "sosmooth", "certify", "--model", own.spec, "--data", own.data),
        *("--indices", "0:6", "--sigma", "0.25", "--n", "20000", "--batch-size", "200"),
        *("--out", str(out), "--json"),
    ]


@pytest.mark.slow
def test_the_driver_is_killed_and_started_again(cluster, own, tmp_path):
    """From the command line; standard output contains only JSON even if an actor dies."""
    command = [
        *certify(cluster, own, tmp_path / "run"),
        "--engine",
        "ray",
        "--address",
        cluster.address,
    ]
    own.mood("slow")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and not (
        (tmp_path / "run/manifest.json").exists() and len(load_run(tmp_path / "run"))
    ):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    assert 0 < len(load_run(tmp_path / "run")) < 6
    own.mood("killed")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["complete"]
    own.mood("honest")
    assert main(certify(cluster, own, tmp_path / "alone")[3:]) == 0
    run, alone = (
        load_run(tmp_path / name).table.drop_columns(["seconds"]) for name in ("run", "alone")
    )
    assert run.equals(alone)


def test_without_ray_one_line_says_what_to_install(own, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*certify(None, own, tmp_path / "run")[3:], "--engine", "ray"]) == 2
    err = capsys.readouterr().err
    assert 'pip install -c constraints.txt ".[ray]"' in err
    assert len([line for line in err.splitlines() if "note: " not in line]) == 1
