import pytest

from rnnlab.cells import CELLS
from tests.stored_runs import rnnlab


def test_the_table_counts_parameters() -> None:
    lines = [" ".join(line.split()) for line in rnnlab("cells").lines]
    assert "carry Carry cell (a simplified LSTM) h, c 4·I·H + 5·H² + 4·H" in lines
    assert "simple Simple cell (a tanh RNN) h I·H + H² + H" in lines


@pytest.mark.parametrize("name", CELLS.names())
def test_the_formula_is_the_count(name: str) -> None:
    kind = CELLS.get(name)
    formula = next(cell for cell in rnnlab("cells", "--json").json["cells"] if cell["name"] == name)["parameter_count"]
    for inputs, units in ((1, 1), (2, 32), (14, 5)):
        counted = sum(parameter.size for parameter in kind(kind.Options(units=units)).parameters(inputs).values())
        assert eval(formula.replace("·", "*").replace("²", "**2"), {"I": inputs, "H": units}) == counted


def test_the_card_of_carry() -> None:
    lines = [" ".join(line.split()) for line in rnnlab("cells", "carry", columns=120).lines]
    assert lines[0] == "carry: Carry cell (a simplified LSTM)"
    for line in (
        *CELLS.get("carry").equations.splitlines(),
        "f_t = recurrent_activation(state_t·Uf + input_t·Wf + bf)",
        'source Chollet 2018, "Deep learning with Python", section 6.2.2 (the LSTM in pseudocode).',
        "parameters 4·I·H + 5·H² + 4·H per layer of H units with I inputs: 5,504 for I = 2, H = 32",
        "bf (H,) initializers.bias, plus 1",
        "Vo (H, H) initializers.recurrent_kernel",
    ):
        assert " ".join(line.split()) in lines
    assert lines[-3:] == ["In a config:", "cell:", "type: carry"]


def test_the_options_are_those_of_the_model() -> None:
    options = {option["name"]: option for option in rnnlab("cells", "carry", "--json").json["options"]}
    assert list(options) == [
        "units", "layers", "activation", "initializers.kernel", "initializers.recurrent_kernel", "initializers.bias",
        "recurrent_activation", "forget_bias",
    ]  # fmt: skip
    assert options["units"] == {
        "name": "units", "type": "whole number", "default": "32", "bounds": "1 ≤ x ≤ 65,536",
        "description": "H, the size of each layer's state",
    }  # fmt: skip
    assert (options["forget_bias"]["default"], options["forget_bias"]["bounds"]) == ("1.0", "-100 ≤ x ≤ 100")
    assert options["initializers.recurrent_kernel"]["default"] == "orthogonal"
    kinds = "text or glorot_uniform, identity, normal, orthogonal, sparse, uniform, uniform_between, zeros"
    assert options["initializers.kernel"]["type"] == kinds


def test_json_of_a_card() -> None:
    card = rnnlab("cells", "simple", "--json").json
    shapes = {"W": ["I", "H"], "U": ["H", "H"], "b": ["H"]}
    roles = {"W": "kernel", "U": "recurrent_kernel", "b": "bias"}
    assert card["parameters"] == [
        {"name": name, "shape": shape, "role": role, "initializer": f"initializers.{role}", "offset": 0.0}
        for (name, shape), role in zip(shapes.items(), roles.values(), strict=True)
    ]
    assert (card["states"], card["version"], card["differs"]) == (["h"], 1, "")


def test_the_plan_of_a_cell() -> None:
    lines = rnnlab("cells", "carry", "--plan").lines
    assert "  c_next = p5*p6 + c*p7" in lines
    assert "  dVo = sum of cᵀ·g1" in lines
    bad = rnnlab("cells", "--plan")
    assert (bad.code, "rnnlab cells NAME --plan" in bad.err) == (2, True)
