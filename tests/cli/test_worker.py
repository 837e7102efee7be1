"""The verb that helps with a prediction; what it does there is tested with the workers."""

from __future__ import annotations


def test_where_nothing_is_predicted_it_says_so(command, tmp_path):
    code, out, error = command("worker", tmp_path)
    assert (code, out) == (1, "")
    assert error.strip() == (
        f"{tmp_path} is no prediction that workers are to make, or it is whole already."
    )


def test_an_address_is_a_host_and_a_port(command, tmp_path):
    code, _, error = command("worker", tmp_path, "--server", "localhost")
    assert code == 2
    assert "must be as in host:12345" in error
