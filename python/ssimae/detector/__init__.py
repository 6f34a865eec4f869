"""The detector as a scikit-learn estimator."""
