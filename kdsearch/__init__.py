"""Hyperparameter and multi-teacher search for knowledge distillation, on Ray, Optuna and MLflow."""

__version__ = "0.1.0"
