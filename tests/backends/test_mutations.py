"""What the suites would see: two gates in each other's place in every definition that rnnlab has."""

from typing import Any

import pytest

from tests.backends.contenders import Contender
from tests.backends.swapped_gates import in_the_cell, in_the_derived_layer, in_the_kernel
from tests.backends.test_contract import test_outputs_states_loss_and_gradients as assert_all_agree
from tests.backends.test_gradients import assert_gradients
from tests.backends.test_outside import loop_of_tensorflow
from tests.backends.test_outside import test_carry_against_a_plain_loop as assert_like_the_plain_loop
from tests.backends.test_outside import test_carry_by_hand as assert_as_by_hand
from tests.networks import batch, network

__all__ = ["loop_of_tensorflow"]
AGREEMENT: dict[str, Any] = {"sequences": True, "loss": "mse", "bptt_steps": None, "precision": "float32"}
PLACES = {"numpy-reference": in_the_cell, "numpy-fast": in_the_kernel, "keras-derived": in_the_derived_layer}


@pytest.mark.parametrize("contender", ["numpy-fast", "keras-derived"], indirect=True)
@pytest.mark.parametrize("pair", ["if", "ok"])
def test_one_mistake_everywhere_is_seen_from_outside_alone(
    contender: Contender, pair: str, keras: Any, loop_of_tensorflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_cell(monkeypatch, pair)  # every engine follows its equation
    assert_all_agree(contender, "carry", **AGREEMENT)
    assert_gradients(network("carry"), batch(network("carry")))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_as_by_hand(contender)
    with pytest.raises(AssertionError):
        assert_like_the_plain_loop(contender, loop_of_tensorflow)


@pytest.mark.parametrize("contender", ["numpy-fast", "keras-derived"], indirect=True)
def test_a_mistake_in_one_place_is_seen_by_the_others(
    contender: Contender, request: pytest.FixtureRequest, keras: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    PLACES[request.node.callspec.params["contender"]](monkeypatch, "if")
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_all_agree(contender, "carry", **AGREEMENT)
