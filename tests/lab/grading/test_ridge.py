"""The closed form against regressions that are fitted one by one."""

import numpy as np
from sklearn.linear_model import Ridge

from lab.grading.ridge import fit_ridge

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(30, 50))
TARGETS = (lambda y: y - y.mean(0))(INPUTS[:, :2] + 0.5 * RNG.normal(size=(30, 2)))


def test_a_prediction_that_leaves_an_example_out_is_that_of_a_fit_to_the_others() -> None:
    found = fit_ridge(INPUTS @ INPUTS.T, TARGETS)
    for left_out in (0, 11, 29):
        others = np.arange(30) != left_out
        refitted = Ridge(alpha=found.penalty, fit_intercept=False).fit(INPUTS[others], TARGETS[others])
        np.testing.assert_allclose(refitted.predict(INPUTS[[left_out]])[0], found.left_out[left_out], atol=1e-8)


def test_the_penalty_is_that_of_the_least_error() -> None:
    found = fit_ridge(INPUTS @ INPUTS.T, TARGETS)
    noise = RNG.normal(size=(30, 2))
    assert found.penalty < fit_ridge(INPUTS @ INPUTS.T, noise - noise.mean(0)).penalty
    whole = Ridge(alpha=found.penalty, fit_intercept=False).fit(INPUTS, TARGETS)
    np.testing.assert_allclose(whole.predict(INPUTS), INPUTS @ (INPUTS.T @ found.dual), atol=1e-8)
