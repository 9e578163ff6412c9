"""Each safeguard exists, and a test fails if it is removed."""

from collections import Counter

import pytest

from tests.faults.mutations import MUTATIONS, ROOT, Mutation, is_noticed


def test_each_has_a_name_of_its_own() -> None:
    assert max(Counter(one.name for one in MUTATIONS).values()) == 1


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_the_safeguard_is_there(mutation: Mutation) -> None:
    compile(mutation.mutated(), mutation.path, "exec")
    file, _, function = mutation.test.partition("::")
    assert f"def {function.partition('[')[0]}" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.soak
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_without_the_safeguard_a_test_fails(mutation: Mutation) -> None:
    assert is_noticed(mutation)
