"""Settings of the command line that do not fit the recipe: messages name them, and end with what to type."""

import pytest

from nmt.errors import UsageError
from nmt.recipe.reader import read_any_recipe

CASES = {
    "decoder.attention=none": "omit decoder.attention=none, or add decoder.input_feeding=false",
    "subwords.joint=false": "omit subwords.joint=false, or add decoder.tie=target",
    "encoder.embedding=64": "omit encoder.embedding=64, or add decoder.tie=target",
    "training.learning_rate.schedule=plateau": "",
    "training.stop_after=50u": "",
}


@pytest.mark.parametrize("override", CASES)
def test_a_conflict_names_the_setting_that_caused_it(override: str) -> None:
    """The shipped recipe is valid, so the conflict is with the setting that was typed."""
    if not CASES[override]:
        read_any_recipe(["quickstart-lstm"], [override])
        return
    with pytest.raises(UsageError) as error:
        read_any_recipe(["quickstart-lstm"], ["seed=3", override])
    assert CASES[override] in str(error.value)
    assert "seed=3" not in str(error.value)


def test_what_a_message_advises_is_valid() -> None:
    for override, advice in CASES.items():
        if " or add " in advice:
            read_any_recipe(["quickstart-lstm"], [override, advice.partition(" or add ")[2]])


def test_a_shortened_run_is_valid() -> None:
    assert str(read_any_recipe(["quickstart-gru"], ["training.stop_after=50u"]).training.stop_after) == "50u"


def test_a_wrong_value_has_no_further_cause() -> None:
    with pytest.raises(UsageError) as error:
        read_any_recipe(["quickstart-lstm"], ["search.beam=0"])
    assert "omit" not in str(error.value)
