"""The curve of an expression and its slope, for figures."""

import torch

from selfgated.search.activations import evaluate

__all__ = ["curve"]


def curve(expression, z, *, betas=None):
    """f(z) and f'(z) in float64.

    Parameters
    ----------
    expression : Expression
    z : array_like, any shape
    betas : sequence of float, optional
        By default those at the start.

    Returns
    -------
    f, slope : ndarray, shape of z
        At a kink the slope is the one that training uses.

    Examples
    --------
    >>> from selfgated.search import parse
    >>> f, slope = curve(parse("x*sigmoid(x)"), [0.0, 2.0])
    >>> f.round(4).tolist(), slope.round(4).tolist()
    ([0.0, 1.7616], [0.5, 1.0908])
    """
    z = torch.as_tensor(z, dtype=torch.float64).clone().requires_grad_()
    f = evaluate(expression, z, betas=betas).expand(z.shape)
    if not f.requires_grad:  # a constant
        return f.numpy().copy(), torch.zeros_like(f).numpy()
    (slope,) = torch.autograd.grad(f.sum(), z)
    return f.detach().numpy(), slope.numpy()
