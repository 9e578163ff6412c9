"""What is planned for cells whose plan can be read off their equations by hand."""

from rnnlab.cells.carry import Carry, CarryOptions
from rnnlab.cells.simple import Simple, SimpleOptions
from rnnlab.equations.plan import Plan, plan_of
from rnnlab.equations.schedule import Stage
from tests.equations.test_derivative import CELLS_OF_TESTS

OF_TESTS = {cell.name: cell for cell in CELLS_OF_TESTS}


def products(stages: tuple[Stage, ...]) -> list[list[tuple[str, ...]]]:
    """The matrices of each product, by stage."""
    return [[node.sum.matrices for node in stage.products] for stage in stages]


def test_the_simple_cell_saves_nothing_and_goes_back_through_its_output() -> None:
    plan = plan_of(Simple(SimpleOptions(units=4)), 3)
    assert products(plan.forward) == [[("W", "U")]]
    assert plan.saved == ()  # 1 - h² reads the state after the step
    assert products(plan.backward)[-1] == [("U",)]
    assert [name for _, name in plan.input_products] == ["W"]


def test_the_carry_cell_saves_its_gates_and_has_one_product_back_per_state() -> None:
    plan = plan_of(Carry(CarryOptions(units=4)), 3)
    (forward,) = plan.forward
    assert sorted(len(node.operands) for node in forward.products) == [2, 2, 2, 3]  # o reads the carry too
    i, f, k = (node.activation.name for node in plan.saved)
    assert sorted((i, f, k)) == ["sigmoid", "sigmoid", "tanh"]
    back = [set(node.sum.matrices) for stage in plan.backward for node in stage.products]
    assert sorted(back, key=len) == [{"Vo"}, {"Ui", "Uf", "Uk", "Uo"}]


def test_a_gru_that_resets_before_its_product_has_two_stages() -> None:
    plan = plan_of(OF_TESTS["reset_before"], 2)
    assert [len(stage.products) for stage in plan.forward] == [2, 1]
    assert products(plan.forward)[1] == [("U2", "W2")]


def test_what_has_no_influence_has_no_gradient() -> None:
    plan = plan_of(OF_TESTS["reset_before"], 2)  # has parameters that it does not use
    assert plan.matrix_gradients["U4"] == plan.vector_gradients["b3"] == []


def test_each_stage_reads_what_the_ones_before_gave() -> None:
    for plan in (plan_of(cell, 2) for cell in CELLS_OF_TESTS):
        _assert_ordered(plan.forward, plan)
        _assert_ordered(plan.backward, plan)


def _assert_ordered(stages: tuple[Stage, ...], plan: Plan) -> None:
    done = set(plan.given_back) if stages is plan.backward else set()
    for stage in stages:
        before = set(done)
        for node in stage.products:
            assert all(operand.is_leaf or operand in before for operand in node.operands)
            done.add(node)
        for node in stage.block:
            assert all(operand.is_leaf or operand in done for operand in node.operands)
            done.add(node)
