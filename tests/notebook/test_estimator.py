"""A detector passes the checks of scikit-learn that apply to it; those that do not are named with their reason."""

from typing import Any

import numpy as np
import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.validation import validate_data
from ssimae import Detector

WITHOUT_DATA = (
    "check_estimator_cloneable", "check_estimator_tags_renamed", "check_valid_tag_types", "check_estimator_repr",
    "check_no_attributes_set_in_init", "check_parameters_default_constructible", "check_get_params_invariance",
    "check_set_params", "check_mixin_order",
)  # fmt: skip

ON_ROWS = (
    "check_estimators_overwrite_params", "check_dont_overwrite_parameters", "check_estimators_fit_returns_self",
    "check_readonly_memmap_input", "check_estimators_unfitted", "check_fit2d_1sample",
    "check_fit1d", "check_estimators_empty_data_messages",
)  # fmt: skip
"""Quick ones that feed tables; the exhaustive test below runs all."""

NOT_APPLICABLE = {
    "check_do_not_raise_errors_in_init_or_set_params": "a preset is looked up when it is set: others follow from it",
    "check_outliers_train": "review and defective come from held-out images; a training image need not exceed them",
    "check_outliers_fit_predict": "the same: not every set that is learned from holds an image above its thresholds",
    "check_fit2d_1feature": "an image of a single value shows nothing, which is what the error says",
}


class Rows(Detector):
    """A detector that makes an image of each row of a table, as scikit-learn's checks give them."""

    def fit(self, X: Any, y: Any = None) -> Any:
        return super().fit(self._pictures(X, reset=True))

    def predict(self, X: Any) -> Any:
        self._check_fitted()
        return super().predict(self._pictures(X))

    def score_samples(self, X: Any) -> Any:
        self._check_fitted()
        return super().score_samples(self._pictures(X))

    def decision_function(self, X: Any) -> Any:
        return self.score_samples(X) - self.offset_

    def score(self, X: Any, y: Any = None) -> float:
        return super().score(self._pictures(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = True, False
        return tags

    def _pictures(self, X: Any, *, reset: bool = False) -> list[np.ndarray]:

        return [
            np.resize(0.5 + 0.5 * np.sin(row), (32, 70)).astype(np.float64)
            for row in validate_data(self, X, reset=reset)
        ]


@pytest.mark.filterwarnings("ignore:ValueError occurred during set_params of param preset")
@pytest.mark.parametrize("name", WITHOUT_DATA)
def test_checks_without_data_pass(name: str, tiny: dict[str, Any]) -> None:
    getattr(estimator_checks, name)("Detector", Detector(**tiny))


@pytest.mark.parametrize("name", ON_ROWS)
def test_checks_on_rows_that_are_made_images_pass(name: str, tiny: dict[str, Any]) -> None:
    getattr(estimator_checks, name)("Rows", Rows(**tiny))


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_all_checks_pass_on_rows_but_those_that_do_not_apply(tiny: dict[str, Any]) -> None:
    results = estimator_checks.check_estimator(
        Rows(**{**tiny, "patches": 16, "stride": 32, "margin": 0}),
        on_skip=None,
        on_fail=None,
        expected_failed_checks=NOT_APPLICABLE,
    )
    failed = {result["check_name"]: result["exception"] for result in results if result["status"] == "failed"}
    assert failed == {}
    assert {result["check_name"] for result in results if result["status"] == "xfail"} == NOT_APPLICABLE.keys()


def test_tables_are_not_what_a_detector_takes(tiny: dict[str, Any]) -> None:
    tags = Detector(**tiny).__sklearn_tags__()
    assert (tags.input_tags.two_d_array, tags.input_tags.three_d_array) == (False, True)
    assert tags.estimator_type == "outlier_detector"
    with pytest.raises(ValueError, match=r"image 0 must have shape \(h, w\), got \(4,\)"):
        Detector(**tiny).fit(np.ones((1, 4)))
