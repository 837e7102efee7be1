"""Several processes that train together: what they give each other, and what if one is gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap

import pytest

from napari_dacapo_tasks.errors import DeviceError
from napari_dacapo_tasks.training.world import World, started_by_torchrun

BEGIN = """
import sys, torch
from napari_dacapo_tasks.errors import UserError
from napari_dacapo_tasks.training.world import World
world = World.from_environment()
"""


@pytest.fixture
def together():
    """Run code in several processes that find each other: exit code, output, error of each."""
    started = []

    def run(code: str, size: int = 2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for rank in range(size):
            environment = {
                **os.environ,
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(size),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }
            process = subprocess.Popen(
                [sys.executable, "-c", BEGIN + textwrap.dedent(code)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            started.append(process)
        said = [process.communicate(timeout=300) for process in started]
        return [(p.returncode, *texts) for p, texts in zip(started, said, strict=True)]

    yield run
    for process in started:
        process.kill()
        process.wait()


class TestTogether:
    def test_values_sums_and_gradients(self, together):
        ended = together(
            """
            assert (world.size, world.is_main) == (2, world.rank == 0)
            assert world.gather({"rank": world.rank}) == [{"rank": 0}, {"rank": 1}]
            assert world.any(world.rank == 1) and not world.any(False)
            counts = [torch.tensor([1, 2]), torch.tensor(0.5 + world.rank), torch.tensor([[3]])]
            world.add_up(counts)
            assert [one.tolist() for one in counts] == [[2, 4], 2.0, [[6]]]

            net = torch.nn.Linear(2, 1)
            net.bias.requires_grad = False
            for value in range(1 + world.rank):  # one process cut its part into two
                net(torch.full((1, 2), 1.0 + value)).sum().backward()
            world.add_gradients(net)
            assert net.weight.grad.tolist() == [[4.0, 4.0]] and net.bias.grad is None

            world.barrier()
            world.close()
            world.close()
            print("all is well")
            """
        )
        assert [(code, said) for code, said, _ in ended] == [(0, "all is well\n")] * 2, ended

    @pytest.mark.parametrize("asked", ["world.barrier()", "world.add_up([torch.ones(3)])"])
    def test_where_one_is_killed_the_others_end_with_a_sentence(self, together, asked):
        ended = together(
            f"""
            import os, signal
            world.barrier()
            world.add_up([torch.ones(3)])
            if world.rank:
                os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else 9)
            try:
                for _ in range(2):
                    {asked}
            except UserError as error:
                world.close()
                sys.exit(f"{{type(error).__name__}}: {{error}}")
            """
        )
        code, _, error = ended[0]
        assert code == 1
        assert "RunError: Another process of this training ended, so this one did, too" in error

    def test_each_has_the_device_of_its_number(self, together):
        ended = together(
            """
            torch.cuda.device_count = lambda: 1
            torch.cuda.set_device = lambda index: print("set", index)
            assert world.device("cpu") == "cpu"
            for name in ("auto", "cuda:1", "mps"):
                try:
                    print(world.device(name))
                except UserError as error:
                    print(type(error).__name__, error)
            """
        )
        first, second = (said.splitlines() for _, said, _ in ended)
        assert first[:4] == ["set 0", "cuda:0"] * 2
        assert first[4].startswith("DeviceError The device mps cannot be shared")
        assert all("process of the number 1 on this machine, which has 1 CUDA" in s
                   for s in second[:2])  # fmt: skip

    def test_processes_that_cannot_meet_are_told(self, together, monkeypatch):
        monkeypatch.setattr(sys.modules[__name__], "BEGIN", "")
        ended = together(
            """
            import sys
            from datetime import timedelta
            from napari_dacapo_tasks.errors import UserError
            from napari_dacapo_tasks.training import world
            world.START = timedelta(seconds=1)
            try:
                import os
                world.World.from_environment({**os.environ, "WORLD_SIZE": "2"})
            except UserError as error:
                sys.exit(str(error))
            """,
            size=1,
        )
        ((code, _, error),) = ended
        assert code == 1
        assert "The 2 processes of this training did not find each other" in error


class TestAlone:
    def test_nothing_is_sent(self):
        world = World.from_environment({})
        assert (world.rank, world.size, world.is_main) == (0, 1, True)
        assert world.gather("value") == ["value"]
        assert world.any(True)
        assert world.device("cuda:3") == "cuda:3"
        world.barrier()
        world.close()

    def test_one_process_of_torchrun_is_alone(self):
        given = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
        given |= {"MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
        assert started_by_torchrun(given)
        assert World.from_environment(given).size == 1
        assert not started_by_torchrun({"RANK": "0"})

    def test_a_process_without_a_card_of_its_own_is_refused(self, monkeypatch):
        import torch

        monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
        with pytest.raises(DeviceError, match="which has 0 CUDA devices"):
            World(rank=1, size=2, local_rank=1).device("cuda")
        assert World(rank=1, size=2, local_rank=1).device("auto") == "cpu"

    def test_nothing_of_torch_is_imported(self):
        code = (
            "import sys\n"
            "from napari_dacapo_tasks.training.world import World\n"
            "world = World.from_environment({})\n"
            "world.barrier(), world.gather(1), world.close()\n"
            "assert 'torch' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
