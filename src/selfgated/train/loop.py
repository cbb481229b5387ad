"""The training loop: K networks with the same shape, trained as one."""

from pathlib import Path

import torch

from selfgated.train.batches import MODEL, mix
from selfgated.train.checkpoint import load_checkpoint, save_checkpoint
from selfgated.train.devices import resolve_device
from selfgated.train.evaluation import mode
from selfgated.train.interrupt import Deferred
from selfgated.train.run import LOOK, Run
from selfgated.train.settings import Settings, integer

__all__ = ["fit"]


def _checkpoint_path(checkpoint, *, every, resume):
    """Check, before any work, that a checkpoint can be written, and over nothing else."""
    if checkpoint is None:
        if resume or every is not None:
            raise ValueError("resume and checkpoint_every need checkpoint, the path of a file")
        return None
    if every is not None:
        integer("checkpoint_every", every, low=1)
    path = Path(checkpoint)
    if not path.resolve().parent.is_dir():
        raise ValueError(f"there is no folder {path.resolve().parent} for the checkpoint {path}")
    if path.exists() and not resume:
        load_checkpoint(path)
    return path


def fit(
    model,
    data,
    *,
    seeds,
    steps,
    lr,
    batch_size=64,
    optimizer="sgd",
    momentum=0.9,
    betas=(0.9, 0.999),
    weight_decay=0.0,
    no_decay=("beta",),
    lr_factors=None,
    schedule="constant",
    warmup=0,
    clip=None,
    loss_fn=None,
    device="auto",
    precision="float32",
    record_every=None,
    evaluate=True,
    progress=False,
    checkpoint=None,
    checkpoint_every=None,
    resume=False,
    tag=None,
):
    """Train the K networks of a model, each as if it were alone.

    Parameters
    ----------
    model : torch.nn.Module
        With an attribute `num_models` = K if it holds several networks. Trained in place, on the device.
    data : data.Dataset, or tuple of four torch.Tensor
        (x_train, y_train, x_test, y_test), see `batches.Resident`.
    seeds : sequence of int, length K
        The order of network k's batches depends on ``seeds[k]`` alone: not on K, nor on the device.
    steps : int
        Updates.
    lr : float, or sequence of K floats
        Learning rate.
    batch_size : int
        Each network draws its own batches without replacement; what is left of an epoch is dropped.
    optimizer : {"sgd", "adam"}
        Those of torch: SGD with `momentum`, Adam with `betas`.
    weight_decay : float
        With sgd L2, as torch.optim.SGD; with adam decoupled, as torch.optim.AdamW.
    no_decay : sequence of str
        Parameters without weight decay, by the last part of their names; a name that no parameter has is
        ignored. By default the beta of `modules.Swish`, which decay would pull to 0, the linear map z / 2.
    lr_factors : dict of str to float, optional
        Factors on the learning rate of some parameters, by the last part of their names: {"beta": 10.0}. As
        in a parameter group of torch.optim, such a parameter's weight decay is multiplied too.
    schedule : {"constant", "cosine", "linear"}, warmup : int
        See `schedule_factor`.
    clip : float, optional
        Largest Euclidean norm of the gradient of one network.
    loss_fn : callable, optional
        (output, target) to a loss per network, (K,), or a scalar if K = 1. By default `cross_entropy`.
    device : str
        See `resolve_device`.
    precision : {"float32", "bfloat16"}
        See `autocast`.
    record_every : int, optional
        Record the loss and the gradient norm of every weight at the steps 0, record_every, ...
    evaluate : bool
        Whether to compute loss and accuracy on the test set at the end.
    progress : bool
        Show a bar on stderr.
    checkpoint : str or Path, optional
        File for the state: written every `checkpoint_every` steps, at Ctrl-C, and at the end.
    resume : bool
        Go on from `checkpoint`, if it is there; the outcome is that of a run without a break, to the bit on a
        CPU. The other arguments must be the same; with the constant schedule `steps` may have grown.
    tag : dict, optional
        What else decides the run, such as {"init": "own"}, as strings and numbers: kept in the checkpoint,
        and compared before going on.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        For a bad argument, and for a checkpoint that is damaged, foreign, or of another run.

    Notes
    -----
    A network whose loss is not finite has diverged: from that step on its weights stay, and the others go on
    as if it were not there. Ctrl-C ends the training after the current step, with ``interrupted=True``.

    "As if it were alone" holds to rounding. Where a gradient is 0 but for rounding, Adam makes full steps of
    it: so it does with the weights of a pixel that never changes, if a BatchNorm follows that takes its part
    out again. Such weights wander without effect on the training, and differ between K networks and one.

    On a CPU the same call gives the same bits, on one machine with one number of threads. Whatever is random
    in the model (dropout) is seeded by all `seeds` together; the global generators are left as they were.
    """
    device = resolve_device(device)
    settings = Settings.of(
        getattr(model, "num_models", 1),
        seeds=seeds,
        steps=steps,
        lr=lr,
        batch_size=batch_size,
        optimizer=optimizer,
        momentum=momentum,
        betas=betas,
        weight_decay=weight_decay,
        no_decay=(no_decay,) if isinstance(no_decay, str) else tuple(no_decay),
        lr_factors=dict(lr_factors or {}),
        schedule=schedule,
        warmup=warmup,
        clip=clip,
        precision=precision,
        record_every=record_every,
    )
    path = _checkpoint_path(checkpoint, every=checkpoint_every, resume=resume)
    run = Run(model, data, settings, device=device, loss_fn=loss_fn, tag=tag)
    with torch.random.fork_rng([device] if device.type == "cuda" else []), mode(model, True):
        torch.manual_seed(mix(*settings.seeds, MODEL))
        if resume and path.exists():
            run.restore(load_checkpoint(path), path)
        interrupted = _loop(run, path=path, every=checkpoint_every, progress=progress)
    return run.result(evaluate=evaluate, interrupted=interrupted)


def _loop(run, *, path, every, progress):
    """Run the steps that are left; return whether Ctrl-C ended them."""
    from tqdm import tqdm

    steps = run.settings.steps
    bar = tqdm(total=steps, initial=run.step, unit="step", leave=False, disable=not progress)
    with bar, Deferred() as ctrl_c:
        while run.step < steps and not ctrl_c.pressed:
            run.advance()
            if run.hopeless():
                run.step = steps
                break
            if path is not None and every and run.step % every == 0 and run.step < steps:
                save_checkpoint(path, run.state())
            bar.update()
            if progress and run.step % LOOK == 0:
                bar.set_postfix(loss=f"{run.mean_loss():.3g}", refresh=False)
        if path is not None:
            save_checkpoint(path, run.state())
    return run.step < steps
