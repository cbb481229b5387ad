"""What autograd keeps, and whether an answer has a graph at all."""

from torch.autograd.graph import saved_tensors_hooks

REST = "only hidden tests decide the rest"


def is_remote(answer):
    """Whether `answer` runs in another process, which sends values back without their graph."""
    return getattr(answer, "remote", False)


def kept(f, z):
    """What the backward pass of f holds.

    Parameters
    ----------
    f : callable
        Function of a tensor.
    z : Tensor
        Its input.

    Returns
    -------
    tuple of (int, bool, bool)
        Bytes per element, each block of memory once; whether the output is among them; whether the input is.
    """
    z = z.detach().clone().requires_grad_()
    seen = []
    with saved_tensors_hooks(lambda t: seen.append(t) or t, lambda t: t):
        out = f(z)
    storages = [t.untyped_storage() for t in seen]
    sizes = {storage.data_ptr(): storage.nbytes() for storage in storages}
    output, source = (t.untyped_storage().data_ptr() in sizes for t in (out, z))
    return sum(sizes.values()) // z.numel(), output, source
