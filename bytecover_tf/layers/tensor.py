"""The type of a tensor."""

from typing import Any, TypeAlias

Tensor: TypeAlias = Any
"""A tensor of the Keras backend in use, or a symbolic one. The backends' own types have
no common base that a checker could know."""
