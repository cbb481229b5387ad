"""SGD and Adam on K networks at once, with a learning rate and a gradient norm per network.

torch's optimisers see one parameter that holds K networks: one learning rate, one norm to clip. Here the
gradients of all parameters are gathered into one (K, P) matrix, a row a network; the rest is a few operations
on rows, whatever the number of layers.
"""

import math

import torch

__all__ = ["OPTIMIZERS", "SCHEDULES", "SGD", "Adam", "Rows", "schedule_factor"]

SCHEDULES = ("constant", "cosine", "linear")


def schedule_factor(step, *, steps, schedule="constant", warmup=0):
    """Return the factor of the learning rate at one step.

    During warmup (step + 1) / warmup; then 1 (constant), or from 1 down to 0 at `steps`, along a line
    (linear) or half a cosine.

    Parameters
    ----------
    step, steps : int
        Updates done, and in all.
    schedule : {"constant", "cosine", "linear"}
    warmup : int

    Returns
    -------
    float

    Raises
    ------
    ValueError
        For an unknown schedule.

    Examples
    --------
    >>> [schedule_factor(s, steps=8, schedule="linear", warmup=4) for s in (0, 3, 4, 6)]
    [0.25, 1.0, 1.0, 0.5]
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"unknown schedule {schedule!r}; choose from {list(SCHEDULES)}")
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "constant":
        return 1.0
    done = (step - warmup) / max(steps - warmup, 1)
    return 1.0 - done if schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))


class Rows:
    """The parameters of K networks as the rows of a matrix (K, P).

    Parameters
    ----------
    named_parameters : iterable of (str, torch.nn.Parameter)
        Each with a leading dimension divisible by K, block k belonging to network k.
    num_models : int
        K.

    Attributes
    ----------
    names : tuple of str
    params : tuple of torch.nn.Parameter
    sizes : list of int
        Elements per network of each; P is their sum.

    Raises
    ------
    ValueError
        If there is none, a leading dimension is not divisible by K, or they differ in dtype.
    """

    def __init__(self, named_parameters, num_models):
        """Views of the parameters: they must not move to another device afterwards."""
        named = [(name, p) for name, p in named_parameters if p.requires_grad]
        if not named:
            raise ValueError("the model has no parameter that requires a gradient")
        self.num_models = num_models
        self.names, self.params = zip(*named, strict=True)
        for name, p in named:
            if num_models > 1 and (p.ndim == 0 or p.shape[0] % num_models):
                raise ValueError(
                    f"parameter {name} of shape {tuple(p.shape)}: its first dimension must be a multiple of "
                    f"num_models={num_models}"
                )
            if p.dtype != self.params[0].dtype:
                raise ValueError(
                    f"parameter {name} is {p.dtype}, but {self.names[0]} is {self.params[0].dtype}"
                )
        self.sizes = [p.numel() // num_models for p in self.params]
        # A channels-last weight is contiguous only in its own order, and a view needs that.
        self._orders = [
            None if p.is_contiguous() else sorted(range(p.ndim), key=lambda i, p=p: (i > 0, -p.stride(i)))
            for p in self.params
        ]
        self._views = [t.view(num_models, -1) for t in self._ordered([p.detach() for p in self.params])]

    def _ordered(self, tensors):
        return [
            t if order is None else t.permute(order) for t, order in zip(tensors, self._orders, strict=True)
        ]

    def gather(self, tensors):
        """Return tensors shaped like the parameters as one (K, P) matrix (a copy)."""
        return torch.cat([t.reshape(self.num_models, -1) for t in self._ordered(tensors)], dim=1)

    def scatter(self, rows):
        """Return a (K, P) matrix as tensors shaped like the parameters (the inverse of `gather`)."""
        out = []
        for part, p, order in zip(rows.split(self.sizes, dim=1), self.params, self._orders, strict=True):
            if order is None:
                out.append(part.reshape(p.shape))
                continue
            back = [order.index(i) for i in range(p.ndim)]
            out.append(part.reshape([p.shape[i] for i in order]).permute(back))
        return out

    def columns(self, values, default):
        """Return one number for each column, (P,), chosen by the last part of the parameter's name.

        Parameters
        ----------
        values : dict of str to float
            Such as {"beta": 10.0}, for the parameters beta, act.beta, blocks.0.act.beta.
        default : float
            For all others.
        """
        chosen = [values.get(name.rpartition(".")[2], default) for name in self.names]
        filled = [self.params[0].new_full((n,), v) for n, v in zip(self.sizes, chosen, strict=True)]
        return torch.cat(filled).detach()

    def values(self):
        """Return the parameters' values now, (K, P)."""
        return torch.cat(self._views, dim=1)

    def subtract(self, update):
        """Subtract a (K, P) matrix from the parameters, in place."""
        torch._foreach_sub_(self._views, update.split(self.sizes, dim=1))


class SGD:
    """Stochastic gradient descent with momentum, as torch.optim.SGD.

    m <- momentum m + g,  p <- p - lr m, with g + weight_decay p in place of g (L2).

    Parameters
    ----------
    rows : Rows
    momentum : float
    weight_decay : float, or torch.Tensor (P,)
        The same for all columns, or one for each.
    """

    def __init__(self, rows, *, momentum=0.9, betas=None, weight_decay=0.0):
        """No momentum yet."""
        self.rows, self.momentum, self.weight_decay = rows, momentum, _decay(weight_decay)
        self.state = [torch.zeros_like(rows.values())] if momentum else []

    def update(self, grad, step):
        """Return the (K, P) direction that times lr is to be subtracted.

        Parameters
        ----------
        grad : torch.Tensor, (K, P)
            Overwritten.
        step : int
            Updates done before.
        """
        if self.weight_decay is not None:
            grad = grad.add_(self.rows.values() * self.weight_decay)
        if not self.momentum:
            return grad
        return self.state[0].mul_(self.momentum).add_(grad)


class Adam:
    """Adam, as torch.optim.AdamW: the weight decay is decoupled, p <- p - lr weight_decay p.

    With weight_decay = 0 it is torch.optim.Adam too. epsilon is 1e-8.

    Parameters
    ----------
    rows : Rows
    betas : (float, float)
    weight_decay : float, or torch.Tensor (P,)
        As for `SGD`.

    References
    ----------
    Kingma and Ba 2015, Adam, algorithm 1; Loshchilov and Hutter 2019, Decoupled weight decay, algorithm 2.
    """

    eps = 1e-8

    def __init__(self, rows, *, momentum=None, betas=(0.9, 0.999), weight_decay=0.0):
        """Both moments are 0."""
        self.rows, self.betas, self.weight_decay = rows, betas, _decay(weight_decay)
        self.state = [torch.zeros_like(rows.values()), torch.zeros_like(rows.values())]

    def update(self, grad, step):
        """Return the (K, P) direction that times lr is to be subtracted (see `SGD.update`)."""
        mean, square = self.state
        beta1, beta2 = self.betas
        mean.lerp_(grad, 1 - beta1)
        square.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        scale = square.sqrt().div_((1 - beta2 ** (step + 1)) ** 0.5).add_(self.eps)
        update = mean.div(scale).div_(1 - beta1 ** (step + 1))
        return update if self.weight_decay is None else update.add_(self.rows.values() * self.weight_decay)


def _decay(weight_decay):
    """None if there is none."""
    return weight_decay if torch.is_tensor(weight_decay) or weight_decay else None


OPTIMIZERS = {"sgd": SGD, "adam": Adam}
