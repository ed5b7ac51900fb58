"""The part that learns and measures. Torch and scikit-learn are loaded by what needs them."""

from boatyard.config.plugins import lazily
from boatyard.tasks.layout import MODULES

__getattr__ = lazily(__package__, MODULES)
