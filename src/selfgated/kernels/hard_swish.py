"""h-swish, z relu6(z + 3) / 6, and its gate, the hard sigmoid.

At the kinks -3 and 3 the slopes are torch's: hard_swish_grad is 0 and 1, hard_sigmoid_grad is 0; f'' is 0
there.
"""

from selfgated.kernels._evaluate import evaluate
from selfgated.kernels._exact import off_tie, quadratic_rest


def _pieces(ops, z, left, middle, right):
    """`left` for z <= -3, `right` for z >= 3, `middle` between; NaN stays NaN."""
    return ops.where(z <= -3, left, ops.where(z >= 3, right, ops.where(z == z, middle, z)))


def _hard_sigmoid(ops, z):
    return _pieces(ops, z, 0.0, (z + 3) / 6, 1.0)


def _hard_sigmoid_grad(ops, z):
    return _pieces(ops, z, 0.0, 1 / 6, 0.0)


def _hard_sigmoid_grad2(ops, z):
    return _pieces(ops, z, 0.0, 0.0, 0.0)


def _hard_swish(ops, z):
    # Not z (z + 3) / 6: the product overflows before the division.
    y = off_tie(ops, z * ((z + 3) / 6), quadratic_rest(ops, z, z))
    return _pieces(ops, z, -0.0, y, z)


def _hard_swish_grad(ops, z):
    return _pieces(ops, z, 0.0, (2 * z + 3) / 6, 1.0)


def _hard_swish_grad2(ops, z):
    return _pieces(ops, z, 0.0, 1 / 3, 0.0)


def hard_sigmoid(z, *, out=None):
    """Hard sigmoid: relu6(z + 3) / 6, that is 0, (z + 3) / 6, 1 in three pieces."""
    return evaluate(_hard_sigmoid, z, out)


def hard_sigmoid_grad(z, *, out=None):
    """Slope of the hard sigmoid: 1/6 for -3 < z < 3, else 0 (at the kinks torch's 0)."""
    return evaluate(_hard_sigmoid_grad, z, out)


def hard_sigmoid_grad2(z, *, out=None):
    """Second derivative of the hard sigmoid: 0, at the kinks too."""
    return evaluate(_hard_sigmoid_grad2, z, out)


def hard_swish(z, *, out=None):
    """h-swish: f(z) = z relu6(z + 3) / 6. It is -0.0 for z <= -3, as z times 0 is.

    References: Howard et al. 2019. Chapter 05.
    """
    return evaluate(_hard_swish, z, out)


def hard_swish_grad(z, *, out=None):
    """Slope of h-swish: 0 for z <= -3, z / 3 + 1/2 between, 1 for z >= 3 (at the kinks torch's 0 and 1)."""
    return evaluate(_hard_swish_grad, z, out)


def hard_swish_grad2(z, *, out=None):
    """Second derivative of h-swish: 1/3 for -3 < z < 3, else 0, at the kinks too."""
    return evaluate(_hard_swish_grad2, z, out)
